"""One step's claim: its record, what may become of it, and when a lease has run out.

`claim.json` is the only authority on a step. Everything here is a function of records that were read; the writing is
done by `steps.py`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tracecraft import clock
from tracecraft.errors import Held, LostLease, WrongState
from tracecraft.records import Record, Stored, Versioned

State = Literal["pending", "in_progress", "blocked", "needs_review", "complete"]
Outcome = Literal["complete", "blocked", "needs_review"]

TERMINAL = ("complete", "blocked", "needs_review")
DEFAULT_MAX_HOLD = 86400.0
SHORTEST_TTL = 5.0


class Handoff(Record, omit_defaults=False):
    """What the agent after finds instead of a conversation. The fields of 0.2.x, and the fence it was written under."""

    schema: int = 2
    from_agent: str | None = None
    from_step: str = ""
    next_agent: str | None = None
    state: str = ""
    next_action: str | None = None
    note: str = ""
    created_at: str = ""
    changed_files: list[str] | None = None
    fence: int | None = None


class Status(Record, omit_defaults=False):
    """`status.json`: a view of the claim. Without a fence it was written by 0.2.x."""

    status: str = "pending"
    agent: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    fence: int | None = None


class Claim(Versioned):
    """`claim.json`. Without a fence it was written by 0.2.x, which knows no state but held, and it never expires.

    ttl and max_hold are seconds; `held_since` is when this hold began by the store's clock, and missing in the first
    version of a hold, whose own time it is.
    """

    agent: str | None = None
    claimed_at: str = ""
    state: Literal["", "pending", "in_progress", "blocked", "needs_review", "complete"] = ""
    fence: int = 0
    rev: int = 0
    alive: Literal["", "agent", "self"] = ""
    ttl: float = 0.0
    max_hold: float = 0.0
    held_since: float | None = None
    via: str = ""
    """`next` if the step was handed out by it."""
    process: str = ""
    """The process that keeps an `alive: self` claim, as `localprocess` names it."""
    place: str = ""
    started_at: str = ""
    completed_at: str = ""
    note: str = ""
    previous: str = ""
    """Whose hold this one ended, where it was taken rather than given up."""
    handoff: Handoff | None = None
    run: str = ""
    """The run that the hold is part of."""
    status_seen: str = ""
    """Etag of the last status.json of 0.2.x that is already part of this record."""


class View(msgspec.Struct, frozen=True):
    """A step as its objects show it together."""

    step: str
    claim: Stored[Claim] | None
    status: Stored[Status] | None
    handoff_by_02: Handoff | None = None

    @property
    def by_02(self) -> Stored[Status] | None:
        """The status that 0.2.x wrote, where it says more than the claim.

        0.2.x writes a status after its claim and never changes the claim, so beside its own claims it always counts,
        and without any claim. Beside one of ours it counts unless it was taken in already or is older; but not even an
        older one was looked at by the create that made a claim's first version.
        """
        status, claim = self.status, self.claim
        if status is None or status.record.fence is not None:
            return None
        if claim is None:
            return status
        if status.record.status not in TERMINAL or status.etag == claim.record.status_seen:
            return None
        if not claim.record.fence or claim.record.rev == 1:
            return status
        return status if (status.modified or 0.0) >= (claim.modified or 0.0) else None

    @property
    def state(self) -> State:
        if (status := self.by_02) is not None:
            return _known_state(status.record.status)
        if self.claim is None:
            return "pending"
        return self.claim.record.state or "in_progress"

    @property
    def agent(self) -> str | None:
        """Who holds the step, or brought it to the state it is in."""
        if (status := self.by_02) is not None:
            return status.record.agent
        return self.claim.record.agent if self.claim else None

    @property
    def fence(self) -> int:
        return self.claim.record.fence if self.claim else 0

    @property
    def rev(self) -> int:
        return self.claim.record.rev if self.claim else 0

    @property
    def handoff(self) -> Handoff | None:
        if self.by_02 is not None:
            return self.handoff_by_02
        return self.claim.record.handoff if self.claim else None

    @property
    def since(self) -> str:
        """Since when, by the clock of whoever wrote it."""
        if (status := self.by_02) is not None:
            return status.record.completed_at or status.record.started_at or ""
        if self.claim is None:
            return ""
        record = self.claim.record
        if record.state == "pending":
            return ""
        return record.completed_at if self.state in TERMINAL and record.completed_at else record.claimed_at

    @property
    def exists(self) -> bool:
        return self.claim is not None or self.status is not None

    def held_by(self, agent: str) -> bool:
        return self.state == "in_progress" and self.agent == agent


def takeable_at(view: View, last_beat: float | None) -> float | None:
    """When the lease of a step in progress has run out, by the store's clock; None means never (0.2.x).

    `last_beat` is when the holder's own record was last written; it counts for claims that live by their agent.
    """
    claim = view.claim
    if claim is None or not claim.record.fence or claim.modified is None:
        return None
    record = claim.record
    alive = claim.modified if record.alive == "self" else max(claim.modified, last_beat or 0.0)
    runs_out = alive + record.ttl + slack(record.ttl)
    if record.max_hold:
        return min(runs_out, hold_began(claim) + record.max_hold)
    return runs_out


def slack(ttl: float) -> float:
    """Seconds between the end of a lease and its takeover: for its holder to stop, for clocks that tick in whole
    seconds, and for answers under way."""
    return max(2.0, ttl / 10)


def hold_began(claim: Stored[Claim]) -> float:
    """When the present hold began by the store's clock."""
    return claim.record.held_since if claim.record.held_since is not None else claim.modified or 0.0


