"""Events as happenings: what each one is called, whom it leads to, and what of it is worth showing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from tracecraft.layout import BROADCAST
from tracecraft.replay.facts import Fact
from tracecraft.replay.happening import Happening, Kind, excerpt, in_line


class _Told(NamedTuple):
    kind: Kind
    title: str
    to: str = ""
    bad: bool = False


def tell(fact: Fact, at: float) -> Happening:
    """An event as it is shown at a time."""
    told = _told(fact)
    return Happening(
        at,
        fact.agent,
        told.kind,
        told.title,
        to="" if told.to == fact.agent else told.to,
        bad=told.bad,
        run=fact.run,
        span=fact.span,
        details=_details(fact),
    )


def _told(fact: Fact) -> _Told:
    if fact.type.endswith(".refused"):
        return _refused(fact)
    how = _WORDS.get(fact.type)
    return how(fact, fact.details) if how else _Told("upkeep", f"{fact.type} {fact.subject}")


def _refused(fact: Fact) -> _Told:
    wanted, holder = fact.type.removesuffix(".refused"), fact.details.get("holder")
    why = f": {holder} has it" if holder and holder != fact.agent else f": {fact.details.get('reason', 'refused')}"
    return _Told("refusal", f"may not {_VERBS.get(wanted, wanted)} {fact.subject}{why}", bad=True)


_VERBS = {"blocked": "block", "needs_review": "ask for review of"}


def _claim(fact: Fact, details: Mapping[str, Any]) -> _Told:
    return _Told("claim", f"claims {fact.subject} (fence {fact.fence})")


def _taken(fact: Fact, details: Mapping[str, Any]) -> _Told:
    how = "takes over" if fact.type == "claim.takeover" else "steals"
    previous = str(details.get("previous", ""))
    return _Told("claim", f"{how} {fact.subject} from {previous} (fence {fact.fence})", previous)


def _ended(fact: Fact, details: Mapping[str, Any]) -> _Told:
    kind, verb = _ENDS[fact.type]
    note = f": {in_line(details['note'])}" if details.get("note") else ""
    to = str(details.get("to") or "")
    return _Told(kind, f"{verb} {fact.subject}{f', hands it to {to}' if to else ''}{note}", to, kind == "blocked")


_ENDS: dict[str, tuple[Kind, str]] = {
    "complete": ("done", "completes"),
    "blocked": ("blocked", "is blocked on"),
    "needs_review": ("review", "wants review of"),
}


def _given_up(fact: Fact, details: Mapping[str, Any]) -> _Told:
    verb = "releases" if fact.type == "release" else "reopens"
    note = f": {in_line(details['note'])}" if details.get("note") else ""
    return _Told("release", f"{verb} {fact.subject}{note}")


def _declared(fact: Fact, details: Mapping[str, Any]) -> _Told:
    needs = details.get("needs")
    after = f", after {', '.join(map(str, needs))}" if isinstance(needs, list) and needs else ""
    return _Told("declare", f"declares {fact.subject}{after}")


def _set(fact: Fact, details: Mapping[str, Any]) -> _Told:
    return _Told("memory", f"{fact.subject} = {in_line(details['value'], 60)}" if "value" in details else fact.subject)


def _sent(fact: Fact, details: Mapping[str, Any]) -> _Told:
    letter = details.get("letter")
    text = in_line(letter["text"]) if isinstance(letter, dict) else "(the message is gone)"
    return _Told("message", text, "*" if fact.subject == BROADCAST else fact.subject)


def _counted(verb: str, kind: Kind) -> Callable[[Fact, Mapping[str, Any]], _Told]:
    """What an event says that names messages."""

    def told(fact: Fact, details: Mapping[str, Any]) -> _Told:
        named = details.get("messages")
        count = len(named) if isinstance(named, list) else details.get("count", 0)
        return _Told(kind, f"{verb} {count} message{'' if count == 1 else 's'}")

    return told


def _uploaded(fact: Fact, details: Mapping[str, Any]) -> _Told:
    step = details.get("step")
    return _Told("artifact", f"uploads {fact.subject}{f' for {step}' if step and step != 'shared' else ''}")


def _session(verb: str) -> Callable[[Fact, Mapping[str, Any]], _Told]:
    return lambda fact, details: _Told("session", f"{verb} {details.get('harness', '')} session {fact.subject[:8]}")


_WORDS: dict[str, Callable[[Fact, Mapping[str, Any]], _Told]] = {
    "agent.register": lambda fact, details: _Told("agent", "joins"),
    "step.add": _declared,
    "claim": _claim,
    "claim.takeover": _taken,
    "claim.steal": _taken,
    "renew": lambda fact, details: _Told("claim", f"renews {fact.subject}"),
    "complete": _ended,
    "blocked": _ended,
    "needs_review": _ended,
    "release": _given_up,
    "reopen": _given_up,
    "memory.set": _set,
    "memory.delete": lambda fact, details: _Told("memory", f"{fact.subject} deleted"),
    "send": _sent,
    "broadcast": _sent,
    "inbox.read": _counted("reads", "read"),
    "inbox.delete": _counted("deletes", "read"),
    "ack": lambda fact, details: _Told("read", "acknowledges a message"),
    "artifact.upload": _uploaded,
    "session.start": _session("begins to mirror"),
    "session.end": _session("ends"),
    "session.restore": _session("restores"),
    "session.delete": _session("deletes"),
    "session.compact": _session("compacts"),
    "gc": lambda fact, details: _Told("upkeep", "collects what is old"),
    "gc.messages": _counted("collects", "upkeep"),
}


def _details(fact: Fact) -> dict[str, Any]:
    """What is shown of an event when it is asked for."""
    told: dict[str, Any] = {"event": fact.type, "subject": fact.subject}
    if fact.fence:
        told["fence"] = fact.fence
    if fact.rev:
        told["rev"] = fact.rev
    told |= {name: excerpt(msgspec.to_builtins(value)) for name, value in fact.details.items() if value is not None}
    return told | {"object": fact.about, "key": fact.key}
