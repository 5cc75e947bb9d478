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
from tracecraft.runs.compacting import delete_keys, write_segments
from tracecraft.runs.fragments import Log
from tracecraft.runs.index import OUTSIDE, IndexEntry, Name, newest, read_loose, read_segments, split
from tracecraft.runs.meta import ENDED, STALE_AFTER, RunMeta, head_of
from tracecraft.runs.summary import Summing
from tracecraft.runs.times import seconds_of

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


def reindex(project: Project) -> Reindexed:
    """Make the index anew. Raises StoreError, with the old index still there."""
    listed = list(project.store.list(project.layout.run_index()))
    loose, segments = split(project, listed)
    before, living = _known(project, loose, segments)
    metas = [info for info in project.store.list(project.layout.runs()) if project.layout.run_meta_of(info.key)]
    stored = list(project.read_listed(metas, RunMeta).values())
    # A run whose record names another is no run of this project's.
    stored = [found for found in stored if found.record.run == project.layout.run_meta_of(found.key)]
    entries = [entry for wave in _waves(stored) for entry in _entries_of(project, wave, before)]
    write_segments(project, (entry for entry in entries if (entry.run, entry.writer) not in living))
    replaced = [info.key for info in loose if project.layout.run_entry_of(info.key) not in living]
    delete_keys(project, [*replaced, *(info.key for info in segments)])
    deleted = sum(bool(found.record.deleted_at) for found in stored)
    return Reindexed(len(stored) - deleted, deleted, len(entries))


def _known(
    project: Project, loose: Sequence[Info], segments: Sequence[Info]
) -> tuple[dict[Name, IndexEntry], set[Name]]:
    """The entries as they are, and whose writers are alive. What cannot be read of them is replaced like the rest."""
    now = max(project.now_by_store(), *(info.modified for info in [*loose, *segments]), 0.0)
    entries, living = [], set()
    for found in read_loose(project, loose):
        found.entry.modified = found.info.modified
        entries.append(found.entry)
        if not found.entry.ended and now - found.info.modified <= STALE_AFTER:
            living.add((found.entry.run, found.entry.writer))
    for there in read_segments(project, segments).values():
        entries.extend(there)
    project.broken = [error for error in project.broken if error.fields.get("key") not in {i.key for i in segments}]
    return newest(entries), living


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
