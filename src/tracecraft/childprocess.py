"""A command that runs for us: it gets signals, the terminal and an end as if it had been started in our place.

It has a process group of its own. A small watchdog process sees to it that the group does not outlive us when we are
killed.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def wait_for_child(child: subprocess.Popen[bytes], signals: Signals) -> int:
    """Wait for the command; when it is stopped (Ctrl-Z), stop along with it and go on together."""
    while True:
        pid, raw = os.waitpid(child.pid, os.WUNTRACED | os.WNOHANG)
        if not pid:
            signals.wait()
            continue
        if os.WIFSTOPPED(raw):
            _stop_along(child.pid)
            continue
        status = os.waitstatus_to_exitcode(raw)
        child.returncode = status
        return status if status >= 0 else 128 - status


def _stop_along(group: int) -> None:
    give_terminal(os.getpgrp())
    os.kill(os.getpid(), signal.SIGSTOP)
    give_terminal(group)
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGCONT)


def end_group(group: int) -> None:
    """SIGTERM to all of a group, and SIGKILL to what is left of it after the grace."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        for _ in range(int(GRACE * 10)):
            time.sleep(0.1)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


class Signals:
    """Hands signals sent to this process on to the command's group; those that come before there is one wait for it.

    Python runs no handler while it waits in the kernel, and a signal may come just before it does. But it writes a byte
    to `pipe` the moment one comes, so waiting means reading that.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._group = 0
        self._waiting: list[int] = []

    def wait(self) -> None:
        """Until a signal has come, that of a child's end or stop included."""
        select.select([self._pipe], [], [])
        os.read(self._pipe, 4096)

    def to(self, group: int) -> None:
        self._group = group
        while self._waiting:
            self.take(self._waiting.pop(0), None)

    def take(self, number: int, _frame: FrameType | None) -> None:
        if not self._group:
            self._waiting.append(number)
            return
        with suppress(ProcessLookupError):
            os.killpg(self._group, number)


@contextmanager
def passing_signals() -> Iterator[Signals]:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signals = Signals(read_end)
    before = {number: signal.signal(number, signals.take) for number in _PASSED_ON}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    pipe_before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    try:
        yield signals
    finally:
        signal.set_wakeup_fd(pipe_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read_end)
        os.close(write_end)


def has_terminal() -> bool:
    """Whether this runs in the foreground of a terminal; then the command does so instead."""
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def give_terminal(group: int) -> None:
    """Make a group the terminal's foreground. SIGTTOU would stop a background process that does this."""
    if not os.isatty(0):
        return
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with suppress(OSError):
            os.tcsetpgrp(0, group)
    finally:
        signal.signal(signal.SIGTTOU, before)


class Watchdog:
    """A process that ends the command's group when the supervisor dies without taking leave.

    It is forked before any store is used, as a client of a store does not survive a fork. It learns of the
    supervisor's death by the end of a pipe, which no kill can prevent.
    """

    def __init__(self) -> None:
        self.pid = 0
        self._pipe = -1

    def __enter__(self) -> Watchdog:
        read_end, self._pipe = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._pipe)
                _watch(read_end)
            finally:
                os._exit(0)
        os.close(read_end)
        return self

    def guard(self, group: int) -> None:
        os.write(self._pipe, f"{group}\n".encode())

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            os.write(self._pipe, b"done\n")
        os.close(self._pipe)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _watch(pipe: int) -> None:
    """The watchdog's life: read until the pipe ends, then act unless told that all is done."""
    os.setsid()
    for number in _PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    words: list[bytes] = []
    rest = b""
    while chunk := os.read(pipe, 100):
        *lines, rest = (rest + chunk).split(b"\n")
        words += lines
    if not words or words[-1] == b"done":
        return
    end_group(int(words[-1]))
