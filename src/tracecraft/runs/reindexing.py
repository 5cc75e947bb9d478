"""Makes the index anew from the runs themselves, which alone are the truth.

Entries of writers that are alive stay as they are, for they are written again anyway. All others are replaced: the new
ones are in place before the old ones go. Each new entry counts before the old one of its writer, wherever that may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tracecraft import clock
from tracecraft.records import Stored
from tracecraft.runs.compacting import remove_loose, write_segments
from tracecraft.runs.fragments import Log
from tracecraft.runs.index import OUTSIDE, IndexEntry, Loose, Name, newest, read_loose, read_segments, split
from tracecraft.runs.meta import ENDED, STALE_AFTER, RunMeta, head_of
from tracecraft.runs.summary import Summing
from tracecraft.runs.times import seconds_of
from tracecraft.store import delete_many

if TYPE_CHECKING:
    from tracecraft.project import Project
    from tracecraft.store import Info

_WAVE = 32
"""Runs that are read at a time."""


class Reindexed(NamedTuple):
    """How many runs there are, how many of them were deleted, and how many entries were made."""

    runs: int
    deleted: int
    entries: int


class _Before(NamedTuple):
    """The index as it is: what counts of it, which loose entries are replaced, and which are of living writers."""

    entries: dict[Name, IndexEntry]
    silent: list[Loose]
    living: set[Name]


def reindex(project: Project) -> Reindexed:
    """Make the index anew. Raises StoreError, with the old index still there."""
    loose, segments = split(project, project.store.list(project.layout.run_index()))
    before = _look(project, loose, segments)
    stored = _records(project)
    entries = [entry for wave in _waves(stored) for entry in _entries_of(project, wave, before.entries)]
    write_segments(project, (entry for entry in entries if (entry.run, entry.writer) not in before.living))
    remove_loose(project, before.silent)
    readable = {*before.living, *((found.entry.run, found.entry.writer) for found in before.silent)}
    broken = [info for info in loose if project.layout.run_entry_of(info.key) not in readable]
    gone = {info.key for info in [*segments, *broken]}
    delete_many(project.store, gone)
    project.broken = [error for error in project.broken if error.fields.get("key") not in gone]
    deleted = sum(bool(found.record.deleted_at) for found in stored)
    return Reindexed(len(stored) - deleted, deleted, len(entries))


def _look(project: Project, loose: Sequence[Info], segments: Sequence[Info]) -> _Before:
    now = max(project.now_by_store(), *(info.modified for info in [*loose, *segments]), 0.0)
    entries, silent, living = [], [], set()
    for found in read_loose(project, loose):
        found.entry.modified = found.info.modified
        entries.append(found.entry)
        if found.entry.ended or now - found.info.modified > STALE_AFTER:
            silent.append(found)
        else:
            living.add((found.entry.run, found.entry.writer))
    for there in read_segments(project, segments).values():
        entries.extend(there)
    return _Before(newest(entries), silent, living)


def _records(project: Project) -> list[Stored[RunMeta]]:
    """The records of all runs, deleted ones too. One that names another run is none of this project's."""
    layout = project.layout
    infos = [info for info in project.store.list(layout.runs()) if layout.run_meta_of(info.key)]
    found = project.read_listed(infos, RunMeta).values()
    return [stored for stored in found if stored.record.run == layout.run_meta_of(stored.key)]


def _entries_of(
    project: Project, stored: Sequence[Stored[RunMeta]], before: dict[Name, IndexEntry]
) -> Iterator[IndexEntry]:
    made = project.store.together([partial(_of_run, project, found) for found in stored])
    for entry in (entry for entries in made for entry in entries):
        old = before.get((entry.run, entry.writer))
        if old is not None:
            entry.rev = old.rev + 1
            entry.at = max(entry.at, old.at) if seconds_of(old.at) is not None else entry.at
            entry.modified = max(entry.modified, old.modified)
        yield entry


def _of_run(project: Project, stored: Stored[RunMeta]) -> list[IndexEntry]:
    """The entries of a run's writers; one of nobody's where nobody wrote, or where the run was deleted."""
    meta = stored.record
    head, ended, modified = head_of(meta), meta.status in ENDED, stored.modified or 0.0
    if meta.deleted_at:
        return [IndexEntry(meta.run, OUTSIDE, 1, meta.deleted_at, True, head, modified=modified)]
    log = Log(project, meta.run)
    entries = []
    for writer in log.writers:
        summing = Summing()
        for found in log.of_writer(writer):
            summing.feed(found.line)
        at = _iso(summing.summary.last) or meta.started_at
        entries.append(IndexEntry(meta.run, writer, 1, at, ended, head, summing.summary, modified))
    return entries or [IndexEntry(meta.run, OUTSIDE, 1, meta.started_at, ended, head, modified=modified)]


def _iso(seconds: float) -> str:
    try:
        return clock.iso(seconds) if seconds else ""
    except (ValueError, OverflowError, OSError):
        return ""


def _waves(stored: Sequence[Stored[RunMeta]]) -> Iterator[Sequence[Stored[RunMeta]]]:
    for start in range(0, len(stored), _WAVE):
        yield stored[start : start + _WAVE]
