"""All runs of a project as lists show them, from the index alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tracecraft.runs.index import IndexEntry, newest, read_index
from tracecraft.runs.liveness import beats_of, status_of
from tracecraft.runs.meta import Head
from tracecraft.runs.summary import Summary

if TYPE_CHECKING:
    from tracecraft.project import Project


class Row(msgspec.Struct, frozen=True):
    """A run as the index knows it. `status` is derived; `sign` is when something of it was written last, by the
    store's clock; `known_at` is the time of the entry that `head` is from."""

    run: str
    head: Head
    status: str
    summary: Summary
    sign: float
    known_at: str


class Listing(NamedTuple):
    """Every run that was not deleted, newest first, and how many entries of the index wait to be folded."""

    rows: list[Row]
    uncollected: int


def read_rows(project: Project) -> Listing:
    """The runs as the index knows them now. What of it is broken goes to `project.broken`."""
    index = read_index(project)
    by_run: dict[str, list[IndexEntry]] = {}
    for entry in newest(index.entries).values():
        by_run.setdefault(entry.run, []).append(entry)
    there = {run: entries for run, entries in by_run.items() if not any(entry.head.deleted for entry in entries)}
    heads = {run: max(entries, key=lambda entry: entry.at) for run, entries in there.items()}
    beats, now = beats_of(project, (latest.head for latest in heads.values())), project.now_by_store()
    found = []
    for run, entries in there.items():
        head, sign = heads[run].head, max(entry.modified for entry in entries)
        found.append(Row(run, head, status_of(head, sign, now, beats), _together(entries), sign, heads[run].at))
    found.sort(key=lambda row: (row.head.started_at, row.run), reverse=True)
    return Listing(found, index.ended)


def _together(entries: Sequence[IndexEntry]) -> Summary:
    """What the writers' parts come to. The entries may be changed by this."""
    first, *others = sorted(entries, key=lambda entry: entry.writer)
    for other in others:
        first.summary.merge(other.summary)
    return first.summary
