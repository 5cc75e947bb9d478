"""The events of a project with all that a fold needs of them, in the order in which they are folded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft.mailbox import Message
from tracecraft.memory import PastValue
from tracecraft.records import read_many
from tracecraft.replay.ordering import ordered
from tracecraft.timeline import Entry, Filter

if TYPE_CHECKING:
    from tracecraft.project import Project

SENDS = ("send", "broadcast")


class Fact(msgspec.Struct, frozen=True):
    """An event. `at` is the store's time of it, in seconds since 1970, and `by_writer` its writer's, as the event
    says it.

    `details` are the fields of its type, with the `value` of a memory key whatever its size, and with the `letter` that
    was sent. Of an event whose object is `broken` only what its key tells is known.
    """

    key: str
    at: float
    type: str
    agent: str
    subject: str
    by_writer: str = ""
    about: str = ""
    fence: int = 0
    rev: int = 0
    run: str = ""
    span: str = ""
    details: Mapping[str, Any] = {}
    broken: bool = False

    @property
    def message(self) -> str:
        """The id of the message that was sent."""
        return self.about.rpartition("/")[2].removesuffix(".json")


def read_facts(project: Project, until: float | None = None) -> Sequence[Fact]:
    """All that happened, until a time of the store's clock, in the order of a fold."""
    entries = project.events.timeline(Filter(until=until))
    return ordered(_resolved(project, [_fact(entry) for entry in entries]))


def _fact(entry: Entry) -> Fact:
    name, body = entry.name, entry.body
    if body is None:
        return Fact(entry.key, entry.modified, name.type, name.agent, name.subject, broken=True)
    return Fact(
        entry.key,
        entry.modified,
        body.type,
        body.agent,
        body.subject,
        body.at,
        body.about,
        body.fence,
        body.rev,
        body.run,
        body.span,
        body.extra,
    )


def _resolved(project: Project, facts: Sequence[Fact]) -> list[Fact]:
    """The facts with what their events only name: texts of messages, and large values of memory."""
    letters = _letters(project, [fact for fact in facts if fact.type in SENDS and fact.about])
    versions = [key for fact in facts if isinstance(key := fact.details.get("history"), str)]
    past = read_many(project.store, versions, PastValue, project.broken)

    def resolve(fact: Fact) -> Fact:
        if fact.about in letters and fact.type in SENDS:
            return _with(fact, letter=letters[fact.about])
        key = fact.details.get("history")
        return _with(fact, value=past[key].record.value) if key in past else fact

    return [resolve(fact) for fact in facts]


def _letters(project: Project, sends: Iterable[Fact]) -> dict[str, dict[str, Any]]:
    """The messages that were sent, by the key of the event's object; of a deleted one, what the sender's copy says."""
    copies = {fact.about: project.layout.sent_copy(fact.agent, fact.message) for fact in sends}
    found = read_many(project.store, copies, Message, project.broken)
    kept = read_many(project.store, [copy for key, copy in copies.items() if key not in found], Message, project.broken)
    both = {key: found.get(key) or kept.get(copy) for key, copy in copies.items()}
    return {key: letter_of(stored.record) for key, stored in both.items() if stored}


def letter_of(message: Message) -> dict[str, Any]:
    """A message as a state has it. What it leaves out is as it mostly is."""
    told = {"step": message.step, "reply_to": message.reply_to, "ack": message.ack}
    whole = {"from": message.sender, "to": message.to, "text": message.message}
    return whole | {name: value for name, value in told.items() if value}


def _with(fact: Fact, **details: Any) -> Fact:
    return msgspec.structs.replace(fact, details={**fact.details, **details})
