"""Deletes runs. First the record becomes a tombstone: from then on the run is gone for everybody.

What else there is of it goes afterwards, its log last, for that tells which files it used. Killed in between, nothing
of the run is visible any more, and deleting it again goes on. The files themselves stay until `gc` finds that no run
uses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from tracecraft import clock
from tracecraft.errors import Conflict, Missing, WrongState
from tracecraft.layout import is_segment
from tracecraft.records import Stored, commit, read
from tracecraft.runs.fragments import Log
from tracecraft.runs.index import OUTSIDE, IndexEntry, encode
from tracecraft.runs.log import Artifact
from tracecraft.runs.meta import RunMeta, head_of
from tracecraft.runs.reading import status_now
from tracecraft.store import delete_many

if TYPE_CHECKING:
    from tracecraft.project import Project

_TRIES = 10


class Deleted(NamedTuple):
    """What went: objects of the run, and uses of files. `again` says that it had been deleted before."""

    run: str
    name: str
    objects: int
    files: int
    again: bool


def delete_run(project: Project, run: str, *, force: bool = False) -> Deleted:
    """Delete a run for ever. Raises Missing, and WrongState while it is running unless `force`.

    Who still writes into it goes on writing; what that leaves behind goes when it is deleted again.
    """
    before = _stored(project, run)
    tombstone = _bury(project, before, force)
    entry = IndexEntry(run, OUTSIDE, 1, tombstone.deleted_at, True, head_of(tombstone))
    project.store.put(project.layout.run_entry(run, OUTSIDE), encode(entry))
    uses = _uses(project, run)
    delete_many(project.store, uses)
    objects = [*_log_keys(project, run), *_entry_keys(project, run)]
    delete_many(project.store, objects)
    return Deleted(run, before.record.name, len(objects), len(uses), bool(before.record.deleted_at))


def _bury(project: Project, stored: Stored[RunMeta], force: bool) -> RunMeta:
    """Put the tombstone in the record's place. Whoever changes the record meanwhile is heard first."""
    for _ in range(_TRIES):
        if stored.record.deleted_at:
            return stored.record
        if not force and status_now(project, stored) == "running":
            run = stored.record.run
            raise WrongState(
                f"{run} is running; nothing was deleted",
                hint="end it first, or delete it all the same with --force",
                run=run,
                state="running",
            )
        tombstone = _tombstone(stored.record)
        try:
            commit(project.store, stored.key, tombstone, stored)
        except Conflict:
            stored = _stored(project, stored.record.run)
        else:
            return tombstone
    raise WrongState(
        f"{stored.record.run} keeps changing, so it was not deleted",
        hint="end it first, or repeat the command",
        run=stored.record.run,
        state=stored.record.status,
    )


def _tombstone(meta: RunMeta) -> RunMeta:
    """What stays of a run: that it was there. A run that was running ended by this."""
    status = "cancelled" if meta.status == "running" else meta.status
    return RunMeta(run=meta.run, status=status, started_at=meta.started_at, deleted_at=clock.now())


def _stored(project: Project, run: str) -> Stored[RunMeta]:
    stored = read(project.store, project.layout.run_meta(run), RunMeta) if is_segment(run) else None
    if stored is None:
        raise Missing(f"there is no run {run!r}", hint="tracecraft run list", run=run)
    return stored


def _uses(project: Project, run: str) -> list[str]:
    """The keys that say the run uses a file."""
    sums = {sha256 for found in Log(project, run).in_order() for sha256 in _sums(found.line)}
    return [project.layout.blob_user(sha256, run) for sha256 in sorted(sums)]


def _sums(line: object) -> Iterator[str]:
    if isinstance(line, Artifact):
        yield from filter(is_segment, [line.sha256, *(sha256 for _, sha256, _ in line.files)])


def _log_keys(project: Project, run: str) -> list[str]:
    return [info.key for info in project.store.list(project.layout.run_logs(run))]


def _entry_keys(project: Project, run: str) -> list[str]:
    """The run's loose entries but for the one that says it was deleted."""
    start = f"{project.layout.run_entries()}{run}~"
    listed = project.store.list(project.layout.run_entries(), after=start)
    keys = (info.key for info in takewhile(lambda info: info.key.startswith(start), listed))
    return [key for key in keys if key != project.layout.run_entry(run, OUTSIDE)]
