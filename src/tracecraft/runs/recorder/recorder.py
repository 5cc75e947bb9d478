"""Takes a process' lines of one run in microseconds, and gets them into the store behind its back.

A line goes through three places, each emptied by a thread:

- the queue, in memory: `log` puts the encoded line there and returns (`scribe.py`);
- the spool, on disk: a tenth of a second later the scribe has numbered and written it (`spool.py`);
- the store: the courier sends what the spool has twice a second, again and again until the store has it (`sender.py`).
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from typing import TYPE_CHECKING

import msgspec

from tracecraft import localprocess
from tracecraft.records import new_id
from tracecraft.runs.log import Known, Writer
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.recorder.courier import Courier
from tracecraft.runs.recorder.encoding import encoded
from tracecraft.runs.recorder.notices import Notices
from tracecraft.runs.recorder.scribe import Mark, Scribe
from tracecraft.runs.recorder.sender import Sender
from tracecraft.runs.recorder.spool import Header, Spool, folder_of

if TYPE_CHECKING:
    from tracecraft.project import Project

CLOSING = 10.0
"""Seconds that closing waits for the store, unless told otherwise."""
_STILL_AWAY = 2.0
"""The same for a store that was away before."""


class Recorder:
    """One writer of one run. Everything may be called from any thread, and from signal handlers.

    In a forked child it becomes another writer of the same run by itself.
    """

    def __init__(self, project: Project, header: Header, *, via: str, agent: str) -> None:
        self._project = project
        self._via, self._agent = via, agent
        self._notices = Notices()
        self._start(header)
        _open.add(self)

    @classmethod
    def open(
        cls,
        project: Project,
        run_id: str,
        *,
        via: str,
        agent: str = "",
        redact: bool = True,
        meta: RunMeta | None = None,
    ) -> Recorder:
        """A new writer of a run; `via` says what it is: `sdk`, `cli` or `exec`. Makes no request itself.

        `meta` is what the run's record is made from, behind the caller's back, where the store has none yet. Without
        `redact` secrets are left in what is recorded.
        """
        return cls(project, Header(run_id, new_id(), redact, meta=meta), via=via, agent=agent)

    @property
    def run(self) -> str:
        return self._header.run

    @property
    def writer(self) -> str:
        """The writer's id."""
        return self._header.writer

    def log(self, line: Known) -> None:
        """Record a line, in microseconds. Never raises. The line gets its number later: `id` is not looked at."""
        if self._forked:
            self._begin_in_child()
        if line.id:
            line.id = 0
        if not self._scribe.put(encoded(line)):
            self._notices.say("late", f"the run {self.run} has ended: what is logged into it now is not recorded")

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the store has everything that was logged before; False when the time is over first."""
        if self._forked or self._courier.finished:
            return True
        mark = Mark()
        self._scribe.mark(mark)
        return mark.wait(timeout)

    def close(self, timeout: float = CLOSING, *, meta: RunMeta | None = None) -> bool:
        """No more lines come. With `meta` the run itself ended: with its `status`, `ended_at`, `error` and `exit`.

        Waits until the store has everything; False when the time is over first. Sending then goes on while the process
        lives, and what is left waits on disk for the next one.
        """
        if self._forked:
            return True
        if self._end is None:
            self._end = Mark(end=True, meta=meta)
            self._scribe.mark(self._end)
        if not self._courier.finished and self._end.wait(min(timeout, _STILL_AWAY) if self._courier.away else timeout):
            self._end.release()  # for whoever closes again
        if not self._courier.finished:
            self._notices.say("away", f"what {self.run} recorded waits in {self._spool.path}: the store is slow")
        return self._courier.finished

    def _start(self, header: Header) -> None:
        """Begin to be a writer."""
        self._forked = False
        self._header = header
        self._end: Mark | None = None
        self._spool = Spool(folder_of(self._project.local.folder), header)
        sender = Sender(self._project, header, self._spool)
        self._courier = Courier(sender, self._notices, str(self._spool.path), self._spool.remove)
        self._scribe = Scribe(self._spool, self._courier.lines, self._courier.mark)
        self.log(
            Writer(
                at=time.time(),
                host=os.uname().nodename,
                pid=os.getpid(),
                process=localprocess.name(os.getpid()),
                agent=self._agent,
                via=self._via,
            )
        )

    def _begin_in_child(self) -> None:
        self._start(msgspec.structs.replace(self._header, writer=new_id(), meta=None))

    def _leave_to_parent(self) -> None:
        """Called in a forked child: what the parent has open is not touched."""
        self._forked = True
        self._spool.abandon()


_open: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _after_fork() -> None:
    for recorder in list(_open):
        recorder._leave_to_parent()


def _at_exit() -> None:
    """What was not closed is on disk and sent if the store is quick; the run itself did not end."""
    for recorder in list(_open):
        recorder.close(_STILL_AWAY)


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
