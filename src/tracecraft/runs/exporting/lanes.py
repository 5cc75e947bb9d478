"""Lays the spans of agents into lanes in which they only ever nest, as trace viewers want slices of one thread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Slice(NamedTuple):
    """A stretch of an agent's time, in microseconds since 1970; `key` names it."""

    key: str
    agent: str
    start: int
    end: int


class Lanes:
    """A number for each lane, from 1 on. An agent whose slices overlap without nesting has several."""

    def __init__(self, agents: Iterable[str], slices: Iterable[Slice]) -> None:
        self.names: dict[int, tuple[str, int]] = {}
        """Of each lane the agent, and which of the agent's lanes it is."""
        self._first: dict[str, int] = {}
        self._of: dict[str, int] = {}
        by_agent: dict[str, list[Slice]] = {agent: [] for agent in agents}
        for piece in slices:
            by_agent.setdefault(piece.agent, []).append(piece)
        for agent, pieces in by_agent.items():
            self._lay(agent, pieces)

    def of_slice(self, key: str) -> int:
        return self._of[key]

    def of_agent(self, agent: str) -> int | None:
        """The agent's first lane; None for an agent that is not in the run."""
        return self._first.get(agent)

    def _lay(self, agent: str, pieces: list[Slice]) -> None:
        open_ends: list[list[int]] = []
        before = len(self.names)
        for piece in sorted(pieces, key=lambda piece: (piece.start, -piece.end)):
            for ends in open_ends:
                while ends and ends[-1] <= piece.start:
                    ends.pop()
            fitting = (index for index, ends in enumerate(open_ends) if not ends or piece.end <= ends[-1])
            index = next(fitting, len(open_ends))
            if index == len(open_ends):
                open_ends.append([])
            open_ends[index].append(piece.end)
            self._of[piece.key] = before + index + 1
        for index in range(max(1, len(open_ends))):
            self.names[before + index + 1] = (agent, index + 1)
        self._first[agent] = before + 1
