"""One look at a whole project: who is there, what is held, what waits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tracecraft.agents import Presence
from tracecraft.board import Board
from tracecraft.claims import View, takeable_at
from tracecraft.store import both

if TYPE_CHECKING:
    from tracecraft.project import Project


class Overview(msgspec.Struct, frozen=True):
    """What `look` saw. `unread` counts this agent's new messages; None without an agent."""

    agents: Sequence[Presence]
    board: Board
    unread: int | None
    now: float
    """The store's time as far as it can be told without writing."""

    def step_of(self, agent: str) -> str | None:
        """A step the agent holds now."""
        return next(iter(sorted(self.board.held_by(agent))), None)

    def runs_out(self, view: View) -> float | None:
        """When the lease of a held step runs out by the store's clock; None for never."""
        beat = next((presence.modified for presence in self.agents if presence.name == view.agent), None)
        return takeable_at(view, beat) if view.state == "in_progress" else None

    def has_run_out(self, view: View) -> bool:
        at = self.runs_out(view)
        return at is not None and at < self.now


def look(project: Project, *, with_mail: bool = True) -> Overview:
    """Agents, steps and mail, read side by side."""
    (agents, board), unread = both(
        project.store,
        partial(both, project.store, project.agents.list, project.steps.board),
        project.mailbox.unread_count if with_mail else _no_mail,
    )
    return Overview(agents, board, unread, project.now_by_store())


def _no_mail() -> None:
    return None