def taken(view: View, claimant: Claim, previous: str = "") -> Claim:
    """The step as held by a new holder: one fence on, with the handoff it finds."""
    before = _before(view)
    return msgspec.structs.replace(
        claimant,
        state="in_progress",
        fence=view.fence + 1,
        rev=view.rev + 1,
        claimed_at=clock.now(),
        started_at=clock.now(),
        previous=previous,
        note=before.note if view.state == "pending" else "",
        handoff=view.handoff,
        status_seen=_seen(view),
        extra=before.extra,
    )


def renewed(view: View, claim: Stored[Claim], *, ttl: float | None = None) -> Claim:
    """The same hold, proved alive once more."""
    return msgspec.structs.replace(
        claim.record, rev=view.rev + 1, ttl=ttl or claim.record.ttl, held_since=hold_began(claim)
    )


def finished(view: View, agent: str, outcome: Outcome, handoff: Handoff, *, forced: bool) -> Claim:
    """The step as brought to an end by `agent`; by force, as a hold of its own."""
    now = clock.now()
    fence = view.fence + 1 if forced else view.fence
    before = _before(view)
    return msgspec.structs.replace(
        before,
        agent=agent,
        state=outcome,
        fence=fence,
        rev=view.rev + 1,
        claimed_at=now if forced else before.claimed_at,
        started_at=before.started_at or before.claimed_at or now,
        completed_at=now,
        previous=(view.agent or "") if forced and view.agent != agent else before.previous,
        handoff=msgspec.structs.replace(handoff, fence=fence),
        status_seen=_seen(view),
    )


def given_up(view: View, note: str, by: str) -> Claim:
    """The step as free again: released by its holder or reopened. What it was handed over with stays."""
    before = _before(view)
    return msgspec.structs.replace(
        before,
        agent=None,
        state="pending",
        rev=view.rev + 1,
        alive="",
        via="",
        process="",
        held_since=None,
        completed_at="",
        note=note,
        previous=by,
        handoff=view.handoff,
        status_seen=_seen(view),
    )


def alive_of(record: Claim) -> str:
    """What keeps a claim where it is not the agent's heartbeat, as events tell it."""
    return record.alive if record.alive == "self" else ""


def status_view(record: Claim) -> Status:
    """`status.json` for a claim."""
    return Status(
        status=record.state or "in_progress",
        agent=record.agent,
        started_at=record.started_at or record.claimed_at,
        completed_at=record.completed_at or None,
        fence=record.fence,
    )


def require_holder(view: View, agent: str, fence: int | None) -> None:
    """Raises unless the agent holds the step, under this fence where one is given."""
    if view.held_by(agent) and fence in (None, view.fence):
        return
    record = view.claim.record if view.claim else None
    if view.state == "in_progress" and (fence is not None or (record is not None and record.previous == agent)):
        raise LostLease(
            f"you no longer hold {view.step}: {view.agent} does since {view.since}",
            hint=f"leave it alone; tracecraft send {view.agent} ... if they should know something",
            step=view.step,
            holder=view.agent,
            fence=view.fence,
            state=view.state,
        )
    if view.state == "in_progress":
        raise held_error(view)
    if view.state == "pending":
        raise wrong_state_error(view, "nobody holds it", hint=f"tracecraft claim {view.step}")
    raise wrong_state_error(view, "it has ended", hint=f"tracecraft reopen {view.step}, or --force")


def held_error(view: View, expiry: float | None = None, now: float | None = None) -> Held:
    """The refusal that a held step gives: `expiry` is when its lease runs out, `now` the store's time."""
    lease = f"; its lease runs out at {clock.iso(expiry)}" if expiry is not None else ""
    return Held(
        f"{view.step} is held by {view.agent} since {view.since}{lease}",
        hint=f"wait with --wait, ask with `tracecraft send {view.agent} ...`, or take other work: tracecraft next",
        step=view.step,
        holder=view.agent,
        fence=view.fence,
        since=view.since,
        expires_at=clock.iso(expiry) if expiry is not None else None,
        expires_in=round(max(0.0, expiry - now), 1) if expiry is not None and now is not None else None,
    )


def wrong_state_error(view: View, why: str, hint: str = "tracecraft step-status") -> WrongState:
    by = f" (by {view.agent})" if view.agent else ""
    return WrongState(
        f"{view.step} is {view.state}{by}: {why}", hint=hint, step=view.step, state=view.state, agent=view.agent
    )


def _before(view: View) -> Claim:
    return view.claim.record if view.claim else Claim()


def _seen(view: View) -> str:
    """Etag of the status of 0.2.x that the next version takes in."""
    status = view.status
    if status is not None and status.record.fence is None:
        return status.etag
    return _before(view).status_seen


def _known_state(text: str) -> State:
    match text:
        case "pending" | "blocked" | "needs_review" | "complete":
            return text
        case _:
            return "in_progress"
