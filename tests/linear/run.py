"""Runs agents against one store, kills some of them, and judges the history they leave."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.linear.account import account
from tests.linear.acts import SHORT
from tests.linear.agent import Board, Life, Load, live
from tests.linear.checker import Verdict, check
from tests.linear.history import Operation, by_subject, read_history
from tests.linear.leases import early_takeovers, takeovers
from tests.linear.models import MemoryModel, Model, StepModel, two_versions, with_bases
from tests.linear.weather import Weather
from tests.races.jobs import Opener, open_project
from tests.support.proxy import Proxy
from tests.support.world import World
from tracecraft.errors import BrokenRecord

_EPOCH_SECONDS = 20.0
_ROUND_SECONDS = 4.0
"""How long a round may last, for those who hang or were killed."""
_SETTLED_SECONDS = 60.0
_TICK = 0.02


@dataclass(frozen=True)
class Plan:
    """How long a run is: at least so many operations, and so many takeovers of leases that ran out."""

    operations: int
    takeovers: int = 1
    seed: int = 1
    load: Load = field(default_factory=Load)
    pace: float = 0.0
    """The least number of seconds of a round."""
    kill_every: float = 0.0
    """Seconds between two kills on the average; 0 for no kills."""
    longest: float = 900.0
    """Seconds after which it is over whatever was done."""


class AgentError(Exception):
    """An agent ended by itself: it met what it was not made for. Its traceback is on standard error."""


def run(world: World, folder: Path, plan: Plan, *, opener: Opener = open_project, proxy: Proxy | None = None) -> Run:
    """Let agents act on a world as planned; what they did is written below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    conductor = _Conductor(world, folder, plan, opener, proxy)
    conductor.conduct()
    return Run(read_history(sorted(folder.glob("*.jsonl"))), conductor.kills)


@dataclass(frozen=True)
class Run:
    """What happened."""

    history: Sequence[Operation]
    kills: int

    def with_repeats(self, weather: Weather) -> Run:
        """The same, with the writes marked that a store got more than once."""
        repeated = weather.repeated

        def marked(one: Operation) -> Operation:
            return replace(one, repeats=(one.agent, one.subject, one.action.get("token")) in repeated)

        return replace(self, history=[marked(operation) for operation in self.history])


@dataclass(frozen=True)
class Judgement:
    """What the history of a run showed: an account of everything that was wrong, by object."""

    operations: int
    objects: int
    in_doubt: int
    repeated: int
    takeovers: int
    answers: Counter[str]
    wrong: dict[str, str]
    undecided: list[str]


def judge(history: Sequence[Operation]) -> Judgement:
    """Check every object of a history."""
    wrong, undecided = {}, []
    parts = by_subject(history)
    for subject, operations in parts.items():
        part, model = with_bases(operations), model_of(subject)
        verdict = check(part, model)
        complaints = two_versions(part) if subject.startswith("key-") else early_takeovers(part, SHORT)
        complaints += half_read(part)
        if verdict is Verdict.IMPOSSIBLE:
            complaints.append(account(part, model))
        if complaints:
            wrong[subject] = "\n".join(complaints)
        if verdict is Verdict.UNDECIDED:
            undecided.append(subject)
    return Judgement(
        operations=len(history),
        objects=len(parts),
        in_doubt=sum(not operation.known for operation in history),
        repeated=sum(operation.repeats for operation in history),
        takeovers=sum(len(takeovers(parts[subject])) for subject in parts if subject.startswith("lease-")),
        answers=Counter(f"{one.action['do']}: {one.answer[0]}" for one in history if one.answer is not None),
        wrong=wrong,
        undecided=undecided,
    )


def half_read(history: Sequence[Operation]) -> list[str]:
    """Operations that met an object that was not whole."""
    return [f"{one.name}: {one.why}" for one in history if one.why.startswith(BrokenRecord.code)]


def model_of(subject: str) -> Model:
    return MemoryModel() if subject.startswith("key-") else StepModel(leases_run_out=subject.startswith("lease-"))


class _Conductor:
    """Starts the agents, moves them on from round to round, and kills them."""

    def __init__(self, world: World, folder: Path, plan: Plan, opener: Opener, proxy: Proxy | None) -> None:
        self._world = world
        self._folder = folder
        self._plan = plan
        self._opener = opener
        self._proxy = proxy
        self._random = random.Random(plan.seed)
        self._context = multiprocessing.get_context("spawn")
        self._board = Board(plan.load.agents)
        self._lives = [0] * plan.load.agents
        self._kill_at = 0.0
        self.kills = 0

    def conduct(self) -> None:
        """Round after round until enough was done."""
        board = self._board
        with self._agents() as agents:
            began = epoch = time.monotonic()
            self._kill_at = began + self._until_next_kill()
            while not self._enough(began):
                self._one_round(agents)
                now = time.monotonic()
                if now > epoch + _EPOCH_SECONDS:
                    board.epoch, epoch = board.epoch + 1, now
                board.round += 1
                if self._proxy is not None:
                    self._proxy.clear()

    def _one_round(self, agents: list[BaseProcess]) -> None:
        """Wait until most agents have done their share."""
        load = self._plan.load
        began, before = time.monotonic(), self._board.total
        share = load.share * load.agents * 3 // 4
        while (seconds := time.monotonic() - began) < _ROUND_SECONDS:
            if self._board.total - before >= share and seconds >= self._plan.pace:
                return
            self._see_that_all_live(agents)
            if self._plan.kill_every and time.monotonic() > self._kill_at:
                self._kill_one(agents)
            time.sleep(self._random.uniform(0.0, _TICK))

    def _enough(self, began: float) -> bool:
        done = self._board.total >= self._plan.operations and self._board.takeovers >= self._plan.takeovers
        return done or time.monotonic() - began > self._plan.longest

    @contextmanager
    def _agents(self) -> Iterator[list[BaseProcess]]:
        """All agents, running; at the end they finish what they are at."""
        agents = [self._start(number) for number in range(self._plan.load.agents)]
        try:
            yield agents
            self._board.round = -1
            for agent in agents:
                agent.join(_SETTLED_SECONDS)
            self._see_that_all_live(agents)
        finally:
            for agent in agents:
                agent.kill()
                agent.join()

    def _start(self, number: int) -> BaseProcess:
        self._lives[number] += 1
        life = Life(
            world=self._world,
            opener=self._opener,
            history=self._folder / f"a{number}.jsonl",
            number=number,
            life=self._lives[number],
            seed=self._plan.seed,
            load=self._plan.load,
        )
        process = self._context.Process(target=live, args=(life, self._board), daemon=True)
        process.start()
        return process

    def _kill_one(self, agents: list[BaseProcess]) -> None:
        """Kill an agent, wherever it is, and start it again."""
        number = self._random.randrange(len(agents))
        agents[number].kill()
        agents[number].join()
        agents[number] = self._start(number)
        self.kills += 1
        self._kill_at = time.monotonic() + self._until_next_kill()

    def _until_next_kill(self) -> float:
        return self._random.expovariate(1 / self._plan.kill_every) if self._plan.kill_every else 0.0

    def _see_that_all_live(self, agents: list[BaseProcess]) -> None:
        ended = [f"a{number}" for number, agent in enumerate(agents) if agent.exitcode]
        if ended:
            raise AgentError(f"ended by themselves: {', '.join(ended)}")
