"""Runs a command while holding a step: renews the lease, stops it when the lease is lost, ends the step by its status.

The command gets a process group of its own. A small watchdog process sees to it that the group does not outlive a
supervisor that is killed: work that nobody renews for would go on while somebody else starts it anew.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from tracecraft import localprocess
from tracecraft.claims import TERMINAL
from tracecraft.errors import LostLease, Refused, UsageError
from tracecraft.lease import LeaseKeeper

if TYPE_CHECKING:
    from tracecraft.claiming import Hold
    from tracecraft.project import Project

OnFail = Literal["release", "blocked"]

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_held(
    project: Project,
    step: str,
    command: Sequence[str],
    *,
    ttl: float | None = None,
    wait: float | None = 0.0,
    on_fail: OnFail = "release",
    note: str = "",
    to: str | None = None,
    next_action: str | None = None,
    changed_files_in: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Claim the step, run the command, end the step; returns the command's exit status (128 + n for signal n).

    `environment` is what the command finds in its environment beside the caller's. Status 0 completes the step with the
    handoff; any other releases it, or marks it blocked. Raises what `Steps.claim` raises, and LostLease when the lease
    was lost: then the command was stopped and nothing was written.
    """
    with _Watchdog() as watchdog:
        hold = project.steps.claim(step, ttl=ttl, wait=wait, alive="self", process=localprocess.name(watchdog.pid))
        # A signal that comes while the step is being ended must not leave it held.
        with _passing_signals() as signals:
            status, lost = _run(project, hold, command, environment or {}, watchdog, signals)
            if lost:
                raise LostLease(
                    f"the lease of {hold.step} was lost; the command was stopped",
                    hint=f"tracecraft step-status {hold.step}",
                    step=hold.step,
                    fence=hold.fence,
                )
            if status:
                # The program alone: arguments may hold secrets, and the note is there for everybody.
                _end(project, hold, on_fail, note=note or f"{Path(command[0]).name} ended with status {status}")
            else:
                done: dict[str, Any] = {"to": to, "next_action": next_action, "changed_files_in": changed_files_in}
                _end(project, hold, "complete", note=note, **done)
    return status


def _run(
    project: Project,
    hold: Hold,
    command: Sequence[str],
    environment: Mapping[str, str],
    watchdog: _Watchdog,
    signals: _Signals,
) -> tuple[int, bool]:
    """Run the command under the lease; its exit status, and whether the lease was lost."""
    foreground = _has_terminal()

    def introduce() -> None:
        # In the child, before it becomes the command: nothing it does can come before this.
        watchdog.guard(os.getpid())
        if foreground:
            _give_terminal(os.getpid())

    try:
        # No other thread of Python runs yet, so the child may safely introduce itself.
        child = subprocess.Popen(
            command,
            process_group=0,
            env={**_environment(project, hold), **environment},
            preexec_fn=introduce,  # noqa: PLW1509
        )
    except OSError as error:
        if foreground:
            _give_terminal(os.getpgrp())
        project.steps.release(hold.step, note=f"{command[0]} could not be started", fence=hold.fence)
        raise UsageError(
            f"cannot run {command[0]}: {error.strerror}", hint="check the command; the step is free again"
        ) from None
    signals.to(child.pid)
    return _supervise(project, hold, child, signals, foreground=foreground)


def _supervise(
    project: Project, hold: Hold, child: subprocess.Popen[bytes], signals: _Signals, *, foreground: bool
) -> tuple[int, bool]:
    stopped = threading.Event()

    def stop() -> None:
        _end_group(child.pid)
        stopped.set()

    keeper = LeaseKeeper(project, hold, on_lost=stop, process=localprocess.name(child.pid))
    keeper.start()
    try:
        status = _wait(child, signals)
    finally:
        if foreground:
            _give_terminal(os.getpgrp())
        keeper.stop()
    lost = keeper.lost.is_set()
    if lost:
        # What the command left running in its group must not work on under a lease that is gone.
        stopped.wait(GRACE + 1)
    return status, lost


def _end(
    project: Project,
    hold: Hold,
    how: Literal["complete", "release", "blocked"],
    *,
    note: str,
    to: str | None = None,
    next_action: str | None = None,
    changed_files_in: Path | None = None,
) -> None:
    """End the step, unless the command did so itself under this very hold."""
    try:
        if how == "release":
            project.steps.release(hold.step, note=note, fence=hold.fence)
        else:
            project.steps.complete(
                hold.step,
                outcome=how,
                note=note,
                to=to,
                next_action=next_action,
                changed_files_in=changed_files_in,
                fence=hold.fence,
            )
    except Refused:
        view = project.steps.view(hold.step)
        ended_itself = view.state in (*TERMINAL, "pending") and view.fence == hold.fence
        if not ended_itself:
            raise


def _environment(project: Project, hold: Hold) -> dict[str, str]:
    """The caller's environment, and what makes tracecraft commands inside act as this agent under this hold."""
    return {
        **os.environ,
        "TRACECRAFT_AGENT": hold.agent,
        "TRACECRAFT_PROJECT": project.name,
        "TRACECRAFT_STEP": hold.step,
        "TRACECRAFT_FENCE": str(hold.fence),
        **({"TRACECRAFT_RUN": project.run} if project.run else {}),
    }


def _wait(child: subprocess.Popen[bytes], signals: _Signals) -> int:
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
    _give_terminal(os.getpgrp())
    os.kill(os.getpid(), signal.SIGSTOP)
    _give_terminal(group)
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGCONT)


def _end_group(group: int) -> None:
    """SIGTERM to all of a group, and SIGKILL to what is left of it after the grace."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        for _ in range(int(GRACE * 10)):
            time.sleep(0.1)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


class _Signals:
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
def _passing_signals() -> Iterator[_Signals]:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signals = _Signals(read_end)
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


def _has_terminal() -> bool:
    """Whether this runs in the foreground of a terminal; then the command does so instead."""
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _give_terminal(group: int) -> None:
    """Make a group the terminal's foreground. SIGTTOU would stop a background process that does this."""
    if not os.isatty(0):
        return
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with suppress(OSError):
            os.tcsetpgrp(0, group)
    finally:
        signal.signal(signal.SIGTTOU, before)


class _Watchdog:
    """A process that ends the command's group when the supervisor dies without taking leave.

    It is forked before any store is used, as a client of a store does not survive a fork. It learns of the
    supervisor's death by the end of a pipe, which no kill can prevent.
    """

    def __init__(self) -> None:
        self.pid = 0
        self._pipe = -1

    def __enter__(self) -> _Watchdog:
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
    _end_group(int(words[-1]))
