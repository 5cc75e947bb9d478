"""Decides whether a history is linearizable: whether every operation can be given one moment between its call and its
return so that, done in that order one at a time, each is answered as it was.

The search is Wing and Gong's: from the operations that may go first, take one that the model allows, and go on with the
rest; a set of operations done that led to a state once is not tried again (Lowe). An operation without an answer may
take effect at any time after its call, or never. One that only looks is done as soon as what it saw is there: whatever
else could come before it may as well come after it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from tests.linear.history import Operation
from tests.linear.models import Model, State, only_looks

LIMIT = 300_000
"""Points of the search after which a history is undecided. Those of real runs need a few hundred."""


class Verdict(Enum):
    LINEARIZABLE = "linearizable"
    IMPOSSIBLE = "not linearizable"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Point:
    """A point of the search: which operations are done, as bits, and what the object has become."""

    done: int
    state: State


def check(history: Sequence[Operation], model: Model, *, limit: int = LIMIT) -> Verdict:
    """Whether the history of one object is linearizable."""
    search = _Search(history, model)
    start = Point(0, model.start)
    waiting, known = [start], {start}
    while waiting:
        point = waiting.pop()
        if search.is_over(point):
            return Verdict.LINEARIZABLE
        for later in search.onward(point):
            if later not in known:
                known.add(later)
                waiting.append(later)
        if len(known) > limit:
            return Verdict.UNDECIDED
    return Verdict.IMPOSSIBLE


class _Search:
    """The points that can be reached in one history."""

    def __init__(self, history: Sequence[Operation], model: Model) -> None:
        self._operations = sorted(history, key=lambda operation: operation.called)
        self._model = model
        self._answered = sum(1 << n for n, operation in enumerate(self._operations) if operation.known)
        self._again = [n for n, operation in enumerate(self._operations) if operation.repeats]

    def is_over(self, point: Point) -> bool:
        """Whether all that was answered is done. What was not answered need never be."""
        return point.done & self._answered == self._answered

    def onward(self, point: Point) -> list[Point]:
        """Where one more operation leads. The most promising comes last."""
        answered: list[tuple[float, Point]] = []
        in_doubt: list[Point] = []
        first, horizon = self._may_go_first(point.done)
        for n in first:
            operation = self._operations[n]
            for state in self._becomes(point, operation):
                later = Point(point.done | 1 << n, state)
                if not operation.known:
                    in_doubt.append(later)
                elif only_looks(operation):
                    return [later]
                else:
                    answered.append((operation.returned, later))
        answered.sort(key=lambda way: way[0], reverse=True)
        return [*self._repeated(point, horizon), *in_doubt, *(later for _, later in answered)]

    def _becomes(self, point: Point, operation: Operation) -> Iterator[State]:
        """What the object can become by an operation. One in doubt that changes nothing may as well not be done."""
        for state, answer in self._model.ways(point.state, operation.action):
            if answer == operation.answer if operation.known else state != point.state:
                yield state

    def _may_go_first(self, done: int) -> tuple[list[int], float]:
        """Operations that are not done and were called before any other of them had returned, and when that was."""
        first, horizon = [], math.inf
        lowest = (~done & (done + 1)).bit_length() - 1
        for n in range(lowest, len(self._operations)):
            operation = self._operations[n]
            if operation.called > horizon:
                break
            if not done >> n & 1:
                first.append(n)
                horizon = min(horizon, operation.returned)
        return [n for n in first if self._operations[n].called <= horizon], horizon

    def _repeated(self, point: Point, horizon: float) -> Iterator[Point]:
        """Writes that may take effect once more."""
        for n in self._again:
            operation = self._operations[n]
            if operation.called <= horizon:
                for state, _ in self._model.ways(point.state, operation.action):
                    if state != point.state:
                        yield Point(point.done, state)
