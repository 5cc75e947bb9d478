"""What a session comes to: how many messages, which tools and models, how many tokens, how long, at what cost.

A `Fold` takes the entries of a transcript in order. What it knows can be written as JSON at any point and continued
from there, so that statistics of a growing transcript cost only its new lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from tracecraft.sessions.harness import Harness
from tracecraft.sessions.lines import parse
from tracecraft.sessions.message import About, Entry, Message, Spent, Usage
from tracecraft.sessions.splitting import Line, LongLine
from tracecraft.sessions.times import LONGEST, is_older, moment, seconds_of

OTHERS = "(others)"
"""Stands for the names of models and tools beyond the first so many."""

_NAMES = 200
_REMEMBERED = 64
_TITLE, _TITLE_FROM_TEXT = 200, 80
_FROM_TEXT = -1
_SHORT, _LONG = 200, 4096
_NOTHING = Usage()


class Statistics(msgspec.Struct, omit_defaults=True):
    """What is known of a session.

    `messages` counts by role, and what the harness put in the user's mouth as `injected`. `tools` counts calls by the
    tool's name, `failed` the results that told of a failure, `unreadable` the lines that could not be understood.
    `models` are in order of their first use; `usage` is by model, "" where it is not told. `cost` is in US dollars as
    the harness reports it, None where it does not. `first` and `last` are the times of the first and last entry.
    """

    title: str = ""
    cwd: str = ""
    branch: str = ""
    version: str = ""
    parent: str = ""
    models: list[str] = []
    messages: dict[str, int] = {}
    tools: dict[str, int] = {}
    failed: int = 0
    unreadable: int = 0
    usage: dict[str, Usage] = {}
    cost: float | None = None
    first: str = ""
    last: str = ""

    @property
    def duration(self) -> float:
        """Seconds between the first and the last entry."""
        first, last = seconds_of(self.first), seconds_of(self.last)
        return 0.0 if first is None or last is None else last - first


class _Counted(msgspec.Struct, frozen=True, array_like=True):
    """What was counted under a key, so that it can be counted otherwise."""

    model: str
    usage: Usage
    cost: float | None


class _State(msgspec.Struct, omit_defaults=True):
    """What a fold needs to go on, beside the statistics."""

    title_rank: int = _FROM_TEXT
    model: str = ""
    session: str = ""
    copied: bool = False
    rank: int = 0
    spent: dict[str, _Counted] = {}


class _Saved(Statistics, omit_defaults=True):
    state: _State = msgspec.field(default_factory=_State)


class Fold:
    """Statistics of the entries fed so far.

    With `bounded` only the last 64 keys of usage are remembered, so what is written stays small. That is enough where
    what belongs together stands together, as in every transcript of one session.
    """

    def __init__(self, *, bounded: bool = False) -> None:
        self._bounded = bounded
        self._known = _Saved()
        self._state = self._known.state
        self._first: datetime | None = None
        self._last: datetime | None = None

    @property
    def statistics(self) -> Statistics:
        """The statistics so far; they go on changing with the fold."""
        return self._known

    def to_json(self) -> dict[str, Any]:
        """The fields of `Statistics` as plain JSON, and `state` to continue from."""
        saved: dict[str, Any] = msgspec.to_builtins(self._known)
        return saved

    @classmethod
    def from_json(cls, saved: dict[str, Any], *, bounded: bool = False) -> Fold:
        """The fold that wrote this. What no fold wrote gives one that begins."""
        fold = cls(bounded=bounded)
        try:
            fold._known = msgspec.convert(saved, _Saved)
        except msgspec.ValidationError:
            return fold
        fold._state = fold._known.state
        fold._first, fold._last = moment(fold._known.first), moment(fold._known.last)
        return fold

    def feed_lines(self, harness: Harness, lines: Iterable[Line]) -> None:
        """Lines of a transcript. What cannot be understood is counted and passed over; long lines are passed over.

        Of a record only that is decoded which its harness declares as `skimmed`. One that does not fit, and every one
        of a harness that declares nothing, is decoded as a whole.
        """
        decode = _decoder(getattr(harness, "skimmed", dict[str, Any])).decode
        normalise = harness.normalise
        for line in lines:
            if isinstance(line, LongLine):
                continue
            record: dict[str, Any] | None
            try:
                record = decode(line)
            except (ValueError, RecursionError):
                record = parse(line)
            if record is None:
                self._known.unreadable += bool(line.strip())
                continue
            try:
                for entry in list(normalise(record)):
                    self.feed(entry)
            except Exception:  # a record may be as odd as it likes; the others count all the same
                self._known.unreadable += 1

    def feed_line(self, harness: Harness, line: bytes) -> None:
        """The same for one line."""
        self.feed_lines(harness, [line])

    def feed(self, entry: Entry) -> None:
        if isinstance(entry, Message):
            if not self._state.copied:
                self._message(entry)
        elif isinstance(entry, Spent):
            self._spent(entry)
        else:
            self._about(entry)
        if entry.at and not self._state.copied:
            self._time(entry.at)

    def _about(self, about: About) -> None:
        known, state = self._known, self._state
        if about.session:
            state.session = state.session or _cut(about.session)
            state.copied = _cut(about.session) != state.session
        if about.turn and (state.copied or known.parent):
            state.copied = is_older(about.turn, state.session)
        if state.copied:
            return
        if about.cwd and about.cwd != known.cwd:
            known.cwd = _cut(about.cwd, _LONG)
        if about.branch and about.branch != known.branch:
            known.branch = _cut(about.branch)
        if about.version and about.version != known.version:
            known.version = _cut(about.version)
        if about.parent:
            known.parent = _cut(about.parent)
        self._model(about.model)
        if about.title and about.title_rank >= state.title_rank:
            self._title(about.title, about.title_rank, _TITLE)

    def _message(self, message: Message) -> None:
        known, role = self._known, message.role
        _count(known.messages, "injected" if message.injected else role)
        for call in message.calls:
            _count(known.tools, call.name)
        if message.failed and role == "tool":
            known.failed += 1
        if message.model:
            self._model(message.model)
        if role == "user" and not known.title and not message.injected:
            self._title(message.text, _FROM_TEXT, _TITLE_FROM_TEXT)

    def _spent(self, spent: Spent) -> None:
        state = self._state
        if spent.rank < state.rank or (state.copied and not spent.running):
            return
        if spent.rank > state.rank:
            state.rank, state.spent = spent.rank, {}
            self._known.usage, self._known.cost = {}, None
        self._model(spent.model)
        key = _cut(spent.key)
        now = _Counted(state.model, spent.usage, spent.cost)
        before = state.spent.pop(key, None)
        if spent.running:
            self._add_growth(before, now)
        elif before and before.usage.output >= now.usage.output:
            now = before
        else:
            if before:
                self._add(before, -1)
            self._add(now, 1)
        state.spent[key] = now
        if self._bounded and len(state.spent) > _REMEMBERED:
            del state.spent[next(iter(state.spent))]

    def _add_growth(self, before: _Counted | None, now: _Counted) -> None:
        """Adds by how much a sum has grown, to the model of now. One that shrank has begun anew."""
        if self._state.copied:
            return
        self._add(now, 1)
        if before and _total(before.usage) <= _total(now.usage):
            self._add(_Counted(now.model, before.usage, before.cost), -1)

    def _add(self, counted: _Counted, sign: int) -> None:
        usage = self._known.usage
        name = _name_in(usage, counted.model)
        usage[name] = _plus(usage.get(name, _NOTHING), counted.usage, sign)
        if counted.cost is not None:
            self._known.cost = (self._known.cost or 0.0) + sign * counted.cost

    def _model(self, model: str) -> None:
        if not model or model == self._state.model:
            return
        self._state.model = model = _cut(model)
        if model not in self._known.models and len(self._known.models) < _NAMES:
            self._known.models.append(model)

    def _title(self, text: str, rank: int, length: int) -> None:
        if title := _one_line(text, length):
            self._known.title, self._state.title_rank = title, rank

    def _time(self, at: str) -> None:
        if at == self._known.last or (told := moment(at)) is None:
            return
        if self._first is None or told < self._first:
            self._first, self._known.first = told, at[:LONGEST]
        if self._last is None or told > self._last:
            self._last, self._known.last = told, at[:LONGEST]


@lru_cache
def _decoder(shape: Any) -> msgspec.json.Decoder[dict[str, Any]]:
    return msgspec.json.Decoder(shape)


def _count(counts: dict[str, int], name: str) -> None:
    if name not in counts:
        name = _name_in(counts, _cut(name))
    counts[name] = counts.get(name, 0) + 1


def _name_in(counts: dict[str, Any], name: str) -> str:
    return name if name in counts or len(counts) < _NAMES else OTHERS


def _plus(usage: Usage, more: Usage, sign: int) -> Usage:
    return Usage(
        usage.input + sign * more.input,
        usage.output + sign * more.output,
        usage.cache_read + sign * more.cache_read,
        usage.cache_write + sign * more.cache_write,
        usage.reasoning + sign * more.reasoning,
    )


def _total(usage: Usage) -> int:
    return usage.input + usage.output + usage.cache_read + usage.cache_write


def _cut(text: str, length: int = _SHORT) -> str:
    """A text that is short, and that can be written whatever it was made from."""
    short = text[:length]
    return short if short.isascii() else short.encode("utf-8", "replace").decode()


def _one_line(text: str, length: int) -> str:
    words = "".join(letter if letter.isprintable() else " " for letter in text[:_LONG]).split()
    return " ".join(words)[:length].rstrip()
