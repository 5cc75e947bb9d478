"""Bad weather between the agents and a bucket: each request may meet a fault, the likelier the more depends on it."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Sequence

from tests.support.faults import Action, Answer, Drop, Half, Hang, Matcher, Request, Rule
from tests.support.proxy import Proxy

CLIENT_SECONDS = 1.5
"""How long the agents wait for an answer. Hanging requests outlive that."""

_SLOW: list[Action] = [Hang(2.2), Hang(2.2, applied=True)]
_LOST: list[Action] = [Drop(), Drop(applied=True)]
_UNCLEAR: list[Action] = [Answer(status, applied) for status in (500, 503, 429) for applied in (False, True)]
_LIES: list[Action] = [Answer(status, applied) for status in (409, 412) for applied in (False, True)]

DECIDING = [*_SLOW, *_LOST, *_UNCLEAR, *_LIES]
"""What can meet a write with a condition. A 412 may be a lie: that the write was refused though it was applied."""
PLAIN = [*_SLOW, *_LOST, *_UNCLEAR]
READING: list[Action] = [Hang(2.2), Drop(), Answer(500), Answer(503), Half()]

CHANCES = {"deciding": 0.08, "plain": 0.02, "reading": 0.01}


class Weather:
    """Puts faults in force on a proxy, and keeps in mind which writes without condition were sent more than once."""

    def __init__(self, proxy: Proxy, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._due: tuple[Request, Action | None] | None = None
        self._sent: Counter[tuple[str, str, str]] = Counter()
        self._rules: list[Rule] = []
        for action in dict.fromkeys([*DECIDING, *PLAIN, *READING]):
            self._rules.append(proxy.fault(self._is_due(action), action, times=None))

    @property
    def faults(self) -> dict[str, int]:
        """How many requests met a fault, by kind."""
        kinds: Counter[str] = Counter()
        for rule in self._rules:
            kinds[_name(rule.action)] += rule.fired
        return dict(kinds)

    @property
    def repeated(self) -> set[tuple[str, str, str]]:
        """Blind writes of memory that arrived more than once: who wrote, which key, which token."""
        with self._lock:
            return {write for write, times in self._sent.items() if times > 1}

    def _is_due(self, action: Action) -> Matcher:
        return lambda request: self._of(request) == action

    def _of(self, request: Request) -> Action | None:
        """What a request meets; every rule asks in turn, and all are told the same."""
        with self._lock:
            if self._due is None or self._due[0] is not request:
                self._note(request)
                self._due = (request, self._drawn(request))
            return self._due[1]

    def _drawn(self, request: Request) -> Action | None:
        kind, actions = _kind(request)
        return self._random.choice(actions) if self._random.random() < CHANCES[kind] else None

    def _note(self, request: Request) -> None:
        _, memory, key = request.key.partition("/memory/")
        if request.method != "PUT" or request.conditional or not memory or key.startswith("_history/"):
            return
        record = json.loads(request.body)
        self._sent[record["set_by"], key.removesuffix(".json"), record["value"]["token"]] += 1


def _name(action: Action) -> str:
    match action:
        case Hang():
            return "hung"
        case Answer(status=409 | 412):
            return "told of a conflict falsely"
        case Answer():
            return "told of an error"
        case _:
            return "cut off"


def _kind(request: Request) -> tuple[str, Sequence[Action]]:
    if request.conditional:
        return "deciding", DECIDING
    return ("plain", PLAIN) if request.method in ("PUT", "DELETE") else ("reading", READING)
