"""How runs are named, and how one that ended goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from tracecraft import clock, layout
from tracecraft.errors import Conflict, Missing, Unreachable, UsageError, WrongState
from tracecraft.records import Stored, commit, read
from tracecraft.runs.meta import Resumed, RunMeta

if TYPE_CHECKING:
    from tracecraft.project import Project

_LONGEST_NAME = 200
_LONGEST_SLUG = 40
_ROUNDS = 20
_COMES_WITHIN = 10.0


def new_run_id(name: str) -> str:
    """An id for a run of this name: what of it a name may have, and eight random hexadecimal digits."""
    slug = layout.valid_name(name.lower(), "run")[:_LONGEST_SLUG].strip("-._") or "run"
    return f"{slug}-{layout.new_short_id()}"


def checked_name(what: str, text: str) -> str:
    """A name of a run or a group. Raises UsageError."""
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_NAME or not text.isprintable():
        raise UsageError(
            f"not the name of a {what}: {str(text)[:80]!r}", hint=f"1 to {_LONGEST_NAME} characters on one line"
        )
    return text


def present(project: Project, run: str) -> Stored[RunMeta]:
    """The record of a run that is there. Raises Missing, WrongState for a deleted one.

    The process that started this one within a run makes the run's record behind its own back. So the record may come
    a moment after its child asks for it, and is waited for.
    """
    key = project.layout.run_meta(run)
    found = read(project.store, key, RunMeta)
    patience, pace = clock.Deadline(_COMES_WITHIN), clock.Pace(0.05, 0.5)
    while found is None and run == project.inherited.run and not patience.passed:
        pace.sleep(patience.left)
        found = read(project.store, key, RunMeta)
    if found is None:
        raise Missing(f"no run {run}", hint="tracecraft run list", run=run)
    if found.record.deleted_at:
        raise WrongState(f"the run {run} was deleted", hint="begin a new one", run=run, state="deleted")
    return found


def resumed(project: Project, run: str, writer: str) -> RunMeta:
    """The record of a run that goes on, as it was written. Raises Missing, WrongState, StoreError."""
    for _ in range(_ROUNDS):
        found = present(project, run)
        before = found.record
        again = Resumed(at=clock.now(), writer=writer, host=os.uname().nodename)
        record = msgspec.structs.replace(
            before, status="running", ended_at="", error="", exit=None, resumed=[*before.resumed, again]
        )
        try:
            return commit(project.store, found.key, record, found).record
        except Conflict:
            continue
    raise Unreachable(f"{run} keeps changing", hint="try again")
