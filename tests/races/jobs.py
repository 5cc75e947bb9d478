"""What the workers of a fleet do. See tests/support/fleet.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from tests.support.world import World
from tracecraft.errors import TracecraftError
from tracecraft.project import Project
from tracecraft.store import Guarantees
from tracecraft.store.folder import FolderStore

WON = "won"


@dataclass(frozen=True)
class Outcome:
    """How one racer fared: `said` is "won" or an error's code; `holder` who has the step, if it was told."""

    agent: str
    said: str
    step: str = ""
    holder: str | None = None


Opener = Callable[[World, str], Project]
"""Opens a world's project for an agent; a test gives one of its own where the store is to be a broken one."""

_projects: dict[tuple[str, str, str], Project] = {}


def open_project(world: World, agent: str) -> Project:
    """As the command line would open it."""
    return world.open(agent)


def open_trusting(world: World, agent: str) -> Project:
    """Believing that the store decides conditional writes, whatever a probe would say."""
    project = world.open(agent)
    project.store.guarantees = Guarantees(atomic_create=True, compare_and_swap=True)
    return project


class UnlockedFolder(FolderStore):
    """A folder store that takes no lock while it compares and swaps."""

    def _locked(self, key: str) -> nullcontext[None]:  # type: ignore[override]
        return nullcontext()


def open_unlocked(world: World, agent: str) -> Project:
    project = open_project(world, agent)
    assert isinstance(project.store, FolderStore)
    project.store = UnlockedFolder(project.store.root)
    return project


def claim(world: World, agent: str, step: str, opener: Opener = open_project) -> Callable[[], Outcome]:
    """Claim one step."""
    project = _opened(world, agent, opener)
    project.steps.view(step)  # so that the connection is there

    def act() -> Outcome:
        try:
            hold = project.steps.claim(step)
        except TracecraftError as error:
            return Outcome(agent, error.code, step, error.fields.get("holder"))
        return Outcome(agent, WON, hold.step, hold.agent)

    return act


def take_next(world: World, agent: str) -> Callable[[], Outcome]:
    """Claim whatever is ready."""
    project = _opened(world, agent, open_project)
    project.steps.view("any")

    def act() -> Outcome:
        try:
            hold = project.steps.next()
        except TracecraftError as error:
            return Outcome(agent, error.code)
        return Outcome(agent, WON, hold.step, hold.agent)

    return act


def count_up(world: World, agent: str, key: str, times: int) -> Callable[[], None]:
    """Add 1 to a memory key so many times."""
    project = _opened(world, agent, open_project)

    def act() -> None:
        for _ in range(times):
            project.memory.update(key, lambda value: (value or 0) + 1)

    return act


def delete(world: World, agent: str, key: str) -> Callable[[], str]:
    """Delete a memory key."""
    project = _opened(world, agent, open_project)
    project.memory.get(key)

    def act() -> str:
        try:
            project.memory.delete(key)
        except TracecraftError as error:
            return error.code
        return WON

    return act


def set_blindly(world: World, agent: str, key: str, times: int) -> Callable[[], None]:
    """Set a memory key to values of one's own, without looking."""
    project = _opened(world, agent, open_project)

    def act() -> None:
        for n in range(times):
            project.memory.set(key, f"{agent} {n}")

    return act


def send_burst(world: World, agent: str, to: str, first: int, count: int, clock_off: float) -> Callable[[], list[str]]:
    """Send numbered messages, every tenth of them to everybody, with a wall clock that is wrong by so many seconds."""
    project = _opened(world, agent, open_project)

    def act() -> list[str]:
        with clock_wrong_by(clock_off):
            texts = [f"{agent}-{n:06d}" for n in range(first, first + count)]
            for n, text in enumerate(texts):
                project.mailbox.send("_broadcast" if n % 10 == 9 else to, text)
        return texts

    return act


def _opened(world: World, agent: str, opener: Opener) -> Project:
    """One project for each agent of each world, kept for the worker's life: rounds are to race, not to connect."""
    name = (str(world.root), world.url, agent)
    if name not in _projects:
        _projects[name] = opener(world, agent)
    return _projects[name]


@contextmanager
def clock_wrong_by(seconds: float) -> Iterator[None]:
    """The wall clock of this process, wrong for the length of a block."""
    right, off = time.time_ns, int(seconds * 1e9)
    time.time_ns = lambda: right() + off
    try:
        yield
    finally:
        time.time_ns = right
