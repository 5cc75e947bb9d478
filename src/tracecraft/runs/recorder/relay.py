"""Sends for children that were forked after a bucket had been used: its client needs threads that do not come along.

A child writes its spool as any process does, and leaves a mark beside it that names its parent. The parent sends from
it as it grows. When the child is gone, what it left is sent as that of any dead process.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tracecraft import clock, localprocess
from tracecraft.runs.recorder.notices import Notices, why
from tracecraft.runs.recorder.record import RunDeleted
from tracecraft.runs.recorder.recovery import LeftWriter, locked
from tracecraft.runs.recorder.scribe import Wakeup
from tracecraft.runs.recorder.spool import RELAYED, folder_of, spool_of

if TYPE_CHECKING:
    from tracecraft.project import Project

_LOOK_EVERY = 0.5


class Relay:
    """Sends for the children of this process that write into runs of a project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._folder = folder_of(project.local.folder)
        self._me = localprocess.name(os.getpid())
        self._notices = Notices()
        self._living: dict[Path, tuple[LeftWriter, int]] = {}
        self._wakeup = Wakeup()
        self._looks = 0
        threading.Thread(target=self._run, name="tracecraft-relay", daemon=True).start()

    def catch_up(self, timeout: float) -> None:
        """Wait until what children wrote by now is sent, at most so long."""
        deadline, until = clock.Deadline(timeout), self._looks + 2  # one may be under way
        while self._children() and self._looks < until and not deadline.passed:
            self._wakeup.ring(urgent=True)
            time.sleep(0.01)

    def _run(self) -> None:
        while True:
            self._wakeup.wait(_LOOK_EVERY, urgent=True)
            for path in self._children():
                try:
                    self._send_for(path)
                except RunDeleted:
                    pass  # when the child is gone, so is what it wrote
                except Exception as error:  # the thread must not end while children live
                    self._notices.say("away", f"what a child recorded waits in {path}: {why(error)}")
            self._looks += 1

    def _children(self) -> list[Path]:
        """The spools of children that cannot send themselves."""
        found = []
        with suppress(OSError):
            for name in sorted(os.listdir(self._folder)):
                mark = self._folder / name
                if name.endswith(RELAYED) and mark.read_text() == self._me:
                    found.append(spool_of(mark))
        return found

    def _send_for(self, path: Path) -> None:
        with locked(path) as fd:
            if fd is not None:
                self._forget(path)
                LeftWriter(self._project, path, fd).finish()
                return
        if path not in self._living:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                self._living[path] = LeftWriter(self._project, path, fd), fd
            except Exception:
                os.close(fd)
                raise
        self._living[path][0].go_on()

    def _forget(self, path: Path) -> None:
        if path in self._living:
            os.close(self._living.pop(path)[1])


_relays: dict[Path, Relay] = {}


def watch(project: Project) -> None:
    """Look after the children that this process forks from now on. A bucket is what they cannot use themselves."""
    folder = folder_of(project.local.folder)
    if folder not in _relays and project.store.remote:
        _relays[folder] = Relay(project)


def catch_up(timeout: float) -> None:
    """Wait until what children of this process wrote by now is sent, at most so long."""
    deadline = clock.Deadline(timeout)
    for relay in list(_relays.values()):
        relay.catch_up(deadline.left or 0.0)


def forget() -> None:
    """In a forked child: its parent's children are not its own."""
    _relays.clear()
