"""An agent in a process of its own: it acts on what its round is about, at random, and writes down what happened."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from ctypes import c_int
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray, RawValue
from pathlib import Path
from typing import Any

from tests.linear.acts import SHORT, act
from tests.linear.history import Answer, Recorder
from tests.linear.weather import CLIENT_SECONDS
from tests.races.jobs import Opener, clock_wrong_by
from tests.support.world import World
from tracecraft import records
from tracecraft.errors import BrokenRecord, StoreError
from tracecraft.store import bucket

OUTLASTING = SHORT + 3.5
"""Seconds of silence after which a short lease has run out for certain."""
PATIENCE = 4.0
"""Seconds after which a write with a condition that is not answered is given up."""
_LOOK_EVERY = 0.004

Choice = tuple[int, Mapping[str, Any]]
"""How often something is done beside other things, and what."""


class Board:
    """What the processes of a run share. Nothing is locked, so nobody who is killed leaves it locked."""

    def __init__(self, agents: int) -> None:
        self._round = RawValue(c_int, 0)
        self._epoch = RawValue(c_int, 0)
        self._done = RawArray(c_int, agents)
        self._takeovers = RawArray(c_int, agents)

    @property
    def round(self) -> int:
        """Which steps and keys are acted on; -1 when all is over."""
        return int(self._round.value)

    @round.setter
    def round(self, number: int) -> None:
        self._round.value = number

    @property
    def epoch(self) -> int:
        """Which steps with short leases are; longer than many rounds."""
        return int(self._epoch.value)

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._epoch.value = number

    @property
    def total(self) -> int:
        """Operations that have returned."""
        return sum(self._done)

    @property
    def takeovers(self) -> int:
        """Leases that ran out and were taken over."""
        return sum(self._takeovers)

    def count(self, agent: int, *, takeover: bool) -> None:
        """An operation of an agent has returned."""
        self._done[agent] += 1
        self._takeovers[agent] += takeover


@dataclass(frozen=True)
class Load:
    """What is done: so many operations of each agent in a round, on so many objects."""

    agents: int = 10
    share: int = 10
    steps: int = 2
    leases: int = 4
    mixed: bool = True
    """Whether swaps meet writes without condition on one key."""
    only: str = ""
    """The one thing that all do to one key, and nothing else: the hardest race there is."""
    naps: float = 0.0
    """The chance that an agent who holds a short lease falls silent until it has run out."""


@dataclass(frozen=True)
class Life:
    """One process of an agent, from its start to its end or kill."""

    world: World
    opener: Opener
    history: Path
    number: int
    life: int
    seed: int
    load: Load

    @property
    def agent(self) -> str:
        return f"a{self.number}"

    @property
    def clock_off(self) -> float:
        """A third of the agents have clocks an hour behind or ahead."""
        return {0: -3600.0, 3: 3600.0}.get(self.number % 6, 0.0)


def live(life: Life, board: Board) -> None:
    """What the process runs."""
    be_impatient()
    with clock_wrong_by(life.clock_off):
        _Player(life, board).play()


def be_impatient() -> None:
    """Give requests up soon, so that a run meets many that nobody answered."""
    bucket.SMALL_TIMEOUT = CLIENT_SECONDS
    (records.commit.__kwdefaults__ or {})["patience"] = PATIENCE


class _Player:
    """Chooses what to do next, and does it."""

    def __init__(self, life: Life, board: Board) -> None:
        self._life = life
        self._board = board
        self._random = random.Random(f"{life.seed} {life.agent} {life.life}")
        self._project = life.opener(life.world, life.agent)
        self._record = Recorder(life.history, life.agent, life.life)
        self._holds: dict[str, int] = {}
        self._known: dict[str, tuple[str, str]] = {}
        """Of each memory key a token, and the version it had."""
        self._tokens = 0

    def play(self) -> None:
        while (round_ := self._board.round) >= 0:
            for _ in range(self._life.load.share):
                if self._board.round != round_:
                    break
                self._do_one(round_)
            while self._board.round == round_:
                time.sleep(_LOOK_EVERY)

    def _do_one(self, round_: int) -> None:
        load, chance = self._life.load, self._random
        dice = chance.random()
        if load.only:
            subject = f"key-{round_}"
            action: Mapping[str, Any] = {"do": load.only, "token": self._token()}
        elif dice < 0.12 and load.leases:
            subject = f"lease-{self._board.epoch}-{chance.randrange(load.leases)}"
            action = self._about_lease(subject)
        elif dice < 0.6:
            subject = f"step-{round_}-{chance.randrange(load.steps)}"
            action = self._about_step(subject)
        elif dice < 0.85:
            subject = f"key-{round_}"
            action = self._about_key(subject)
        else:
            subject = f"key-{round_}-blind"
            action = self._about_blind_key(subject)
        answer = self._do(subject, action)
        self._board.count(self._life.number, takeover=answer[:1] == ("taken_over",))
        if subject in self._holds and subject.startswith("lease") and chance.random() < load.naps:
            self._nap()

    def _do(self, subject: str, action: Mapping[str, Any]) -> Answer:
        """Do something and write it down; gives the answer, empty without one."""
        name = self._record.called(subject, action)
        try:
            reply = act(self._project, subject, action, self._known.get(subject, ("", ""))[1])
        except (StoreError, BrokenRecord) as error:
            self._record.in_doubt(name, f"{error.code}: {error.message}")
            return ()
        self._record.returned(name, reply)
        self._learn(subject, action, reply.answer, reply.version)
        return reply.answer

    def _learn(self, subject: str, action: Mapping[str, Any], answer: Answer, version: str) -> None:
        if action["do"] == "claim":
            held = answer[0] not in ("held", "wrong_state")
            self._holds.pop(subject, None)
            if held:
                self._holds[subject] = answer[3]
        elif action["do"] in ("complete", "release"):
            self._holds.pop(subject, None)
        if version:
            self._known[subject] = (answer[1] if action["do"] == "get" else action["token"], version)

    def _about_step(self, step: str) -> Mapping[str, Any]:
        agent, chance = self._life.agent, self._random
        held = self._holds.get(step)
        fence = chance.choice((None, held)) if held else chance.choice((None, None, 1))
        claim = {"do": "claim", "agent": agent, "steal": chance.random() < 0.2, "alive": "agent"}
        outcome = chance.choice(("complete", "complete", "blocked", "needs_review"))
        complete = {"do": "complete", "agent": agent, "outcome": outcome, "fence": fence}
        return self._one_of(
            (2 if held else 6, claim),
            (4 if held else 1, {**complete, "force": chance.random() < 0.1}),
            (4 if held else 1, {"do": "release", "agent": agent, "fence": fence}),
            (1 if held else 3, {"do": "reopen"}),
            (1, {"do": "renew", "agent": agent}),
            (4, {"do": "look"}),
        )

    def _about_lease(self, step: str) -> Mapping[str, Any]:
        """Claims that mostly nobody renews."""
        agent, chance = self._life.agent, self._random
        alive = "agent" if chance.random() < 0.2 else "self"
        return self._one_of(
            (6, {"do": "claim", "agent": agent, "steal": False, "alive": alive}),
            (1, {"do": "renew", "agent": agent}),
            (3, {"do": "look"}),
        )

    def _about_key(self, key: str) -> Mapping[str, Any]:
        return self._one_of(
            (5, {"do": "get"}),
            *self._swaps(key),
            (2, {"do": "create", "token": self._token()}),
            (2, {"do": "delete"}),
        )

    def _about_blind_key(self, key: str) -> Mapping[str, Any]:
        swaps = self._swaps(key) if self._life.load.mixed else ()
        return self._one_of((6, {"do": "get"}), (4, {"do": "set", "token": self._token()}), *swaps)

    def _swaps(self, key: str) -> Sequence[Choice]:
        expected = self._known.get(key, ("", ""))[0]
        swap = {"do": "swap", "token": self._token(), "expected": expected}
        return (4 if expected else 0, swap), (3, {"do": "update", "token": self._token()})

    def _token(self) -> str:
        """Something no other write has for a value."""
        self._tokens += 1
        return f"{self._life.agent}.{self._life.life}.{self._tokens}"

    def _one_of(self, *choices: Choice) -> Mapping[str, Any]:
        return self._random.choices([action for _, action in choices], [weight for weight, _ in choices])[0]

    def _nap(self) -> None:
        """Be silent until what is held has run out, or all is over."""
        wake = time.monotonic() + OUTLASTING
        while time.monotonic() < wake and self._board.round >= 0:
            time.sleep(0.05)
