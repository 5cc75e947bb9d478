"""Messages between agents: stored for good, read by position, receipted when asked.

What is new is told by the store's time of a message, never by its sender's clock: the read position `_reader.json`
keeps the largest time shown, and the messages shown in the two minutes before it by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tracecraft import clock, layout
from tracecraft.errors import BrokenRecord, Conflict, Missing, NotFound, Unreachable, UsageError
from tracecraft.layout import BROADCAST
from tracecraft.records import Record, Stored, Versioned, check_size, commit, encode, read, read_many
from tracecraft.store import Info, both, delete_many, put_many

if TYPE_CHECKING:
    from tracecraft.project import Project

GRACE = 120.0
"""Seconds a store may show a message late and out of order without it being missed."""
LOOK_BACK = 86400.0
"""Seconds a sender's clock may be behind without its messages being missed."""
BATCH = 200
"""Messages shown between two writes of the read position, or an eighth of what the position names if that is more.

A killed reader repeats at most these; and however large a burst, the position is not written too often for its size.
"""

_ROUNDS = 100


class Message(Record, omit_defaults=False):
    """A message as stored."""

    sender: str = msgspec.field(default="", name="from")
    to: str = ""
    message: Any = ""
    sent_at: str = ""
    step: str | None = None
    reply_to: str | None = None
    ack: bool = False
    run: str | msgspec.UnsetType = msgspec.UNSET
    """The run that it was sent in."""


class Reader(Versioned):
    """How far an agent has read: see the module's first lines. Times are the store's, `floor` is a key's name."""

    floor: str = ""
    at: float = 0.0
    seen: list[str] = msgspec.field(default_factory=list)


class Ack(Record, omit_defaults=False):
    """A receipt: an agent says that it has dealt with a message."""

    message_id: str = ""
    agent: str = ""
    acked_at: str = ""


class _Stream02(msgspec.Struct):
    watermark: str | None = None
    seen: list[str] = []


class _Cursor02(Record):
    """The read position of 0.2.x: keys up to the watermark, and those named, were read."""

    direct: _Stream02 = msgspec.field(default_factory=_Stream02)
    broadcast: _Stream02 = msgspec.field(default_factory=_Stream02)


class Letter(msgspec.Struct, frozen=True):
    """A message in a mailbox. `id` names it in `ack` and `reply_to`; `modified` is the store's time."""

    id: str
    message: Message
    broadcast: bool
    modified: float
    key: str

    @property
    def short_id(self) -> str:
        """The end of the id, enough for `ack`."""
        return short_id(self.id)


class Receipt(msgspec.Struct, frozen=True):
    """What became of a message that was sent: who read it and who acknowledged it."""

    id: str
    message: Message
    stored: bool
    read_by: list[str]
    acked_by: list[str]

    @property
    def state(self) -> Literal["acknowledged", "read", "stored", "deleted"]:
        if self.acked_by:
            return "acknowledged"
        if self.read_by:
            return "read"
        return "stored" if self.stored else "deleted"


class _Position(msgspec.Struct):
    """A read position while it moves."""

    at: float = 0.0
    floor: str = ""
    seen: dict[str, float] = msgspec.field(default_factory=dict)
    """Names shown, with the store's time where it is known."""

    def is_new(self, info: Info, name: str) -> bool:
        return info.modified > self.at - GRACE and name not in self.seen


