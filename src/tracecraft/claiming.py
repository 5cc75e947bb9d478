"""How one step is claimed: the create that usually decides, and what happens to a step that has a history."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from tracecraft import clock, layout, localprocess
from tracecraft.claims import (
    DEFAULT_MAX_HOLD,
    SHORTEST_TTL,
    Claim,
    Handoff,
    Status,
    View,
    alive_of,
    held_error,
    renewed,
    status_view,
    takeable_at,
    taken,
    wrong_state_error,
)
from tracecraft.errors import Conflict, Held, NotFound, TimedOut, Unreachable, UsageError
from tracecraft.records import Stored, commit, encode, read
from tracecraft.store import both

if TYPE_CHECKING:
    from tracecraft.project import Project

How = Literal["claimed", "already_yours", "taken_over", "stolen", "resumed"]
Alive = Literal["agent", "self"]

_ROUNDS = 50
"""How often a claim that lost to another change is tried on what it finds then."""

_EVENTS: dict[How, str] = {
    "claimed": "claim",
    "already_yours": "renew",
    "resumed": "renew",
    "taken_over": "claim.takeover",
    "stolen": "claim.steal",
}


class Hold(msgspec.Struct, frozen=True):
    """A step in the hands of this agent. `previous` is who lost it, where it was taken from somebody."""

    step: str
    agent: str
    fence: int
    how: How
    ttl: float
    handoff: Handoff | None
    note: str
    """What the last holder or whoever reopened the step left."""
    previous: str
    claim: Stored[Claim]
    began: float
    """The elapsed clock just before the winning write was sent: the lease counts from here."""


class Claiming:
    """Claims steps for the agent of a project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._layout = project.layout

    def claimant(
        self,
        ttl: float | None,
        max_hold: float = DEFAULT_MAX_HOLD,
        alive: Alive = "agent",
        process: str = "",
        via: str = "",
    ) -> Claim:
        """What a hold of this agent says of itself. Raises UsageError for a ttl that no one could keep."""
        seconds = self._project.ttl if ttl is None else ttl
        if seconds < SHORTEST_TTL:
            raise UsageError(f"a ttl of {seconds:g} s is too short", hint=f"use at least {SHORTEST_TTL:g}s")
        if seconds < 30 and self._project.store.remote:
            self._project.say(f"a ttl of {seconds:g} s is short for a bucket: a slow answer may cost the lease")
        return Claim(
            agent=self._project.agent,
            alive=alive,
            ttl=seconds,
            max_hold=max_hold,
            place=self._project.place,
            process=process,
            via=via,
            run=self._project.run,
        )

    def claim(self, step: str, claimant: Claim, *, steal: bool, wait: float | None) -> Hold:
        """Claim a step, waiting for it if wanted; see `Steps.claim`."""
        hold = self._fresh(step, claimant)
        if hold is not None:
            return hold
        deadline = clock.Deadline(wait)
        refused = False
        while True:
            try:
                return self._again(step, claimant, steal=steal)
            except Held as held:
                if not refused:
                    self._tell_refusal(step, held)
                    refused = True
                if wait == 0.0:
                    raise
                if deadline.passed:
                    raise TimedOut(f"waited in vain: {held.message}", hint=held.hint, **held.fields) from held
                self._wait_for_change(step, held, deadline)

    def take(self, view: View, claimant: Claim, how: How) -> Hold | None:
        """Take a step as it was seen, or None when somebody was faster."""
        if not self.still_stands(view):
            return None
        record = taken(view, claimant, (view.agent or "") if how == "taken_over" else "")
        began = clock.elapsed()
        try:
            claim = commit(self._project.store, self._layout.claim(view.step), record, view.claim)
        except Conflict:
            return None
        return self.settled(view.step, claim, how, began)

    def still_stands(self, view: View) -> bool:
        """Whether the claim of a step is what a listing made it out to be: what was remembered decides nothing."""
        if view.claim is None:
            return True
        there = read(self._project.store, view.claim.key, Claim)
        return there is not None and (there.etag, there.record) == (view.claim.etag, view.claim.record)

    def settled(self, step: str, claim: Stored[Claim], how: How, began: float) -> Hold:
        """Write what follows a won claim and say what was won."""
        record = claim.record
        previous = record.previous if how in ("taken_over", "stolen") else ""
        details = {name: text for name, text in (("previous", previous), ("alive", alive_of(record))) if text}
        event = self._project.events.item(
            _EVENTS[how], step, about=claim.key, fence=record.fence, rev=record.rev, **details
        )
        items = [event, *self._project.agents.beat_item(step=step, ttl=record.ttl)]
        if _EVENTS[how] != "renew":
            items.append((self._layout.status(step), encode(status_view(record))))
        self._project.write_after(items, done=f"{step} is claimed")
        return Hold(
            step, record.agent or "", record.fence, how, record.ttl, record.handoff, record.note, previous, claim, began
        )

    def last_beat(self, agent: str | None) -> float | None:
        """When an agent last wrote its record, by the store's clock."""
        if not agent or not layout.is_segment(agent):
            return None
        try:
            return self._project.store.head(self._layout.agent(agent)).modified
        except NotFound:
            return None

    def _fresh(self, step: str, claimant: Claim) -> Hold | None:
        """The common case: nobody ever claimed the step, so one conditional create decides."""
        store, key = self._project.store, self._layout.claim(step)
        record = taken(View(step, None, None), claimant)

        def create() -> Stored[Claim] | None:
            try:
                return commit(store, key, record, None)
            except Conflict:
                return None

        began = clock.elapsed()
        won, status = both(store, create, partial(read, store, self._layout.status(step), Status))
        if won is None or (status is not None and status.record.fence is None):
            return None
        return self.settled(step, won, "claimed", began)

    def _again(self, step: str, claimant: Claim, *, steal: bool) -> Hold:
        """Claim a step that has a history. Raises Held, WrongState."""
        for _ in range(_ROUNDS):
            view, _beat = both(
                self._project.store, partial(self._project.steps.view, step), self._project.agents.beat_now
            )
            how, record = self._next_hold(view, claimant, steal)
            began = clock.elapsed()
            try:
                claim = commit(self._project.store, self._layout.claim(step), record, view.claim)
            except Conflict:
                continue
            return self.settled(step, claim, how, began)
        raise Unreachable(f"{step} keeps changing hands", hint="repeat the command")

    def _next_hold(self, view: View, claimant: Claim, steal: bool) -> tuple[How, Claim]:
        """What the step becomes when it is claimed now. Raises Held, WrongState."""
        if not view.held_by(claimant.agent or ""):
            return self._from_others(view, claimant, steal)
        claim = view.claim
        if claim is None or not claim.record.fence:
            return "already_yours", taken(view, claimant)
        if claim.record.alive == "self":
            if localprocess.is_dead(claim.record.process):
                return "taken_over", taken(view, claimant, view.agent or "")
            return self._from_others(view, claimant, steal)
        if claim.record.place not in ("", self._project.place):
            self._project.say(
                f"{view.step} was claimed by {view.agent} in {claim.record.place}: one agent, two places?"
            )
        kept = renewed(view, claim, ttl=claimant.ttl)
        return "already_yours", msgspec.structs.replace(
            kept,
            alive=claimant.alive,
            process=claimant.process,
            place=claimant.place,
            max_hold=claimant.max_hold,
            via=claimant.via or kept.via,
            run=claimant.run or kept.run,
        )

    def _from_others(self, view: View, claimant: Claim, steal: bool) -> tuple[How, Claim]:
        """What a step that is not this agent's becomes when it claims it. Raises Held, WrongState."""
        if view.state == "complete":
            raise wrong_state_error(view, "nothing is left to do", hint=f"tracecraft reopen {view.step}")
        if view.state != "in_progress":
            return "claimed", taken(view, claimant)
        if steal:
            return "stolen", taken(view, claimant, view.agent or "")
        now, expiry = self._judge(view)
        if expiry is None or now < expiry:
            raise held_error(view, expiry, now)
        return "taken_over", taken(view, claimant, view.agent or "")

    def _judge(self, view: View) -> tuple[float, float | None]:
        """The store's time and when the lease runs out. A heartbeat of ours was acknowledged before this is called."""
        now, beat = both(self._project.store, self._project.store_time, partial(self.last_beat, view.agent))
        return now, takeable_at(view, beat)

    def _wait_for_change(self, step: str, held: Held, deadline: clock.Deadline) -> None:
        """Sleep until the claim changes, its lease may have run out, or the deadline passes."""
        seconds = held.fields.get("expires_in")
        expiry = clock.Deadline(None if seconds is None else float(seconds) + 0.1)
        key, store = self._layout.claim(step), self._project.store
        pace = store.pace()
        try:
            etag = store.head(key).etag
            while not (deadline.passed or expiry.passed):
                pace.sleep(min((d.left for d in (deadline, expiry) if d.left is not None), default=None))
                if store.get_if_changed(key, etag) is not None:
                    return
        except NotFound:
            return

    def _tell_refusal(self, step: str, held: Held) -> None:
        fence, holder = held.fields["fence"], held.fields["holder"]
        event = self._project.events.item(
            "claim.refused", step, about=self._layout.claim(step), fence=fence, holder=holder
        )
        self._project.write_after([event], done=f"the claim of {step} was refused")
