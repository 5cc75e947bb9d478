"""Tells which files changed: by the system's file events, or by looking every second where there are none."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tracecraft.inotify import CREATE, MODIFY, MOVED_TO, FileEvents

_GLANCE = 1.0


class Stop:
    """Whether the user wants an end: SIGINT and SIGTERM ask for it, a second one ends at once."""

    def __init__(self) -> None:
        self.asked = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        return self._read

    def ask(self) -> None:
        self.asked = True
        os.write(self._write, b"x")

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take the signals while the block runs. Only the main thread may."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._take) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self.ask()


class Watch:
    """The folders whose files are watched."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._folders: set[Path] = set()
        self._seen: dict[Path, tuple[int, int]] = {}
        try:
            self._events: FileEvents | None = FileEvents()
        except OSError:
            self._events = None

    @property
    def glances(self) -> bool:
        """Whether there are no file events, so that the files have to be looked at."""
        return self._events is None

    def add(self, folder: Path) -> None:
        """Watch a folder. Where the system gives no more events, everything is looked at instead."""
        if folder in self._folders:
            return
        self._folders.add(folder)
        if self._events is None:
            return
        try:
            self._events.watch(folder, MODIFY | CREATE | MOVED_TO)
        except OSError:
            if folder.is_dir():
                self._events.close()
                self._events = None
            else:
                self._folders.discard(folder)

    def wait(self, seconds: float) -> set[Path]:
        """The paths that something happened to, as soon as something did or when the time is over."""
        poll = select.poll()
        poll.register(self._stop.fileno(), select.POLLIN)
        if self._events is not None:
            poll.register(self._events.fileno(), select.POLLIN)
        poll.poll(max(0.0, seconds if self._events is not None else min(seconds, _GLANCE)) * 1000)
        return set(self._events.read()) if self._events is not None else set()

    def changed(self, paths: Iterable[Path]) -> bool:
        """Whether any of these files is not as it was when this was last asked of it."""
        return bool([path for path in paths if self._is_changed(path)])

    def _is_changed(self, path: Path) -> bool:
        try:
            status = path.stat()
        except OSError:
            return False
        now = (status.st_size, status.st_mtime_ns)
        before, self._seen[path] = self._seen.get(path), now
        return before != now
