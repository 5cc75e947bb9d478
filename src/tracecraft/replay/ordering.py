"""In which order events are folded: by the store's time, then their key, but none before one that it certainly follows.

The changes of a step follow each other by fence and rev, versions of a memory key by the version each replaced; a
message is read after it was sent and removed after it was read; a claim is refused after the one it was refused for.
Times of stores may be whole seconds, and an event may be written late: these rules hold all the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracecraft.replay.facts import Fact

    _Pair = tuple[Fact, Fact]
    """An event, and one that it certainly follows."""

_Place = tuple[float, str, int]

_READS = ("inbox.read", "ack")
_REMOVALS = ("inbox.delete", "gc.messages")


def ordered(facts: Sequence[Fact]) -> list[Fact]:
    """The facts in the order of a fold."""
    follows = _follows(facts)
    places: dict[str, _Place] = {}
    by_key = {fact.key: fact for fact in facts}
    for fact in sorted(facts, key=lambda fact: (fact.at, fact.key)):
        _place(fact, by_key, follows, places)
    return sorted(facts, key=lambda fact: places[fact.key])


def messages_of(fact: Fact) -> list[str]:
    """The ids of the messages that an event is about, but for the one it sent."""
    if fact.type == "ack":
        return [fact.subject]
    named = fact.details.get("messages")
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def _place(fact: Fact, by_key: dict[str, Fact], follows: dict[str, list[str]], places: dict[str, _Place]) -> None:
    """Give a fact its place, and those that it follows before it; chains may be long, so this is no recursion."""
    waiting, begun = [fact.key], set()
    while waiting:
        key = waiting[-1]
        if key in places:
            waiting.pop()
            continue
        before = follows.get(key, [])
        missing = [other for other in before if other not in places and other not in begun]
        if missing and key not in begun:
            begun.add(key)
            waiting.extend(missing)
            continue
        own: _Place = (by_key[key].at, key, 0)
        # One that follows itself by way of others is nobody's doing of ours: it is placed by its time.
        last = max((places[other] for other in before if other in places), default=own)
        places[key] = own if own >= last else (last[0], last[1], last[2] + 1)
        waiting.pop()


def _follows(facts: Sequence[Fact]) -> dict[str, list[str]]:
    """The keys of the events that each event follows."""
    found: dict[str, list[str]] = defaultdict(list)
    for later, earlier in chain(_of_steps(facts), _of_memory(facts), _of_mail(facts)):
        found[later.key].append(earlier.key)
    return found


def _of_steps(facts: Iterable[Fact]) -> Iterator[_Pair]:
    """Changes follow each other; a refusal follows the beginning of the hold it was for."""
    steps: dict[str, list[Fact]] = defaultdict(list)
    refusals = []
    for fact in facts:
        if fact.type.endswith(".refused"):
            refusals.append(fact)
        elif fact.rev:
            steps[fact.subject].append(fact)
    holds: dict[tuple[str, int], Fact] = {}
    for step, changes in steps.items():
        changes.sort(key=lambda fact: (fact.fence, fact.rev, fact.at))
        for change in changes:
            holds.setdefault((step, change.fence), change)
        yield from ((later, earlier) for earlier, later in pairwise(changes))
    for refusal in refusals:
        hold = holds.get((refusal.subject, refusal.fence))
        if hold is not None:
            yield refusal, hold


def _of_memory(facts: Sequence[Fact]) -> Iterator[_Pair]:
    """A version follows the one it replaced."""
    sets = [fact for fact in facts if fact.type in ("memory.set", "memory.delete")]
    versions = {(fact.subject, version): fact for fact in sets if (version := fact.details.get("version"))}
    for fact in sets:
        earlier = versions.get((fact.subject, fact.details.get("after")))
        if earlier is not None:
            yield fact, earlier


def _of_mail(facts: Sequence[Fact]) -> Iterator[_Pair]:
    """Messages are sent, then read, then removed."""
    earlier: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.type in ("send", "broadcast"):
            earlier[fact.message].append(fact)
    for stage in (_READS, _REMOVALS):
        those = [fact for fact in facts if fact.type in stage]
        for fact in those:
            yield from ((fact, before) for message in messages_of(fact) for before in earlier[message])
        for fact in those:
            for message in messages_of(fact):
                earlier[message].append(fact)
