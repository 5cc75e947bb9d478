"""The steps of a project together: what was declared, in which order, and what is ready to be worked on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from tracecraft.claims import Claim, Handoff, State, Status, View, status_view
from tracecraft.errors import BrokenRecord
from tracecraft.objectcache import WORTHWHILE
from tracecraft.records import R, Stored, decode_many, encode, read_many, stored
from tracecraft.specs import Spec, find_cycle

if TYPE_CHECKING:
    from tracecraft.project import Project
    from tracecraft.store import Info, Object


class Board(msgspec.Struct, frozen=True):
    """Every step that has any object, at one look."""

    specs: Mapping[str, Spec]
    views: Mapping[str, View]

    def steps(self, tags: Iterable[str] = ()) -> list[str]:
        """Steps that carry all the tags, by priority, then declaration, then name."""
        wanted = set(tags)
        return sorted(
            (step for step in self.views if wanted <= set(self.spec(step).tags)),
            key=lambda step: (self.spec(step).priority, self.spec(step).order, step),
        )

    def spec(self, step: str) -> Spec:
        return self.specs.get(step) or Spec()

    def state(self, step: str) -> State:
        return self.views[step].state if step in self.views else "pending"

    def unmet(self, step: str) -> list[str]:
        """The needs of a step that are not complete."""
        return [need for need in self.spec(step).needs if self.state(need) != "complete"]

    def is_ready(self, step: str) -> bool:
        return self.state(step) == "pending" and not self.unmet(step)

    def held_by(self, agent: str) -> list[str]:
        return [step for step, view in self.views.items() if view.held_by(agent)]

    def cycle(self) -> list[str]:
        """A ring of steps that need each other, or an empty list."""
        return find_cycle({step: spec.needs for step, spec in self.specs.items()})


def read_board(project: Project) -> Board:
    """One LIST, then everything that matters in one wave, or in two where there is much.

    Broken objects are named in `project.broken`. A step that cannot be told for certain without them is left out: it
    may be held, or need what is not complete.
    """
    layout = project.layout
    infos: dict[str, Info] = {}
    steps: dict[str, str] = {}
    for info in project.store.list(layout.steps()):
        found = layout.step_object_of(info.key)
        if found is not None and found[1] in ("spec.json", "claim.json", "status.json"):
            infos[info.key], steps[info.key] = info, found[0]
    objects = _objects(project, infos)

    def of_kind(leaf: str, kind: type[R]) -> dict[str, Stored[R]]:
        chosen = [item for key, item in objects.items() if key.endswith("/" + leaf)]
        return {steps[key]: item for key, item in decode_many(chosen, kind, project.broken).items()}

    specs, claims, statuses = of_kind("spec.json", Spec), of_kind("claim.json", Claim), of_kind("status.json", Status)
    parsed = {"spec.json": set(specs), "claim.json": set(claims), "status.json": set(statuses)}
    broken = {(step, leaf) for key, step in steps.items() if key in objects and step not in parsed[leaf := _leaf(key)]}
    unsure = {step for step, leaf in broken if leaf != "status.json" or not _stands(claims.get(step))}
    views = {step: View(step, claims.get(step), statuses.get(step)) for step in steps.values() if step not in unsure}
    by_02 = {layout.handoff(step): view for step, view in views.items() if view.by_02}
    for key, handoff in read_many(project.store, by_02, Handoff, project.broken).items():
        view = by_02[key]
        views[view.step] = View(view.step, view.claim, view.status, handoff.record)
    return Board({step: spec.record for step, spec in specs.items()}, views)


def _objects(project: Project, infos: Mapping[str, Info]) -> dict[str, Object]:
    """What the steps' objects hold. Where there are many, a status that is the view of its claim is not read."""
    if len(infos) < WORTHWHILE:
        return project.get_listed(list(infos.values()))
    objects = project.get_listed([info for key, info in infos.items() if _leaf(key) != "status.json"])
    rest = [info for key, info in infos.items() if _leaf(key) == "status.json" and not _is_view(info, objects)]
    return objects | project.get_listed(rest)


def _is_view(status: Info, objects: Mapping[str, Object]) -> bool:
    """Whether a status is the view of the claim beside it, told by its size and, where the etag is an MD5, by that."""
    from hashlib import md5  # only where there is much

    claim = objects.get(status.key.removesuffix("status.json") + "claim.json")
    try:
        data = encode(status_view(stored(claim, Claim).record)) if claim is not None else b""
    except BrokenRecord:
        return False
    return len(data) == status.size and md5(data, usedforsecurity=False).hexdigest() == status.etag


def _leaf(key: str) -> str:
    return key.rpartition("/")[2]


def _stands(claim: Stored[Claim] | None) -> bool:
    """Whether a claim is enough to tell a step's state: those of 0.2.x are not."""
    return claim is not None and claim.record.fence > 0
