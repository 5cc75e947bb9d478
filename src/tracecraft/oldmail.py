"""Old mail that may go: messages that were read, the sender's copies of them, and their receipts.

A message is read when the position in its reader's `_reader.json` has passed it; nothing else counts. A broadcast is
read when every agent that is about has read it, but the sender. The copy goes before its message and receipts go last,
so that `sent` never calls a message deleted that was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracecraft import layout
from tracecraft.layout import BROADCAST
from tracecraft.mailbox import Reader, passed
from tracecraft.records import read_many
from tracecraft.store import Info, delete_many
from tracecraft.tally import Tally

if TYPE_CHECKING:
    from tracecraft.project import Project


@dataclass(frozen=True)
class Mail:
    """All mail at one look: messages by mailbox, copies and receipts by the message they are of."""

    messages: dict[str, list[Info]] = field(default_factory=dict)
    copies: dict[str, list[Info]] = field(default_factory=dict)
    acks: dict[str, list[Info]] = field(default_factory=dict)
    readers: dict[str, Info] = field(default_factory=dict)
    positions: dict[str, Callable[[Info], bool]] = field(default_factory=dict)
    """Whether an agent was shown a message, of agents whose position could be read."""

    def has_read(self, agent: str, message: Info) -> bool:
        return agent in self.positions and self.positions[agent](message)

    def unread(self, agent: str) -> int:
        """How many messages in an agent's own mailbox it was not shown."""
        return sum(not self.has_read(agent, info) for info in self.messages.get(agent, []))


@dataclass
class OldMail:
    """What goes, in this order."""

    copies: list[Info] = field(default_factory=list)
    messages: list[Info] = field(default_factory=list)
    acks: list[Info] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


def look(project: Project) -> Mail:
    """One LIST of all mailboxes, then the read positions in one wave."""
    mail = Mail()
    for info in project.store.list(project.layout.messages()):
        found = project.layout.mail_of(info.key)
        match found.kind if found else None, found:
            case "message", layout.MailKey(box=box):
                mail.messages.setdefault(box, []).append(info)
            case "copy", layout.MailKey(message=name):
                mail.copies.setdefault(name, []).append(info)
            case "ack", layout.MailKey(message=name):
                mail.acks.setdefault(name, []).append(info)
            case "reader", layout.MailKey(box=box):
                mail.readers[box] = info
    keys = {info.key: box for box, info in mail.readers.items()}
    for key, reader in read_many(project.store, keys, Reader, project.broken).items():
        mail.positions[keys[key]] = passed(reader.record)
    return mail


def choose(mail: Mail, before: float, about: Set[str]) -> OldMail:
    """What may go of mail from before a time of the store, while these agents are about."""
    old = OldMail()
    stay = set()
    for box, infos in mail.messages.items():
        for info in infos:
            unread_by = _unread_by(mail, box, info, about)
            if info.modified < before and not unread_by:
                old.messages.append(info)
                continue
            stay.add(name_of(info))
            if info.modified < before:
                old.tally.kept["unread"] += 1
                old.tally.waiting_for += unread_by if box == BROADCAST else []
    read = {name_of(info) for info in old.messages} - stay
    old.copies = _ended(mail.copies, read, stay, before)
    told = stay | (mail.copies.keys() - {name_of(info) for info in old.copies})
    old.acks = _ended(mail.acks, read, told, before)
    _count(old, len(mail.readers))
    return old


def standing(mail: Mail, old: OldMail) -> list[Info]:
    """The broadcasts that stay."""
    gone = {info.key for info in old.messages}
    return [info for info in mail.messages.get(BROADCAST, []) if info.key not in gone]


def remove(project: Project, old: OldMail) -> None:
    for infos in (old.copies, old.messages, old.acks):
        delete_many(project.store, [info.key for info in infos])


def _unread_by(mail: Mail, box: str, message: Info, about: Iterable[str]) -> list[str]:
    """Who has still to be shown a message."""
    if box != BROADCAST:
        return [] if mail.has_read(box, message) else [box]
    leaf = layout.parse_leaf(name_of(message))
    sender = leaf.agent if leaf else None
    return [agent for agent in about if agent != sender and not mail.has_read(agent, message)]


def _ended(of: dict[str, list[Info]], read: Set[str], stay: Set[str], before: float) -> list[Info]:
    """Objects about messages that go, and old ones about messages that are gone."""
    return [
        info
        for name, infos in of.items()
        for info in infos
        if name in read or (name not in stay and info.modified < before)
    ]


def _count(old: OldMail, readers: int) -> None:
    tally = old.tally
    for kind, infos in (("messages", old.messages), ("copies", old.copies), ("acks", old.acks)):
        tally.counts[kind] = len(infos)
        for info in infos:
            tally.add(info)
    tally.requests = tally.objects + readers
    tally.waiting_for = sorted(set(tally.waiting_for))


def name_of(info: Info) -> str:
    """The id of the message that an object is, or is about."""
    return info.key.rpartition("/")[2].removesuffix(".json")
