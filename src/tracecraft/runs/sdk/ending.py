"""The open runs of this process, and how they end when nobody ends them: with the process, or by SIGTERM."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

from tracecraft import clock
from tracecraft.runs.sdk.span import failed, status_after, told

if TYPE_CHECKING:
    from tracecraft.runs.sdk.running import Run

_AT_EXIT = 10.0
_BY_SIGNAL = 5.0
_MOMENT = 0.2
"""Seconds that a process which was told to end gives the store; what is left is sent by the next one."""


class OpenRuns:
    """The runs of this process that have not ended, oldest first."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._handles_sigterm = False
        self._heeds_in = 0
        atexit.register(self._at_exit)

    def add(self, run: Run) -> None:
        self._runs.append(run)
        self._handle_sigterm()
        self._heed_multiprocessing()

    def remove(self, run: Run) -> None:
        with suppress(ValueError):
            self._runs.remove(run)
        if not self.own:
            self._leave_sigterm_alone()

    @property
    def own(self) -> list[Run]:
        """Those that this very process began or joined."""
        return [run for run in self._runs if run._pid == os.getpid()]

    def only(self) -> Run | None:
        """The run that code is part of which no context tells about: the only one there is, without its nested ones."""
        begun = [run for run in self._runs if not run.joined]
        names = {run.id for run in begun}
        roots = [run for run in begun if run._meta.parent not in names]
        return roots[0] if len(roots) == 1 else None

    def joined(self, run: str) -> Run | None:
        """What this process joined already."""
        return next((known for known in self.own if known.joined and known.id == run), None)

    def _at_exit(self) -> None:
        """The process ends. Whether by an exception that nobody caught, the interpreter remembers."""
        error: BaseException | None = getattr(sys, "last_value", None)
        runs = list(self._runs)
        for run in reversed(runs):
            run._end(status_after(error), told(error) if failed(error) else "")
        _close(runs, _AT_EXIT)

    def _heed_multiprocessing(self) -> None:
        """Its processes, unless spawned, end without the interpreter's own farewell."""
        process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
        if process is None or util is None or process.parent_process() is None or self._heeds_in == os.getpid():
            return
        self._heeds_in = os.getpid()
        util.Finalize(None, self._at_exit, exitpriority=1)

    def _handle_sigterm(self) -> None:
        """End runs properly on SIGTERM, unless the program does something of its own then."""
        in_main = threading.current_thread() is threading.main_thread()
        if not self._handles_sigterm and in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._on_sigterm)
            self._handles_sigterm = True

    def _leave_sigterm_alone(self) -> None:
        in_main = threading.current_thread() is threading.main_thread()
        if self._handles_sigterm and in_main and signal.getsignal(signal.SIGTERM) == self._on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._handles_sigterm = False

    def _on_sigterm(self, number: int, _frame: FrameType | None) -> None:
        # Those of a process that forked this one go on; but what this one recorded of them must not be lost.
        runs = list(self._runs)
        for run in reversed(runs):
            run._end("failed", "SIGTERM")
        _close(runs, _BY_SIGNAL)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _close(runs: list[Run], seconds: float) -> None:
    """Wait for the store so long for all of them together; each gets a moment in any case."""
    deadline = clock.Deadline(seconds)
    for run in runs:
        run._close(max(deadline.left or 0.0, _MOMENT))


open_runs = OpenRuns()
