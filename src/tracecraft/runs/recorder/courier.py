"""The thread that sends what a recorder wrote down, for as long as it takes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from tracecraft.runs.recorder.notices import Notices, why
from tracecraft.runs.recorder.record import RunDeleted
from tracecraft.runs.recorder.scribe import Mark, Wakeup
from tracecraft.runs.recorder.sender import Sender

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class Courier:
    """Sends, and releases marks whose lines the store has. `away` says that the store did not take the last try.

    `on_end` is called once, when nothing is left to send for ever.
    """

    def __init__(self, sender: Sender, notices: Notices, where: str, on_end: Callable[[], None]) -> None:
        self._sender = sender
        self._notices = notices
        self._where = where
        self._on_end = on_end
        self._wakeup = Wakeup()
        self._new_marks: deque[Mark] = deque()
        self._marks: list[Mark] = []
        self._failures = 0
        self.finished = False
        threading.Thread(target=self._run, name="tracecraft-courier", daemon=True).start()

    @property
    def away(self) -> bool:
        return self._failures > 0

    def lines(self) -> None:
        """There may be something to send."""
        self._wakeup.ring()

    def mark(self, mark: Mark) -> None:
        self._new_marks.append(mark)
        self._wakeup.ring(urgent=True)
        if self.finished:
            mark.release()

    def _run(self) -> None:
        while not self.finished:
            self._wait()
            while self._new_marks:
                self._marks.append(self._new_marks.popleft())
            try:
                self._work()
                self._failures = 0
            except RunDeleted:
                self._notices.say("deleted", f"the run was deleted: nothing more of it is recorded ({self._where})")
                self._end()
            except Exception as error:  # a store may fail in any way; the thread must not end while lines wait
                self._failures += 1
                self._notices.say("away", f"recording waits in {self._where} until the store takes it: {why(error)}")

    def _wait(self) -> None:
        if self._failures:
            self._wakeup.wait(min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2 ** min(self._failures - 1, 10)), urgent=True)
        elif not self._wakeup.wait(self._sender.beat_in) and not self._marks:
            self._wakeup.wait(self._sender.cut_in, urgent=True)

    def _work(self) -> None:
        ending = next((mark for mark in self._marks if mark.end), None)
        self._sender.send(hurry=bool(self._marks), last=ending is not None)
        if ending is not None:
            self._sender.finish(ending.meta)
            self._end()
        done = [mark for mark in self._marks if mark.line <= self._sender.acknowledged]
        self._marks = [mark for mark in self._marks if mark not in done]
        for mark in done:
            mark.release()

    def _end(self) -> None:
        self.finished = True
        self._on_end()
        for mark in (*self._marks, *self._new_marks):
            mark.release()
        self._marks = []
