"""The thread that sends a writer's files: they may be large, and lines are not to wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tracecraft.runs.recorder.files import FileSender
from tracecraft.runs.recorder.notices import Notices, why
from tracecraft.runs.recorder.scribe import Wakeup, start_thread

_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class FileCourier:
    """Sends from the first file on. `on_sent` is called when nothing waits any more."""

    def __init__(self, files: FileSender, notices: Notices, on_sent: Callable[[], None]) -> None:
        self._files = files
        self._notices = notices
        self._on_sent = on_sent
        self._wakeup = Wakeup()
        self._thread: threading.Thread | None = None
        self._ended = False
        self.idle = True

    def files(self) -> None:
        """There is something to send."""
        self.idle = False
        if self._thread is None:
            self._thread = start_thread(self._run, "tracecraft-files")
        self._wakeup.ring(urgent=True)

    def end(self) -> None:
        self._ended = True
        self._wakeup.ring(urgent=True)

    def _run(self) -> None:
        failures = 0
        while not self._ended:
            pause = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2 ** min(failures - 1, 10)) if failures else None
            self._wakeup.wait(pause, urgent=True)
            try:
                self._files.send()
                failures = 0
                self.idle = not self._files.waits
                self._on_sent()
            except Exception as error:  # a store may fail in any way; the thread must not end while files wait
                self.idle = False
                failures += 1
                self._notices.say("files", f"files that the run keeps wait in {self._files.folder}: {why(error)}")
