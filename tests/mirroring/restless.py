"""Processes that mirror or compact one session without a pause, so that whenever they are killed it hits something."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

from tests.sessions.flushing import mirror_of
from tests.sessions.mirrored import SESSION, Growing
from tests.support.world import World
from tracecraft.errors import Missing, Unreachable
from tracecraft.sessions.finding import Sessions
from tracecraft.sessions.upkeep import compact_session

Work = Callable[[World, str, Growing], Callable[[], object]]
"""What is prepared for a world, an agent and its transcript; what it returns is done again and again."""

_PATIENCE = 60.0
_NAP = 0.02


class Restless:
    """A process that does its work over and over until it is killed."""

    def __init__(self, work: Work, world: World, agent: str, source: Growing) -> None:
        self.agent = agent
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        given = (work, world, agent, source, theirs, os.getpid())
        self._process = context.Process(target=_work_on, args=given, daemon=True)
        self._process.start()
        theirs.close()

    def kill(self, after: float) -> None:
        """Kill it when it has been at work for so many seconds. Fails the test when it ended by itself."""
        assert self._ours.poll(_PATIENCE), "it came to work"
        with suppress(EOFError):
            self._ours.recv()
        time.sleep(after)
        self._process.kill()
        self._process.join(_PATIENCE)
        assert self._process.exitcode == -signal.SIGKILL, f"it ended with {self._process.exitcode}"
        self._ours.close()


def mirroring(world: World, agent: str, source: Growing) -> Callable[[], object]:
    return mirror_of(world.open(agent), source).flush


def compacting(world: World, agent: str, _source: Growing) -> Callable[[], object]:
    project = world.open(agent)

    def compact() -> None:
        with suppress(Missing):  # nothing was mirrored yet
            compact_session(project, Sessions(project).find(SESSION), keep_tail=3)

    return compact


def _work_on(work: Work, world: World, agent: str, source: Growing, up: Connection, parent: int) -> None:
    act = work(world, agent, source)
    up.send("at work")
    while os.getppid() == parent:
        with suppress(Unreachable):  # others were faster again and again
            act()
        time.sleep(random.uniform(0, _NAP))
