"""Single keys from a terminal, whose settings are put back however this ends."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_NAMES = {
    b"\x1b[A": "up",
    b"\x1b[B": "down",
    b"\x1b[C": "right",
    b"\x1b[D": "left",
    b"\x1b[H": "home",
    b"\x1b[F": "end",
    b"\x1b[1~": "home",
    b"\x1b[4~": "end",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1b": "escape",
    b"\n": "enter",
    b"\r": "enter",
    b" ": "space",
}


class Keyboard:
    """The keys of the terminal that is standard input, while a `with` block runs.

    SIGTERM and SIGHUP end the block by SystemExit; while the process is stopped (Ctrl-Z) the terminal is as it was.
    """

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._settings: list[Any] = []
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Keyboard:
        self._settings = termios.tcgetattr(self._fd)
        handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
            signal.SIGTERM: _leave,
            signal.SIGHUP: _leave,
            signal.SIGTSTP: self._stop,
        }
        self._handlers = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        tty.setcbreak(self._fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def key(self, seconds: float | None) -> str:
        """The next key by its name or character; empty if none is pressed within so many seconds (None: for ever)."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return ""
        data = os.read(self._fd, 16)
        if not data:
            return "q"  # the terminal is gone
        return _NAMES.get(data) or data[:1].decode("ascii", "replace")

    def _restore(self) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._settings)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        """Stop as everything does, with the terminal as it was, and go on in the foreground."""
        self._restore()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._stop)
        tty.setcbreak(self._fd)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
