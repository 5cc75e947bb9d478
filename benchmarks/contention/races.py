"""Races: so many agents claim one step, at one moment or one after the other, and the store says who has it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product

from benchmarks.contention.figures import verdict
from benchmarks.contention.logs import STAGGER_MS, Trial
from benchmarks.contention.stores import CONTROL
from benchmarks.contention.workers import Told, claim_alone, claim_in_threads
from tests.races.jobs import Opener, open_project, open_trusting
from tests.support.fleet import Fleet
from tests.support.world import World
from tracecraft.errors import NotFound
from tracecraft.project import Project

MODES = ("processes", "threads")
SPACING = {"simultaneous": 0.0, "staggered": STAGGER_MS / 1000}
"""Seconds from the start of one agent to that of the next, by schedule."""


@dataclass(frozen=True)
class Cell:
    """One kind of race: how the agents live, when they start, how many they are."""

    mode: str
    schedule: str
    agents: int


@dataclass(frozen=True)
class Lane:
    """A fleet with its own agents and steps, beside which others may run."""

    number: int
    fleet: Fleet
    world: World
    store: str
    judge: Project

    @property
    def opener(self) -> Opener:
        """The control is believed against better knowledge: tracecraft would refuse to claim there."""
        return open_trusting if self.store == CONTROL else open_project

    def race(self, cell: Cell, number: int) -> Trial:
        """One trial."""
        step = f"{cell.mode}-{cell.schedule}-{cell.agents}-{number}"
        names = [f"lane{self.number}-agent{place + 1}" for place in range(cell.agents)]
        told = self._run(cell, names, step)
        agent, fence, state = self._stored(step)
        first = min(one.began for one in told)
        trial = Trial(
            store=self.store,
            mode=cell.mode,
            schedule=cell.schedule,
            agents=cell.agents,
            trial=number,
            lane=self.number,
            names=names,
            outcomes=[one.outcome for one in told],
            start_ms=[round((one.began - first) / 1e6, 1) for one in told],
            latency_ms=[round(one.took / 1e6, 2) for one in told],
            fences=[one.fence for one in told],
            holders=[one.holder for one in told],
            stored_agent=agent,
            stored_fence=fence,
            stored_state=state,
        )
        trial.verdict = verdict(trial)
        return trial

    def _run(self, cell: Cell, names: list[str], step: str) -> list[Told]:
        world = replace(self.world, project=cell.mode)
        delays = [place * SPACING[cell.schedule] for place in range(cell.agents)]
        told: list[Told]
        if cell.mode == "threads":
            (told,) = self.fleet.run(claim_in_threads, [(world, names, self.opener, step, delays)])
            return told
        jobs = [(world, name, self.opener, step, delay) for name, delay in zip(names, delays, strict=True)]
        return self.fleet.run(claim_alone, jobs)

    def _stored(self, step: str) -> tuple[str, int, str]:
        """Who holds the step, under which fence, in which state, as its claim.json says."""
        mode = step.partition("-")[0]
        try:
            claim = json.loads(self.judge.store.get(f"{mode}/steps/{step}/claim.json").data)
        except NotFound:
            return "", 0, "absent"
        return claim["agent"] or "", claim["fence"], claim["state"]


def race_all(
    store: str, world: World, fleets: Sequence[Fleet], agents: Sequence[int], trials: int
) -> Iterator[list[Trial]]:
    """The trials of every kind of race, one kind after the other.

    Staggered races are mostly waiting, so those run side by side, one lane on each fleet.
    """
    for mode in MODES:
        replace(world, project=mode).open("planner").probe()  # as `init` does, so that no first claim has to
    lanes = [Lane(number, fleet, world, store, world.open(f"judge{number}")) for number, fleet in enumerate(fleets)]
    for cell in [Cell(*parts) for parts in product(MODES, SPACING, agents)]:
        yield _race_cell(cell, lanes if SPACING[cell.schedule] else lanes[:1], trials)


def refusal(world: World) -> str:
    """What a claim on this store is told when tracecraft is left to judge the store by itself."""
    return claim_alone(world, "careful", open_project, "step", 0.0)().outcome


def _race_cell(cell: Cell, lanes: Sequence[Lane], trials: int) -> list[Trial]:
    def share(lane: Lane) -> list[Trial]:
        return [lane.race(cell, number) for number in range(lane.number, trials, len(lanes))]

    with ThreadPoolExecutor(len(lanes)) as pool:
        found = [trial for part in pool.map(share, lanes) for trial in part]
    return sorted(found, key=lambda trial: trial.trial)
