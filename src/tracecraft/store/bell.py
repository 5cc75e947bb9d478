"""Wakes a waiter on a folder as soon as somebody wrote into it.

Every write of a folder store makes a file in one folder of unfinished ones and takes it out again when the object is
visible. So watching that folder alone tells of every write to any key. Where the system has no file events (inotify),
the folder's time of change is looked at instead. What other programs write is found by looking now and then all the
same.
"""

from __future__ import annotations

import select
from collections import deque
from contextlib import suppress
from pathlib import Path

from tracecraft.clock import Deadline, Pace
from tracecraft.inotify import DELETE, MOVED_FROM, FileEvents

_GATHER = 0.01
"""Seconds in which further writes join the first: a busy store wakes its waiters at most so often."""
_GLANCE = 0.05


class Bell(Pace):
    """The pace of a waiter on a folder store. It rings for every write since it was made or last rang."""

    def __init__(self, folder: Path, fast: float = 0.05, slow: float = 0.5) -> None:
        super().__init__(fast, slow)
        self._folder = folder
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        self._events = _file_events(folder)
        self._last = self._changed_at()

    def _wait(self, seconds: float) -> None:
        rang = self._listen(seconds) if self._events else self._glance(seconds)
        if rang:
            super()._wait(min(_GATHER, seconds))
            self._silence()

    def _listen(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._events.fileno() if self._events else -1, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _glance(self, seconds: float) -> bool:
        deadline = Deadline(seconds)
        while self._changed_at() == self._last and not deadline.passed:
            super()._wait(min(_GLANCE, deadline.left or 0.0))
        return self._changed_at() != self._last

    def _silence(self) -> None:
        """Take note of what happened so far."""
        self._last = self._changed_at()
        if self._events:
            deque(self._events.read(), maxlen=0)

    def _changed_at(self) -> int:
        try:
            return self._folder.stat().st_mtime_ns
        except OSError:
            return 0


def _file_events(folder: Path) -> FileEvents | None:
    """Events of writes into the folder, or None where there are none to be had."""
    try:
        events = FileEvents()
        events.watch(folder, MOVED_FROM | DELETE)
    except OSError:
        return None
    return events
