"""Reads a run from its record and its logs, which are the truth about it. The index is not asked what it comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from tracecraft.errors import Missing
from tracecraft.records import Stored, read
from tracecraft.runs.fragments import Gap, Log
from tracecraft.runs.liveness import beats_of, status_of
from tracecraft.runs.log import Line
from tracecraft.runs.meta import RunMeta, head_of
from tracecraft.runs.summary import Summary, Summing

if TYPE_CHECKING:
    from tracecraft.project import Project


class RunView(msgspec.Struct, frozen=True):
    """A run as it is. `status` is derived: a run that shows no sign of life reads as `stale`.

    `gaps` are lines that are nowhere, `broken` says which objects hold what is no line.
    """

    meta: RunMeta
    status: str
    summary: Summary
    gaps: Sequence[Gap]
    broken: Sequence[str]


def read_run(project: Project, run_id: str) -> RunView:
    """The run of this id. Raises Missing where there is none or it was deleted, and BrokenRecord."""
    stored = read_meta(project, run_id)
    log = Log(project, run_id)
    summary = summed(log)
    return RunView(stored.record, status_now(project, stored), summary, log.gaps, log.broken)


def lines(project: Project, run_id: str) -> Iterator[tuple[str, Line]]:
    """All lines of a run with the writers they are of, by time; those of one writer in its order."""
    for found in Log(project, run_id).in_order():
        yield found.writer, found.line


def raw_lines(project: Project, run_id: str) -> Iterator[bytes]:
    """The same as they are stored, each with its newline."""
    for found in Log(project, run_id).in_order():
        yield found.data + b"\n"


def read_meta(project: Project, run_id: str) -> Stored[RunMeta]:
    """The record of a run. Raises Missing where there is none or the run was deleted, and BrokenRecord."""
    stored = read(project.store, project.layout.run_meta(run_id), RunMeta)
    if stored is None or stored.record.deleted_at:
        raise Missing(f"there is no run {run_id!r}", hint="tracecraft run list", run=run_id)
    return stored


def summed(log: Log) -> Summary:
    """What the lines of all writers come to."""
    whole = Summary()
    for writer in log.writers:
        summing = Summing()
        for found in log.of_writer(writer):
            summing.feed(found.line)
        whole.merge(summing.summary)
    return whole


def status_now(project: Project, stored: Stored[RunMeta]) -> str:
    """The status to show of a run whose record was just read."""
    head = head_of(stored.record)
    if head.status != "running":
        return head.status
    sign = max(_last_entry(project, stored.record.run), stored.modified or 0.0)
    return status_of(head, sign, project.now_by_store(), beats_of(project, [head]))


def _last_entry(project: Project, run_id: str) -> float:
    """When a writer of the run last wrote its index entry; 0 where none lies there."""
    layout = project.layout
    start = f"{layout.run_entries()}{run_id}~"
    listed = project.store.list(layout.run_entries(), after=start)
    return max((info.modified for info in takewhile(lambda info: info.key.startswith(start), listed)), default=0.0)
