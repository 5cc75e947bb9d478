"""The table of a step's states as pure functions: what a step becomes, and what whoever acts on it is told.

One model for the tests that compare the program with it: random calls in a row, and histories of calls side by side.
`held`, `seen` and `refusal` put what the program answers in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from tracecraft.claiming import Hold
from tracecraft.claims import View
from tracecraft.errors import Held, LostLease, Refused


class Told(NamedTuple):
    """An answer: how it went ("claimed", "done", or an error's code), and the step as far as that tells."""

    said: str
    state: str
    agent: str | None
    fence: int | None = None
    previous: str = ""
    """Who lost the step, where it was taken from somebody."""


@dataclass(frozen=True)
class Step:
    """A step as the table knows it. Whether its lease has run out is for the caller to say."""

    state: str = "pending"
    agent: str | None = None
    fence: int = 0
    alive: str = "agent"
    by_next: bool = False
    previous: str = ""
    """Whose hold the last change ended: by taking it from them, or because they gave it up."""

    @property
    def seen(self) -> tuple[str, str | None, int]:
        return self.state, self.agent, self.fence

    def held_by(self, agent: str) -> bool:
        return self.state == "in_progress" and self.agent == agent

    def look(self) -> tuple[Step, Told]:
        return self, self._done()

    def claim(
        self, agent: str, *, steal: bool = False, alive: str = "agent", expired: bool = False
    ) -> tuple[Step, Told]:
        if self.held_by(agent) and self.alive == "agent":
            return replace(self, alive=alive), Told("already_yours", *self.seen)
        if self.state == "complete":
            return self, self._wrong_state()
        if self.state != "in_progress":
            return self._taken(agent, alive, "claimed")
        if steal:
            return self._taken(agent, alive, "stolen")
        if expired:
            return self._taken(agent, alive, "taken_over")
        return self, Told("held", *self.seen)

    def next(self, agent: str, *, expired: bool = False) -> tuple[Step, Told]:
        """`next`, where this step is the only one there is."""
        mine = self.held_by(agent) and self.alive == "agent"
        if mine and self.by_next:
            return self, Told("resumed", *self.seen)
        if self.state == "pending":
            return self._taken(agent, "agent", "claimed", by_next=True)
        if expired and not mine:
            return self._taken(agent, "agent", "taken_over", by_next=True)
        return self, Told("nothing_ready", *self.seen)

    def complete(self, agent: str, outcome: str, *, force: bool = False, fence: int | None = None) -> tuple[Step, Told]:
        if (self.state, self.agent) == (outcome, agent) and fence in (None, self.fence):
            return self, self._done()
        if not force and (refusal := self._refusal(agent, fence)):
            return self, refusal
        previous = (self.agent or "") if force and self.agent != agent else self.previous
        ended = replace(self, state=outcome, agent=agent, fence=self.fence + force, previous=previous)
        return ended, ended._done()

    def release(self, agent: str, *, fence: int | None = None) -> tuple[Step, Told]:
        if self.state == "pending" and self.previous == agent:
            return self, self._done()
        if refusal := self._refusal(agent, fence):
            return self, refusal
        return self._given_up(agent)

    def reopen(self) -> tuple[Step, Told]:
        if self.state == "pending":
            return self, self._done()
        if self.state == "in_progress":
            return self, Told("held", *self.seen)
        return self._given_up(self.agent or "")

    def renew(self, agent: str) -> tuple[Step, Told]:
        if refusal := self._refusal(agent, None):
            return self, refusal
        return self, self._done() if self.alive == "agent" else self._wrong_state()

    def _taken(self, agent: str, alive: str, how: str, *, by_next: bool = False) -> tuple[Step, Told]:
        previous = "" if how == "claimed" else self.agent or ""
        held = Step("in_progress", agent, self.fence + 1, alive, by_next, previous)
        return held, Told(how, *held.seen, previous)

    def _given_up(self, by: str) -> tuple[Step, Told]:
        free = Step("pending", None, self.fence, previous=by)
        return free, free._done()

    def _refusal(self, agent: str, fence: int | None) -> Told | None:
        """What is told to who does not hold the step, under this fence where one is named."""
        if self.held_by(agent) and fence in (None, self.fence):
            return None
        if self.state != "in_progress":
            return self._wrong_state()
        lost = fence is not None or self.previous == agent
        return Told("lost_lease" if lost else "held", *self.seen)

    def _done(self) -> Told:
        return Told("done", *self.seen)

    def _wrong_state(self) -> Told:
        return Told("wrong_state", self.state, self.agent)


def held(hold: Hold) -> Told:
    return Told(hold.how, "in_progress", hold.agent, hold.fence, hold.previous)


def seen(view: View) -> Told:
    return Told("done", view.state, view.agent, view.fence)


def refusal(refused: Refused) -> Told:
    fields = refused.fields
    match refused:
        case Held():
            return Told(refused.code, "in_progress", fields["holder"], fields["fence"])
        case LostLease():
            return Told(refused.code, fields["state"], fields["holder"], fields["fence"])
        case _:
            return Told(refused.code, fields["state"], fields["agent"])