class Mailbox:
    """The mailbox of this agent, and the way into those of others."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._layout = project.layout

    def send(
        self, to: str, text: str, *, step: str | None = None, reply_to: str | None = None, ack: bool = False
    ) -> Letter:
        """Put a message into an agent's mailbox, or into everybody's (`_broadcast`). Returns when it is stored.

        `ack` asks the reader to acknowledge it. A name nobody registered is noticed, not refused.
        """
        if to != BROADCAST:
            layout.name("agent", to)
        sender = self._project.agent
        message = Message(
            sender=sender,
            to=to,
            message=text,
            sent_at=clock.now(),
            step=layout.readable_step_id(step) if step else None,
            reply_to=layout.segment("message", reply_to) if reply_to else None,
            ack=ack,
            run=self._project.run or msgspec.UNSET,
        )
        check_size(message)
        leaf = layout.now_leaf(sender, layout.new_short_id())
        # The copy carries the same name: that is how `sent` finds the message again.
        copy = self._layout.sent_copy(sender, leaf)
        key = self._layout.message(to, leaf)
        data = encode(message)
        items = [
            (key, data),
            (copy, data),
            self._project.events.item("broadcast" if to == BROADCAST else "send", to, about=key, step=message.step),
            *self._project.agents.beat_item(),
        ]
        _, known = both(self._project.store, partial(put_many, self._project.store, items), partial(self._is_known, to))
        if not known:
            self._project.say(f"no agent called {to} has registered here yet; the message waits in its mailbox")
        return Letter(leaf, message, to == BROADCAST, 0.0, key)

    def read(self) -> list[Letter]:
        """Every message to this agent, broadcasts of others included, oldest first by the store's time."""
        listed = self._listed(_Position())
        return _letters(listed, self._project.read_listed([info for info, _ in listed], Message))

    def new(self, *, limit: int | None = None, batch: int = BATCH) -> Iterator[list[Letter]]:
        """Messages not shown before, in batches, oldest first by the store's time.

        The read position moves past a batch when the next one is asked for (or the last is done with): a reader that
        dies in between is shown that batch again, and nothing is ever skipped.
        """
        reader = self._read_position()
        position = self._position(reader)
        infos = [
            (info, broadcast)
            for info, broadcast in self._listed(position)
            if position.is_new(info, _leaf_name(info.key))
        ]
        infos = infos[:limit] if limit else infos
        while infos:
            size = max(batch, len(reader.record.seen) // 8 if reader else 0)
            part, infos = infos[:size], infos[size:]
            keys = [info.key for info, _ in part]
            yield _letters(part, read_many(self._project.store, keys, Message, self._project.broken))
            reader = self._advance(reader, position, [info for info, _ in part])

    def watch(self) -> Iterator[list[Letter]]:
        """New messages as they arrive, for ever, each marked as read after it was shown."""
        pace = self._project.store.pace()
        while True:
            for batch in self.new():
                pace.changed()
                yield batch
            pace.sleep()

    def delete(self, letters: Iterable[Letter]) -> int:
        """Remove direct messages from this mailbox for good; broadcasts belong to everybody. Returns how many."""
        own = [letter for letter in letters if not letter.broadcast]
        store = self._project.store
        delete_many(store, [letter.key for letter in own])
        items = (
            [
                self._project.events.item(
                    "inbox.delete",
                    self._project.agent,
                    about=own[0].key,
                    count=len(own),
                    messages=[letter.id for letter in own],
                )
            ]
            if own
            else []
        )
        self._project.write_after([*items, *self._project.agents.beat_item()], done=f"{len(own)} messages deleted")
        return len(own)

    def ack(self, ids: Iterable[str]) -> list[str]:
        """Acknowledge messages, each by its id or an unambiguous beginning or end of it. Raises Missing, UsageError."""
        agent = self._project.agent
        names = {_leaf_name(info.key) for info, _ in self._listed(_Position())}
        chosen = [_choose(names, wanted) for wanted in ids]
        items: list[tuple[str, bytes]] = []
        for message_id in chosen:
            key = self._layout.ack(agent, message_id)
            items.append((key, encode(Ack(message_id=message_id, agent=agent, acked_at=clock.now()))))
            items.append(self._project.events.item("ack", message_id, about=key))
        put_many(self._project.store, [*items, *self._project.agents.beat_item()])
        return chosen

    def sent(self, *, unread: bool = False) -> list[Receipt]:
        """What this agent sent, oldest first, with what became of each; with `unread` only what nobody read."""
        project, agent = self._project, self._project.agent
        infos = list(project.store.list(self._layout.sent(agent)))
        copies = [info.key for info in infos]
        messages = project.read_listed(infos, Message)
        by_box: dict[str, list[str]] = {}
        for key in copies:
            if key in messages and layout.is_segment(messages[key].record.to):
                by_box.setdefault(messages[key].record.to, []).append(_leaf_name(key))
        boxes = {box: self._box_infos(box, min(names)) for box, names in by_box.items()}
        readers = self._readers(by_box)
        receipts = [
            self._receipt(_leaf_name(key), messages[key].record, boxes, readers)
            for key in copies
            if key in messages and messages[key].record.to in boxes
        ]
        return [receipt for receipt in receipts if not unread or receipt.state == "stored"]

    def unread_count(self) -> int:
        """How many messages `new` would show."""
        position = self._position(self._read_position())
        return sum(position.is_new(info, _leaf_name(info.key)) for info, _ in self._listed(position))

    # Listing and positions

    def _listed(self, position: _Position) -> list[tuple[Info, bool]]:
        """Messages to this agent from the position's floor on, by the store's time; own broadcasts are left out."""
        direct, broadcast = both(
            self._project.store,
            partial(self._box, self._project.agent, position.floor),
            partial(self._box, BROADCAST, position.floor),
        )
        listed = [(info, False) for info in direct] + [(info, True) for info in broadcast if not self._is_own(info)]
        return sorted(listed, key=lambda pair: (pair[0].modified, _leaf_name(pair[0].key), pair[0].key))

    def _box(self, agent: str, floor: str) -> list[Info]:
        """Messages in one mailbox. What begins with `_` or lies deeper is bookkeeping."""
        folder = self._layout.mailbox(agent)
        infos = self._project.store.list(folder, after=folder + floor if floor else None)
        return [i for i in infos if "/" not in (leaf := i.key[len(folder) :]) and leaf[:1] not in ("_", "")]

    def _is_own(self, info: Info) -> bool:
        leaf = layout.parse_leaf(info.key.rpartition("/")[2])
        return leaf is not None and leaf.agent == self._project.agent

    def _position(self, reader: Stored[Reader] | None) -> _Position:
        """Where to go on, for an agent that never read from where 0.2.x left off."""
        if reader is not None:
            return _position_of(reader.record)
        agent, store = self._project.agent, self._project.store
        try:
            cursor = read(store, self._layout.cursor_of_02(agent), _Cursor02)
        except BrokenRecord as error:
            self._project.broken.append(error)
            cursor = None
        return self._position_of_02(cursor.record) if cursor else _Position()

    def _read_position(self) -> Stored[Reader] | None:
        return read(self._project.store, self._layout.reader(self._project.agent), Reader)

    def _position_of_02(self, cursor: _Cursor02) -> _Position:
        """Where 0.2.x left off, in our terms: nothing it has not shown lies before the position."""
        read_before: list[Info] = []
        fresh: list[Info] = []
        for info, broadcast in self._listed(_Position()):
            stream = cursor.broadcast if broadcast else cursor.direct
            key = info.key.removeprefix(self._layout.root)
            was_read = key in stream.seen or (stream.watermark is not None and key <= stream.watermark)
            (read_before if was_read else fresh).append(info)
        at = min((info.modified for info in fresh), default=max((info.modified for info in read_before), default=0.0))
        seen = {_leaf_name(i.key): i.modified for i in read_before if i.modified > at - GRACE}
        return _Position(at=at, seen=seen)

    def _advance(self, reader: Stored[Reader] | None, begun: _Position, shown: list[Info]) -> Stored[Reader]:
        """Move the read position past what was shown, together with what another reader of this agent showed meanwhile.

        `reader` is the position as this reader knows it; `begun` stands for it as long as there is none.
        """
        key = self._layout.reader(self._project.agent)
        names = {_leaf_name(info.key): info.modified for info in shown}
        told = self._tell_read(key, list(names))
        for _ in range(_ROUNDS):
            before = _position_of(reader.record) if reader else begun
            at = max([before.at, *names.values()])
            seen = {name: modified for name, modified in {**before.seen, **names}.items() if modified > at - GRACE}
            floor = max(before.floor, str(max(0, int((at - LOOK_BACK) * 1e9))).rjust(19, "0"))
            record = Reader(
                floor=floor,
                at=at,
                seen=[f"{modified:.6f} {name}" for name, modified in sorted(seen.items())],
                extra=reader.record.extra if reader else {},
            )
            move = partial(commit, self._project.store, key, record, reader)
            try:
                return both(self._project.store, move, told)[0] if told else move()
            except Conflict:
                told, reader = None, self._read_position()
        raise Unreachable("the read position keeps changing", hint="repeat the command")

    def _tell_read(self, position: str, names: list[str]) -> Callable[[], None] | None:
        """Writes the event of messages that were shown. That is true however the position gets past them, so the event
        goes in the wave of the first try to move it."""
        agent = self._project.agent
        event = self._project.events.item("inbox.read", agent, about=position, messages=names)
        return partial(self._project.write_after, [event], done=f"{len(names)} messages were read")

    # Receipts

    def _is_known(self, agent: str) -> bool:
        if agent == BROADCAST:
            return True
        try:
            self._project.store.head(self._layout.agent(agent))
        except NotFound:
            return False
        return True

    def _box_infos(self, box: str, first: str) -> dict[str, Info]:
        """Messages in a mailbox by name, from just before the first wanted one on."""
        return {_leaf_name(info.key): info for info in self._box(box, first[:-1])}

    def _readers(self, by_box: Iterable[str]) -> dict[str, tuple[_Position, set[str]]]:
        """Positions and acknowledgements of everybody who may have read something."""
        names = {box for box in by_box if box != BROADCAST}
        if BROADCAST in by_box:
            names |= {presence.name for presence in self._project.agents.list()} - {self._project.agent}
        return dict(zip(names, self._project.store.together([partial(self._reader_of, n) for n in names]), strict=True))

    def _reader_of(self, agent: str) -> tuple[_Position, set[str]]:
        store = self._project.store
        found = read(store, self._layout.reader(agent), Reader)
        acks = {_leaf_name(info.key) for info in store.list(self._layout.acks(agent))}
        return (_position_of(found.record) if found else _Position(at=-1.0)), acks

    def _receipt(
        self,
        message_id: str,
        message: Message,
        boxes: dict[str, dict[str, Info]],
        readers: dict[str, tuple[_Position, set[str]]],
    ) -> Receipt:
        info = boxes[message.to].get(message_id)
        names = list(readers) if message.to == BROADCAST else [message.to]
        acked = [name for name in names if message_id in readers[name][1]]
        read_by = [
            name
            for name in names
            if name in acked
            or (info is not None and readers[name][0].at >= 0 and not readers[name][0].is_new(info, message_id))
        ]
        return Receipt(message_id, message, info is not None, sorted(read_by), sorted(acked))


def passed(reader: Reader) -> Callable[[Info], bool]:
    """A test for messages: whether a reader at this position was shown them."""
    position = _position_of(reader)
    return lambda info: not position.is_new(info, _leaf_name(info.key))


def _position_of(reader: Reader) -> _Position:
    seen = {}
    for line in reader.seen:
        modified, _, name = line.partition(" ")
        try:
            seen[name] = float(modified)
        except ValueError:
            continue
    return _Position(at=reader.at, floor=reader.floor, seen=seen)


def short_id(message_id: str) -> str:
    """The last part of a message's id."""
    return message_id.rpartition("_")[2]


def _letters(listed: Iterable[tuple[Info, bool]], found: Mapping[str, Stored[Message]]) -> list[Letter]:
    """The messages of a listing that are there and whole."""
    return [
        Letter(_leaf_name(info.key), found[info.key].record, broadcast, info.modified, info.key)
        for info, broadcast in listed
        if info.key in found
    ]


def _leaf_name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _choose(names: set[str], wanted: str) -> str:
    """The one message whose id is, begins with or ends with what was given."""
    if wanted in names:
        return wanted
    matching = [name for name in names if wanted and (name.startswith(wanted) or name.endswith(wanted))]
    if not matching:
        raise Missing(f"no message {wanted} in your mailbox", hint="tracecraft inbox shows the ids")
    if len(matching) > 1:
        raise UsageError(f"{wanted} fits {len(matching)} messages", hint="give more of the id")
    return matching[0]
