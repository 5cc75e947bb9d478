"""Finds the run that somebody means: by its id, the beginning of that, the beginning of its hex part, or its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tracecraft.errors import Missing, UsageError
from tracecraft.layout import is_segment
from tracecraft.records import Stored, read
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.rows import Row, read_rows

if TYPE_CHECKING:
    from tracecraft.project import Project

_NAMED = 10


def find(project: Project, given: str) -> str:
    """The id of the run that is meant. Raises Missing, and UsageError where it may be any of several."""
    return find_all(project, [given])[0]


def find_all(project: Project, given: Sequence[str]) -> list[str]:
    """The ids of the runs that are meant, in order; the index is read once, and only where an id is not whole."""
    exact = {text: is_run(project, text) for text in given}
    rows = [] if all(exact.values()) else read_rows(project).rows
    return [text if exact[text] else meant(text, rows).run for text in given]


def find_all_or_deleted(project: Project, given: Sequence[str]) -> list[str]:
    """The same, but a whole id also names a run that was deleted."""
    whole = {text for text in given if _stored(project, text) is not None}
    others = iter(find_all(project, [text for text in given if text not in whole]))
    return list(dict.fromkeys(text if text in whole else next(others) for text in given))


def is_run(project: Project, run: str) -> bool:
    """Whether there is a run of exactly this id."""
    stored = _stored(project, run)
    return stored is not None and not stored.record.deleted_at


def meant(given: str, rows: Sequence[Row]) -> Row:
    """The one of some runs that a text means. Raises Missing, and UsageError where it may be any of several."""
    if not given:
        raise UsageError("no run is named", hint="give its id, the beginning of it, or its name: tracecraft run list")
    for fits in _WAYS:
        found = [row for row in rows if fits(row, given)]
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(row.run for row in found[:_NAMED])
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            raise UsageError(
                f"{given!r} may be any of {some}{more}",
                hint="give more of the id",
                candidates=[row.run for row in found],
            )
    raise Missing(
        f"no run has an id that begins with {given!r}, or that name",
        hint="tracecraft run list; if one is missing there: tracecraft run reindex",
        run=given,
    )


def short_id(run: str) -> str:
    """The hex part of a run's id."""
    return run.rpartition("-")[2]


def _stored(project: Project, run: str) -> Stored[RunMeta] | None:
    return read(project.store, project.layout.run_meta(run), RunMeta) if is_segment(run) else None


def _has_id(row: Row, given: str) -> bool:
    return row.run == given


def _has_name(row: Row, given: str) -> bool:
    return row.head.name == given


def _begins_so(row: Row, given: str) -> bool:
    return row.run.startswith(given) or short_id(row.run).startswith(given)


_WAYS: tuple[Callable[[Row, str], bool], ...] = (_has_id, _has_name, _begins_so)
