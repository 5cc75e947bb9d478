"""The run's record and the writer's index entry, as the writer keeps them in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tracecraft import clock
from tracecraft.errors import Conflict, NotFound
from tracecraft.records import Stored, Versioned, commit, read
from tracecraft.runs import index
from tracecraft.runs.index import IndexEntry
from tracecraft.runs.meta import RunMeta, head_of
from tracecraft.runs.recorder.redacting import Redaction
from tracecraft.runs.summary import Summary

if TYPE_CHECKING:
    from tracecraft.project import Project

_TRIES = 10

_PREPARED = [msgspec.json.Decoder(kind) for kind in (RunMeta, Versioned)]
"""msgspec learns a type when it first reads one, and runs Python code meanwhile. Done in a thread, a process that forks
at that moment would have children that know half of the type, and crash on reading one."""


class RunDeleted(Exception):
    """The run was deleted: nobody wants its lines any more."""


class RunRecord:
    """`meta.json` of the run a writer belongs to. `first` is what it is made from where the store has none."""

    def __init__(self, project: Project, run: str, first: RunMeta | None, redaction: Redaction) -> None:
        self._project = project
        self._key = project.layout.run_meta(run)
        self._first = first
        self._redaction = redaction
        self.meta = RunMeta(run=run)

    def refresh(self) -> Stored[RunMeta] | None:
        """Read it, or make it where it is to be made. Raises RunDeleted, BrokenRecord and StoreError."""
        found = read(self._project.store, self._key, RunMeta)
        if found is None and self._first is not None:
            try:
                found = commit(self._project.store, self._key, self._redaction.meta(self._first), None)
            except Conflict:
                found = read(self._project.store, self._key, RunMeta)
        if found is not None:
            if found.record.deleted_at:
                raise RunDeleted(found.record.run)
            self.meta = found.record
        return found

    def end(self, ending: RunMeta) -> None:
        """Write how the run ended, unless somebody did, or it was resumed since. Raises as `refresh` does."""
        ending = self._redaction.meta(ending)
        for _ in range(_TRIES):
            found = self.refresh()
            if found is None or found.record.status != "running" or _starts(found.record) != _starts(ending):
                return
            ended = msgspec.structs.replace(
                found.record, status=ending.status, ended_at=ending.ended_at, error=ending.error, exit=ending.exit
            )
            try:
                self.meta = commit(self._project.store, self._key, ended, found).record
            except Conflict:
                continue
            return


class Entry:
    """The index entry of one writer, whose rewriting is its sign of life."""

    def __init__(self, project: Project, run: str, writer: str) -> None:
        self._project = project
        self._key = project.layout.run_entry(run, writer)
        self._run, self._writer = run, writer
        self._rev = 0

    def continue_from_store(self) -> None:
        """Count on from what another process wrote of the same writer. Raises StoreError."""
        try:
            before = msgspec.json.decode(self._project.store.get(self._key).data, type=IndexEntry)
        except (NotFound, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        self._rev = max(self._rev, before.rev)

    def write(self, meta: RunMeta, summary: Summary, *, ended: bool) -> None:
        """Raises StoreError."""
        self._rev += 1
        entry = IndexEntry(self._run, self._writer, self._rev, clock.now(), ended, head_of(meta), summary)
        self._project.store.put(self._key, index.encode(entry))


def _starts(meta: RunMeta) -> int:
    """How often the run was begun. An ending of before must not end it again."""
    return len(meta.resumed)
