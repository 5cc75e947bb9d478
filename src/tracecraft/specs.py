"""Declared work: what a step is about, what it needs, how urgent it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft import clock, layout
from tracecraft.errors import Conflict, Refused, Unreachable, UsageError
from tracecraft.records import Versioned, commit, read

if TYPE_CHECKING:
    from tracecraft.project import Project

DEFAULT_PRIORITY = 2

_ROUNDS = 50


class Spec(Versioned):
    """`spec.json`: declared work. A smaller priority comes first; `order` keeps the order of declaration."""

    title: str = ""
    needs: list[str] = msgspec.field(default_factory=list)
    priority: int = DEFAULT_PRIORITY
    tags: list[str] = msgspec.field(default_factory=list)
    order: int = 0
    added_by: str = ""
    added_at: str = ""

    def same_work(self, other: Spec) -> bool:
        return (self.title, self.needs, self.priority, self.tags) == (
            other.title,
            other.needs,
            other.priority,
            other.tags,
        )


def make_spec(
    *, title: str = "", needs: Sequence[str] = (), priority: int = DEFAULT_PRIORITY, tags: Sequence[str] = ()
) -> Spec:
    """A declaration, checked. Raises UsageError."""
    if priority < 0:
        raise UsageError(f"a priority of {priority} is below 0", hint="0 comes first; the default is 2")
    return Spec(
        title=title,
        needs=list(dict.fromkeys(layout.step_id(need) for need in needs)),
        priority=priority,
        tags=list(dict.fromkeys(layout.name("tag", tag) for tag in tags)),
    )


def declare(project: Project, specs: Sequence[tuple[str, Spec]], *, replace: bool) -> list[Spec]:
    """Declare many steps; all are checked before any is written. See `Steps.load`."""
    board = project.steps.board()
    born = clock.now_ns()
    new: dict[str, Spec] = {}
    for index, (named, spec) in enumerate(specs):
        step = layout.step_id(named)
        if step in new:
            raise UsageError(f"{step} is declared twice", hint="declare each step once")
        before = board.specs.get(step)
        if before is not None and not before.same_work(spec) and not replace:
            raise Refused(f"{step} is declared already, differently", hint="declare it anew with --replace", step=step)
        order = before.order if before else born + index
        new[step] = msgspec.structs.replace(
            spec,
            order=order,
            added_by=project.agent,
            added_at=clock.now(),
            extra=before.extra if before else {},
        )
    ring = find_cycle({step: spec.needs for step, spec in {**board.specs, **new}.items()})
    if ring:
        raise UsageError(f"steps that need each other: {' -> '.join(ring)}", hint="take one of the needs out")
    fresh = {s: spec for s, spec in new.items() if s not in board.specs or not board.specs[s].same_work(spec)}
    project.store.together([partial(_declare_one, project, step, spec, replace) for step, spec in fresh.items()])
    event = project.events.item
    project.write_after(
        [event("step.add", step, about=project.layout.spec(step), **_told(spec)) for step, spec in fresh.items()]
        + project.agents.beat_item(),
        done=f"{len(fresh)} steps declared",
    )
    return list(new.values())


def _told(spec: Spec) -> dict[str, Any]:
    """What the event of a declaration says of it; what is as it mostly is, is left out."""
    told = {"title": spec.title, "needs": spec.needs, "tags": spec.tags}
    priority = {"priority": spec.priority} if spec.priority != DEFAULT_PRIORITY else {}
    return {name: value for name, value in told.items() if value} | priority


def _declare_one(project: Project, step: str, spec: Spec, replace: bool) -> None:
    store, key = project.store, project.layout.spec(step)
    for _ in range(_ROUNDS):
        there = read(store, key, Spec)
        if there is not None and there.record.same_work(spec):
            return
        if there is not None and not replace:
            raise Refused(f"{step} was declared differently just now", hint="declare it anew with --replace", step=step)
        try:
            commit(store, key, spec, there)
        except Conflict:
            continue
        return
    raise Unreachable(f"{step} keeps being declared anew", hint="repeat the command")


def find_cycle(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """A ring in a graph of steps and what they need, or an empty list. Walks without recursion: rings may be long."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        on_path: set[str] = set()
        trail = [iter((start,))]
        while trail:
            step = next(trail[-1], None)
            if step is None:
                trail.pop()
                if path:
                    left = path.pop()
                    on_path.discard(left)
                    done.add(left)
            elif step in on_path:
                return [*path[path.index(step) :], step]
            elif step not in done:
                path.append(step)
                on_path.add(step)
                trail.append(iter(needs.get(step, ())))
    return []
