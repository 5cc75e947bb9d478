"""The thread that sends what a recorder wrote down, for as long as it takes."""

from __future__ import annotations

from collections import deque

from tracecraft.errors import UsageError
from tracecraft.runs.recorder.filecourier import FileCourier
from tracecraft.runs.recorder.files import FileSender
from tracecraft.runs.recorder.notices import Notices, why
from tracecraft.runs.recorder.record import RunDeleted
from tracecraft.runs.recorder.scribe import Mark, Wakeup, start_thread
from tracecraft.runs.recorder.sender import Sender
from tracecraft.runs.recorder.spool import Spool

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class Courier:
    """Sends, and releases marks whose lines the store has. `away` says that the store did not take the last try.

    `finished` is true when nothing is left to do; `left` when what waits was left to the process that forked this one.
    """

    def __init__(self, sender: Sender, files: FileSender, spool: Spool, notices: Notices, *, forked: bool) -> None:
        self._sender = sender
        self._files = files
        self._file_courier = FileCourier(files, notices, lambda: self._wakeup.ring(urgent=True))
        self._spool = spool
        self._notices = notices
        self._forked = forked
        self._wakeup = Wakeup()
        self._new_marks: deque[Mark] = deque()
        self._marks: list[Mark] = []
        self._failures = 0
        self.finished = False
        self.left = False
        if start_thread(self._run, "tracecraft-courier") is None:
            self.finished = self.left = True

    @property
    def away(self) -> bool:
        return self._failures > 0

    def lines(self) -> None:
        """There may be something to send."""
        self._wakeup.ring()

    def files(self) -> None:
        """There is a file to send."""
        self._file_courier.files()

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
                self._notices.say("deleted", "the run was deleted: what it records from now on is not kept")
                self._end(remove=True)
            except Exception as error:  # a store may fail in any way; the thread must not end while lines wait
                self._failed(error)

    def _wait(self) -> None:
        """Until something is due: lines to send, a mark, the next sign of life, or another try."""
        if self._failures:
            self._wakeup.wait(min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2 ** min(self._failures - 1, 10)), urgent=True)
        elif not self._wakeup.wait(self._sender.beat_in) and not self._marks:
            self._wakeup.wait(self._sender.cut_in, urgent=True)

    def _work(self) -> None:
        if self.left:
            self._leave()
            return
        ending = next((mark for mark in self._marks if mark.end), None)
        self._sender.send(until=max((mark.line for mark in self._marks), default=0), last=ending is not None)
        if self._marks and self._file_courier.idle:
            if ending is not None:
                self._sender.finish(ending.meta)
                self._end(remove=True)
            self._release([mark for mark in self._marks if mark.line <= self._sender.acknowledged])

    def _failed(self, error: Exception) -> None:
        if self._forked and isinstance(error, UsageError):
            # A bucket cannot be used in a process that was forked after its first use.
            self.left = True
            self._spool.ask_relay()
            self._leave()
            return
        self._failures += 1
        where = "memory: the disk takes nothing either" if self._spool.failure else str(self._spool.path)
        self._notices.say("away", f"what is recorded waits in {where} and is sent again and again: {why(error)}")

    def _leave(self) -> None:
        """What is written is sent by the process that forked this one."""
        if any(mark.end for mark in self._marks):
            self._end(remove=False)
        self._release(self._marks)

    def _end(self, *, remove: bool) -> None:
        self.finished = True
        self._file_courier.end()
        if remove:
            self._files.remove()
            self._spool.remove()
        else:
            self._spool.close()
        self._release([*self._marks, *self._new_marks])

    def _release(self, done: list[Mark]) -> None:
        self._marks = [mark for mark in self._marks if mark not in done]
        for mark in done:
            mark.release()
