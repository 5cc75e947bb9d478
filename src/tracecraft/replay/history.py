"""What happened in a project, folded, and checked against what the store holds in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tracecraft.replay.facts import Fact, read_facts
from tracecraft.replay.reducer import Gap, fold
from tracecraft.replay.state import Change, State, apply, empty
from tracecraft.replay.stored import differences, state_of

if TYPE_CHECKING:
    from tracecraft.project import Project

_LOOKS = 3
"""Events are written after what they tell of: what differs at one look may be under way."""


class Turn(msgspec.Struct, frozen=True):
    """An event, what it changed, and what it shows to be missing before it."""

    fact: Fact
    changes: Sequence[Change]
    gaps: Sequence[Gap]


class History(msgspec.Struct, frozen=True):
    """All that happened. `corrections` make the state after it the store's; each of their `gaps` says what no event
    told."""

    turns: Sequence[Turn]
    corrections: Sequence[Change]
    gaps: Sequence[Gap]

    def all_gaps(self) -> list[Gap]:
        """What is missing, in order, each once."""
        return list(dict.fromkeys([*(gap for turn in self.turns for gap in turn.gaps), *self.gaps]))

    def state_at(self, at: float | None = None) -> State:
        """The state at a time of the store's clock; without one, or after all that happened, what the store holds."""
        state = empty()
        for turn in self.turns:
            if at is None or turn.fact.at <= at:
                apply(state, turn.changes)
        if at is None or not self.turns or all(turn.fact.at <= at for turn in self.turns):
            apply(state, self.corrections)
        return state


def read_history(project: Project) -> History:
    """Read, fold and check. What others do meanwhile is looked at again before it is called missing."""
    history = _look(project)
    for _ in range(_LOOKS - 1):
        if not history.gaps:
            break
        again = _look(project)
        if (again.corrections, len(again.turns)) == (history.corrections, len(history.turns)):
            break
        history = again
    return history


def turns_of(facts: Sequence[Fact]) -> tuple[Sequence[Turn], State]:
    """Every event with what it came to, and the state after them."""
    turns, state = [], empty()
    for fact in facts:
        folded = fold(state, fact)
        apply(state, folded.changes)
        turns.append(Turn(fact, folded.changes, folded.gaps))
    return turns, state


def _look(project: Project) -> History:
    turns, state = turns_of(read_facts(project))
    return History(turns, *differences(state, state_of(project)))
