"""The one function that folds what happened into what is: a state and an event give the changes it made.

It is pure, and used for everything that shows a past state: `replay` in the terminal, the page, `status --at`. It
tells also where an event cannot have followed the ones before it, because one of them is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tracecraft.claims import TERMINAL
from tracecraft.replay.ordering import messages_of
from tracecraft.replay.state import Change, State, receipt

if TYPE_CHECKING:
    from tracecraft.replay.facts import Fact


class Gap(msgspec.Struct, frozen=True):
    """Something that events do not tell: about what (`step design`), and why that is known."""

    subject: str
    why: str


class Folded(NamedTuple):
    """What an event came to."""

    changes: Sequence[Change]
    gaps: Sequence[Gap]


NOTHING = Folded((), ())
PENDING: dict[str, Any] = {"state": "pending", "agent": None, "fence": 0, "rev": 0, "alive": "", "note": ""}
"""A step that nobody ever claimed."""

_TAKES = ("claim", "claim.takeover", "claim.steal")


def fold(state: State, fact: Fact) -> Folded:
    """What an event changes, and what must have happened before it that no event tells. The state stays as it is."""
    if fact.broken:
        return Folded((), [Gap(f"event {fact.key}", "what it holds is no event")])
    how = _FOLDS.get(fact.type)
    if how is None:
        return NOTHING
    folded = how(state, fact)
    joined = [] if fact.agent in state["agents"] or fact.type in _SILENT else [_agent(state, fact.agent)]
    return Folded([*joined, *folded.changes], folded.gaps)


# Agents


def _registered(state: State, fact: Fact) -> Folded:
    return NOTHING


def _agent(state: State, agent: str, *, takes: str = "", leaves: str = "") -> Change:
    """An agent with the steps that it holds once it has taken or left one."""
    held = state["agents"].get(agent, {}).get("steps", [])
    return "agents", agent, {"steps": sorted({*held, takes} - {leaves, ""})}


def _collected(state: State, fact: Fact) -> Folded:
    gone = fact.details.get("gone")
    named = gone if isinstance(gone, list) else []
    return Folded([("agents", name, None) for name in named if name in state["agents"] and name != fact.agent], ())


# Steps


def _declared(state: State, fact: Fact) -> Folded:
    names = ("title", "needs", "tags", "priority")
    told = {name: fact.details[name] for name in names if name in fact.details}
    return Folded([("declared", fact.subject, told)], ())


def _step(state: State, fact: Fact) -> Folded:
    """A change of a claim. The event says what the step is from now on; what went before must fit."""
    before = state["claims"].get(fact.subject, PENDING)
    after = {**before, **_outcome(before, fact), "fence": fact.fence, "rev": fact.rev}
    why = _why_not(before, fact)
    gaps = [Gap(f"step {fact.subject}", why)] if why else []
    return Folded([("claims", fact.subject, after), *_holders(state, fact.subject, before, after)], gaps)


def _outcome(before: dict[str, Any], fact: Fact) -> dict[str, Any]:
    """What changes of a claim beside its numbers."""
    alive = fact.details.get("alive", "")
    if fact.type in _TAKES:
        note = before["note"] if before["state"] == "pending" else ""
        return {"state": "in_progress", "agent": fact.agent, "alive": alive, "note": note}
    if fact.type == "renew":
        return {"state": "in_progress", "agent": fact.agent, "alive": alive}
    if fact.type in TERMINAL:
        return {"state": fact.type, "agent": fact.agent, "handoff": _handoff(fact)}
    return {"state": "pending", "agent": None, "alive": "", "note": fact.details.get("note", "")}


def _handoff(fact: Fact) -> dict[str, Any]:
    told = {name: fact.details.get(name) for name in ("to", "note", "next_action")}
    return {"from": fact.agent, "state": fact.type} | {name: text for name, text in told.items() if text}


def _holders(state: State, step: str, before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """What the change means for who held the step and who holds it."""
    was = before["agent"] if before["state"] == "in_progress" else None
    now = after["agent"] if after["state"] == "in_progress" else None
    if was == now:
        return []
    left = [_agent(state, was, leaves=step)] if was in state["agents"] else []
    return left + ([_agent(state, now, takes=step)] if now else [])


def _why_not(before: dict[str, Any], fact: Fact) -> str:
    """Why a change cannot have followed what was known of the step; empty if it can."""
    known = f"{before['state']}{' by ' + before['agent'] if before['agent'] else ''} at rev {before['rev']}"
    if not _fits(before, fact):
        return f"{fact.type} by {fact.agent} at rev {fact.rev} does not follow {known}"
    # The process that keeps a claim itself renews it without events.
    silent = before["alive"] == "self" and fact.rev > before["rev"]
    if fact.rev != before["rev"] + 1 and not silent:
        return f"no event tells of what happened between rev {before['rev']} and rev {fact.rev}"
    return ""


def _fits(before: dict[str, Any], fact: Fact) -> bool:
    state: str = before["state"]
    fence: int = fact.fence - before["fence"]
    mine = state == "in_progress" and bool(before["agent"] == fact.agent)
    match fact.type:
        case "claim":
            return state in ("pending", "blocked", "needs_review") and fence == 1
        case "claim.takeover" | "claim.steal":
            return state == "in_progress" and bool(before["agent"] == fact.details.get("previous")) and fence == 1
        case "renew" | "release":
            return mine and fence == 0
        case "reopen":
            return state in TERMINAL and fence == 0
        case _:  # by force, a step is ended from any state as a hold of its own
            return fence == 1 or (mine and fence == 0)


# Memory, mail, files


def _memory(state: State, fact: Fact) -> Folded:
    """A value was set or deleted; a deleted key stays known as such."""
    before = state["memory"].get(fact.subject, {})
    told = {"by": fact.agent, "version": fact.details.get("version", "")}
    deleted = fact.type == "memory.delete"
    value = {**told, "deleted": True} if deleted else {"value": fact.details.get("value"), **told}
    after = fact.details.get("after")
    gaps = []
    if after and after != before.get("version"):
        gaps.append(Gap(f"memory {fact.subject}", f"no event tells of version {after}, which {fact.agent} replaced"))
    if not deleted and "value" not in fact.details:
        gaps.append(Gap(f"memory {fact.subject}", f"the value that {fact.agent} set is not in the history any more"))
    return Folded([("memory", fact.subject, value)], gaps)


def _sent(state: State, fact: Fact) -> Folded:
    letter = fact.details.get("letter")
    if letter is not None:
        return Folded([("mail", fact.message, letter)], ())
    told = {"step": step} if (step := fact.details.get("step")) else {}
    return Folded([("mail", fact.message, {"from": fact.agent, "to": fact.subject, "text": None, **told})], ())


def _read(state: State, fact: Fact) -> Folded:
    seen = "acknowledged" if fact.type == "ack" else "read"
    changes: list[Change] = []
    gaps = []
    for message in messages_of(fact):
        name = receipt(message, fact.agent)
        if message not in state["mail"]:
            gaps.append(Gap(f"message {message}", f"{fact.agent} read it, and no event tells who sent it"))
        elif state["receipts"].get(name) != "acknowledged":
            changes.append(("receipts", name, seen))
    return Folded(changes, gaps)


def _removed(state: State, fact: Fact) -> Folded:
    gone = {message for message in messages_of(fact) if message in state["mail"]}
    receipts = [name for name in state["receipts"] if name.partition(" ")[0] in gone] if gone else []
    return Folded(
        [*(("mail", message, None) for message in sorted(gone)), *(("receipts", name, None) for name in receipts)], ()
    )


def _uploaded(state: State, fact: Fact) -> Folded:
    told = {name: fact.details[name] for name in ("size", "sha256") if name in fact.details}
    return Folded([("artifacts", f"{fact.details.get('step')}/{fact.subject}", {**told, "by": fact.agent})], ())


_STEP_EVENTS = (*_TAKES, "renew", *TERMINAL, "release", "reopen")
_FOLDS: dict[str, Callable[[State, Fact], Folded]] = {
    "agent.register": _registered,
    "step.add": _declared,
    **dict.fromkeys(_STEP_EVENTS, _step),
    "memory.set": _memory,
    "memory.delete": _memory,
    "send": _sent,
    "broadcast": _sent,
    "inbox.read": _read,
    "ack": _read,
    "inbox.delete": _removed,
    "gc.messages": _removed,
    "artifact.upload": _uploaded,
    "gc": _collected,
}
_SILENT = ("inbox.read", "gc.messages")
"""Events of agents that may have no record: reading is no sign of life."""
