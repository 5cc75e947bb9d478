"""Takes a process' lines of one run in microseconds, and gets them into the store behind its back.

A line goes through three places, each emptied by a thread:

- the queue, in memory: `log` puts the encoded line there and returns (`scribe.py`);
- the spool, on disk: a twentieth of a second later the scribe has numbered and written it (`spool.py`);
- the store: the courier sends what the spool has twice a second, again and again until the store has it (`sender.py`).
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tracecraft import clock
from tracecraft.records import new_id
from tracecraft.runs.log import Artifact, Known, Lost
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.recorder.encoding import encoded
from tracecraft.runs.recorder.notices import Notices, why
from tracecraft.runs.recorder.scribe import Mark
from tracecraft.runs.recorder.spool import Header
from tracecraft.runs.recorder.writing import Writing

if TYPE_CHECKING:
    from tracecraft.project import Project

CLOSING = 10.0
"""Seconds that closing waits for the store, unless told otherwise."""
_STILL_AWAY = 2.0
"""The same for a store that was away before."""
_ON_DISK = 0.5
"""The same for the disk, at least."""
_RELAY = "tracecraft.runs.recorder.relay"
"""Loaded only where a process forks that uses a bucket."""


class Recorder:
    """One writer of one run. Everything may be called from any thread, and from signal handlers.

    In a forked child it becomes another writer of the same run by itself.
    """

    def __init__(self, project: Project, header: Header, *, via: str, agent: str) -> None:
        self._project = project
        self._via, self._agent = via, agent
        self._notices = Notices()
        self._forked = False
        self._beginning = threading.RLock()
        self._writing = Writing(project, header, self._notices, forked=False)
        self._writing.introduce(via, agent)
        _remember(self)

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
        return self._writing.header.run

    @property
    def writer(self) -> str:
        """The writer's id. A forked child gets one of its own with its first line."""
        return self._writing.header.writer

    def log(self, line: Known) -> None:
        """Record a line, in microseconds. Never raises. The line gets its number later: `id` is not looked at."""
        try:
            if self._forked:
                self._begin_in_child()
            if line.id:
                line.id = 0
            if not self._writing.scribe.put(encoded(line)):
                self._notices.say("late", f"the run {self.run} has ended: what is logged into it now is not recorded")
        except Exception as error:  # whatever it is, the work that is recorded is worth more
            self._notices.say("line", f"a line of the run {self.run} could not be recorded: {why(error)}")

    def log_artifact(
        self, name: str, path: str | os.PathLike[str], *, at: float = 0.0, agent: str = "", span: str = ""
    ) -> Artifact | None:
        """Record a file or folder as it is now, and return the line that was logged; its content is sent later.

        Takes as long as copying it. Raises UsageError for what is neither a file nor a folder; None, and a notice,
        where it could not be read or copied.
        """
        if self._forked:
            self._begin_in_child()
        try:
            line = self._writing.files.keep(name, Path(path))
        except OSError as error:
            self._notices.say("artifact", f"{path} could not be copied, so it is not recorded: {error.strerror}")
            self.log(Lost(at=at or time.time(), agent=agent, span=span, count=1))
            return None
        line.at, line.agent, line.span = at or time.time(), agent, span
        self._writing.courier.files()
        self.log(line)
        return line

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return self._writing.courier.finished

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the store has everything that was logged before; False when the time is over first."""
        if self._forked:
            return True
        writing = self._writing
        if not writing.courier.finished:
            mark = Mark()
            writing.scribe.mark(mark)
            return mark.wait(timeout) and not writing.courier.left
        return not writing.courier.left

    def close(self, timeout: float = CLOSING, *, meta: RunMeta | None = None) -> bool:
        """No more lines come. With `meta` the run itself ended: with its `status`, `ended_at`, `error` and `exit`.

        Waits until the store has everything; False when the time is over first. Sending then goes on while the process
        lives, and what is left waits on disk for the next one.
        """
        if self._forked:
            return True
        writing, courier = self._writing, self._writing.courier
        end = self._end(meta)
        deadline = clock.Deadline(min(timeout, _STILL_AWAY) if courier.away else timeout)
        writing.scribe.join(max(deadline.left or 0.0, _ON_DISK))
        if not courier.finished and end.wait(deadline.left):
            end.release()  # for whoever closes again
        if not courier.finished:
            self._notices.say("away", f"what {self.run} recorded waits in {writing.spool.path}: the store is slow")
        return courier.finished and not courier.left

    def _end(self, meta: RunMeta | None = None) -> Mark:
        """Mark the end, unless that was done before."""
        writing = self._writing
        if writing.end is None:
            end = Mark(end=True, meta=meta)
            writing.scribe.mark(end)
            writing.end = end  # not before: a signal handler that closes, too, must find none that is not on its way
        return writing.end

    def _begin_in_child(self) -> None:
        with self._beginning:
            if not self._forked:
                return
            header = msgspec.structs.replace(self._writing.header, writer=new_id(), meta=None)
            self._writing = Writing(self._project, header, self._notices, forked=True)
            self._writing.introduce(self._via, self._agent)
            self._forked = False
        if (util := sys.modules.get("multiprocessing.util")) is not None:
            # Its processes end without the interpreter's own farewell.
            util.Finalize(self, self.close, exitpriority=0)

    def _leave_to_parent(self) -> None:
        """Called in a forked child: what the parent has open is not touched."""
        self._beginning = threading.RLock()
        self._forked = True
        self._writing.spool.abandon()


_open: list[Recorder] = []
"""Those that may have something to send still."""


def _remember(recorder: Recorder) -> None:
    _open[:] = [known for known in _open if not known.is_finished]
    _open.append(recorder)


def _in_parent() -> None:
    projects = [recorder._project for recorder in list(_open)]
    if any(project.store.remote for project in projects):
        from tracecraft.runs.recorder import relay

        for project in projects:
            relay.watch(project)


def _in_child() -> None:
    if (relay := sys.modules.get(_RELAY)) is not None:
        relay.forget()
    for recorder in _open:
        recorder._leave_to_parent()


def _at_exit() -> None:
    """What was not closed is on disk, and sent if the store is quick; that the process ends does not end the run."""
    deadline = clock.Deadline(_STILL_AWAY)
    for recorder in _open:
        if not recorder._forked:
            recorder._end()
    for recorder in _open:
        recorder.close(deadline.left or 0.0)
    if (relay := sys.modules.get(_RELAY)) is not None:
        relay.catch_up(_STILL_AWAY)


os.register_at_fork(after_in_parent=_in_parent, after_in_child=_in_child)
atexit.register(_at_exit)
