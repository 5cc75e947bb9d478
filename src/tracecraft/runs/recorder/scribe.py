"""The queue of a recorder, and the thread that writes what is in it to disk.

Nothing here takes a lock that a caller could hold when a signal or a collection of garbage interrupts it: the queue is
a deque whose ends are atomic, and lines get their numbers when the scribe takes them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

from tracecraft import clock
from tracecraft.runs.log import Lost
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.recorder.encoding import encoded, numbered
from tracecraft.runs.recorder.spool import Control, Spool, control_line

LINGER = 0.05
"""Seconds that lines wait in memory for more. With `CUT_EVERY` of the sender it makes half a second."""
MOST_WAITING = 4 << 20
"""Bytes in the queue above which callers let the scribe catch up."""
MOST_HELD = 32 << 20
"""Bytes that are held in memory where the disk takes none. What comes then is dropped, and counted."""
_BATCH = 1 << 20
_CATCH_UP = 0.5
_RETRY = 1.0


class Mark:
    """Stands in the queue behind the lines that it is about. `line` is the number of the last of them."""

    def __init__(self, *, end: bool = False, meta: RunMeta | None = None) -> None:
        self.end = end
        self.meta = meta
        self.line = 0
        self._done: SimpleQueue[None] = SimpleQueue()

    def release(self) -> None:
        """The store has the lines."""
        self._done.put(None)

    def wait(self, seconds: float | None) -> bool:
        try:
            self._done.get(timeout=seconds)
        except Empty:
            return False
        return True


class Wakeup:
    """Wakes a thread; `urgent` wakes cut its pauses short. May be rung from signal handlers."""

    def __init__(self) -> None:
        self._rings: SimpleQueue[bool] = SimpleQueue()

    def ring(self, *, urgent: bool = False) -> None:
        self._rings.put(urgent)

    def wait(self, seconds: float | None, *, urgent: bool = False) -> bool:
        """Wait for a ring, or for an urgent one. Returns whether one that came was urgent."""
        deadline = clock.Deadline(seconds)
        while True:
            try:
                rung = self._rings.get(timeout=deadline.left)
            except Empty:
                return False
            if rung or not urgent:
                return rung


def start_thread(work: Callable[[], None], name: str) -> threading.Thread | None:
    """A thread that does not keep the process from ending; None where none can be started, as when it is ending."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


class Scribe:
    """`on_mark` hears of every mark whose lines are written, `on_lines` that there is something to send."""

    def __init__(self, spool: Spool, on_lines: Callable[[], None], on_mark: Callable[[Mark], None]) -> None:
        self._spool = spool
        self._on_lines = on_lines
        self._on_mark = on_mark
        self._queue: deque[bytes | Mark] = deque()
        self._waiting = 0
        self._blocked = False
        self._awake = False
        self._wakeup = Wakeup()
        self._number = 0
        self._lost = 0
        self._losing = threading.RLock()
        self._ended: Mark | None = None
        self._thread = start_thread(self._run, "tracecraft-scribe")
        if self._thread is None:
            self._ended = Mark(end=True)

    def put(self, data: bytes) -> bool:
        """Take an encoded line. False where it was dropped because the writer had ended before."""
        if self._waiting > MOST_WAITING and not self._has_room():
            with self._losing:
                self._lost += 1
            return True
        self._waiting += len(data)
        self._queue.append(data)
        if not self._awake:
            self._awake = True
            self._wakeup.ring()
        return self._ended is None or not self._take_back(data)

    def mark(self, mark: Mark) -> None:
        self._queue.append(mark)
        self._wakeup.ring(urgent=True)
        if self._ended is not None and self._take_back(mark):
            self._pass_on(mark)

    def join(self, seconds: float) -> None:
        """After a mark that ends: wait until everything is on disk, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _has_room(self) -> bool:
        """Let the scribe catch up, unless it did not lately: a disk that hangs is no reason to hang."""
        deadline = clock.Deadline(_CATCH_UP)
        self._wakeup.ring(urgent=True)
        while self._waiting > MOST_WAITING and not self._blocked:
            if deadline.passed:
                self._blocked = True
            time.sleep(0.001)
        return self._waiting <= MOST_WAITING

    def _take_back(self, item: bytes | Mark) -> bool:
        """Whether something that came with the end was not taken any more."""
        try:
            self._queue.remove(item)
        except (ValueError, IndexError):  # it was taken, or something is being taken just now
            return False
        return True

    def _pass_on(self, mark: Mark) -> None:
        mark.line = self._number
        self._on_mark(mark)

    def _run(self) -> None:
        while self._ended is None:
            urgent = self._wakeup.wait(_RETRY if self._spool.failure else None)
            if not urgent:
                self._wakeup.wait(LINGER, urgent=True)
            self._awake = False
            self._empty_queue()

    def _empty_queue(self) -> None:
        ending: Mark | None = None
        while not ending and self._may_take():
            lines, mark = self._next()
            self._tell_lost(lines)
            if mark is not None and mark.end:
                # From now on nobody adds a line without looking whether it was taken.
                self._ended = ending = mark
                lines += self._rest()
            if lines or self._spool.held_bytes:
                self._spool.append(b"".join(lines))
            if mark is not None and not mark.end:
                self._pass_on(mark)
            if not lines and mark is None:
                self._waiting = 0
                break
        if ending is not None:
            self._spool.append(control_line(Control(end=True, meta=ending.meta)))
            self._pass_on(ending)
        self._on_lines()

    def _may_take(self) -> bool:
        if self._spool.held_bytes > MOST_HELD:
            self._spool.append(b"")
        self._blocked = self._spool.held_bytes > MOST_HELD
        return not self._blocked

    def _next(self) -> tuple[list[bytes], Mark | None]:
        """Lines up to the next mark, with their numbers, about a batch of them."""
        lines: list[bytes] = []
        size = 0
        while self._queue and size < _BATCH:
            item = self._queue.popleft()
            if isinstance(item, Mark):
                return lines, item
            lines.append(self._numbered(item))
            size += len(item)
        self._waiting = max(0, self._waiting - size)
        return lines, None

    def _rest(self) -> list[bytes]:
        """What came in the moment of the end. Marks behind it are as good as it."""
        lines: list[bytes] = []
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, Mark):
                self._pass_on(item)
            else:
                lines.append(self._numbered(item))
        return lines

    def _numbered(self, data: bytes) -> bytes:
        self._number += 1
        return numbered(data, self._number)

    def _tell_lost(self, lines: list[bytes]) -> None:
        if self._lost and not self._blocked:
            with self._losing:
                count, self._lost = self._lost, 0
            lines.append(self._numbered(encoded(Lost(at=time.time(), count=count))))
