"""Barriers: wait until steps are complete."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from tracecraft import clock, layout
from tracecraft.claims import Claim, Status, View
from tracecraft.errors import Missing, NotFound, StepBlocked, TimedOut
from tracecraft.records import stored
from tracecraft.store import Object

if TYPE_CHECKING:
    from tracecraft.project import Project


def wait_for(project: Project, steps: Sequence[str], *, timeout: float | None, declared: bool) -> list[View]:
    """Look at all the steps in one wave until all read complete in the same look."""
    names = list(dict.fromkeys(layout.readable_step_id(step) for step in steps))
    watched = {
        key: _Watched(key) for step in names for key in (project.layout.claim(step), project.layout.status(step))
    }
    deadline = clock.Deadline(timeout)
    pace = project.store.pace()
    first = True
    in_review: set[str] = set()
    while True:
        changed = project.store.together([partial(item.look, project) for item in watched.values()])
        views = [_view(project, step, watched) for step in names]
        if first:
            _name_unknown(project, [view.step for view in views if not view.exists], declared)
            first = False
        for view in views:
            if view.state == "blocked":
                raise _blocked(view)
            if view.state == "needs_review" and view.step not in in_review:
                in_review.add(view.step)
                project.say(f"{view.step} needs review (by {view.agent}); still waiting")
        if all(view.state == "complete" for view in views):
            return views
        if deadline.passed:
            raise _timed_out(views, timeout or 0.0)
        if any(changed):
            pace.changed()
        pace.sleep(deadline.left)


class _Watched:
    """One object, read again only when it changed."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.found: Object | None = None

    def look(self, project: Project) -> bool:
        """Whether it changed since the last look."""
        before = self.found
        try:
            if before is None:
                self.found = project.store.get(self._key)
            else:
                self.found = project.store.get_if_changed(self._key, before.info.etag) or before
        except NotFound:
            self.found = None
        return self.found is not before


def _view(project: Project, step: str, watched: dict[str, _Watched]) -> View:
    claim = watched[project.layout.claim(step)].found
    status = watched[project.layout.status(step)].found
    return View(step, stored(claim, Claim) if claim else None, stored(status, Status) if status else None)


def _name_unknown(project: Project, steps: list[str], declared: bool) -> None:
    """Say at once which steps nobody knows: a misspelt name would be waited for in vain."""
    undeclared = []
    for step in steps:
        try:
            project.store.head(project.layout.spec(step))
        except NotFound:
            undeclared.append(step)
    if not undeclared:
        return
    names = ", ".join(undeclared)
    if declared:
        raise Missing(f"no such step: {names}", hint="tracecraft step list", steps=undeclared)
    project.say(f"nobody has declared or claimed {names} yet; waiting all the same")


def _blocked(view: View) -> StepBlocked:
    note = view.handoff.note if view.handoff else ""
    return StepBlocked(
        f"{view.step} is blocked (by {view.agent})" + (f": {note}" if note else ""),
        hint=f"tracecraft handoff {view.step}, then claim or reopen it",
        step=view.step,
        agent=view.agent,
        note=note,
    )


def _timed_out(views: list[View], timeout: float) -> TimedOut:
    states = {view.step: view.state for view in views}
    open_ = ", ".join(f"{step} is {state}" for step, state in states.items() if state != "complete")
    return TimedOut(
        f"not complete after {clock.show_duration(timeout)}: {open_}",
        hint="wait again, or see tracecraft status",
        steps=states,
    )
