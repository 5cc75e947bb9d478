"""What the agents of the contention report do in their warm processes. See tests/support/fleet.py for jobs and rounds.

An agent is opened once and kept: a race is to measure claims, not the start of Python or of a connection. The winner of
a race completes its step before the next one, outside of what is measured.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from benchmarks.contention.logs import REFUSED, WON
from tests.races.jobs import Opener
from tests.support.world import World
from tracecraft.errors import Held, TracecraftError, UnsafeStore


class Told(NamedTuple):
    """What one agent was told, and when its call began and how long it took (nanoseconds of the machine's clock)."""

    outcome: str
    began: int
    took: int
    fence: int
    holder: str


class Agent:
    """One agent on its own view of the store."""

    def __init__(self, world: World, name: str, opener: Opener) -> None:
        self.project = opener(world, name)
        self._won = ""
        self.project.agents.register()
        with suppress(UnsafeStore):  # the claim will say it again
            self.project.require_safe_claims()
        self.project.steps.view("warm-up")

    def finish(self) -> None:
        """Complete what the last race brought. Where somebody else has it too, forget it instead."""
        if self._won:
            try:
                self.project.steps.complete(self._won)
            except TracecraftError:
                shutil.rmtree(self.project.local.folder, ignore_errors=True)
        self._won = ""

    def claim(self, step: str, delay: float) -> Told:
        """Claim a step after so many seconds."""
        if delay:
            time.sleep(delay)
        fence, holder = 0, ""
        began = time.monotonic_ns()
        try:
            hold = self.project.steps.claim(step)
            outcome, fence, holder = WON, hold.fence, hold.agent
        except Held as held:
            outcome, holder = REFUSED, str(held.fields.get("holder"))
        except TracecraftError as error:
            outcome = error.code
        except Exception as error:  # whatever it is belongs into the log
            outcome = type(error).__name__
        took = time.monotonic_ns() - began
        self._won = step if outcome == WON else ""
        return Told(outcome, began, took, fence, holder)


_agents: dict[tuple[str, str, str], Agent] = {}
"""The agents of this process on the store that is measured now."""


def claim_alone(world: World, name: str, opener: Opener, step: str, delay: float) -> Callable[[], Told]:
    """One agent in a process of its own."""
    agent = _ready_agent(world, name, opener)
    return partial(agent.claim, step, delay)


def claim_in_threads(
    world: World, names: Sequence[str], opener: Opener, step: str, delays: Sequence[float]
) -> Callable[[], list[Told]]:
    """All agents as threads of this process, which stand ready when the round begins."""
    agents = [_ready_agent(world, name, opener) for name in names]
    barrier = threading.Barrier(len(agents) + 1)
    pool = ThreadPoolExecutor(len(agents))

    def take_part(agent: Agent, delay: float) -> Told:
        barrier.wait()
        return agent.claim(step, delay)

    futures = [pool.submit(take_part, agent, delay) for agent, delay in zip(agents, delays, strict=True)]

    def act() -> list[Told]:
        with pool:
            barrier.wait()
            return [future.result() for future in futures]

    return act


def _ready_agent(world: World, name: str, opener: Opener) -> Agent:
    for key in [key for key in _agents if key[:2] != (world.url, world.project)]:
        del _agents[key]
    key = (world.url, world.project, name)
    if key not in _agents:
        _agents[key] = Agent(world, name, opener)
    _agents[key].finish()
    return _agents[key]
