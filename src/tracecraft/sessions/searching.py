"""Searches what was said in mirrored sessions, the newest first, in bounded memory and linear time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft.errors import Corrupt, Missing, UsageError
from tracecraft.records import Stored
from tracecraft.sessions import registry, summing
from tracecraft.sessions.fetching import WAVE
from tracecraft.sessions.finding import Sessions
from tracecraft.sessions.harness import MAIN, Harness
from tracecraft.sessions.manifest import Manifest, part_key
from tracecraft.sessions.message import Message
from tracecraft.sessions.reading import Stream, messages
from tracecraft.sessions.splitting import LongLine
from tracecraft.sessions.times import seconds_of
from tracecraft.store import get_many

if TYPE_CHECKING:
    from tracecraft.project import Project

_AROUND = 70
_MOST = 32
_DEEPEST = 50
_BY_LINE = "(?m)"
_WORD = re.compile(r"[A-Za-z0-9]+")

Finder = Callable[[bytes], tuple[int, int] | None]


class Hit(msgspec.Struct, frozen=True):
    """A place where something was found. `role` is a message's, or `title`, or `file` for what is no conversation.

    `field` tells which text of a message it is: `text`, `thinking` or `input` of a tool. `before`, `match` and `after`
    are one excerpt on one line.
    """

    harness: str
    session_id: str
    stream: str
    role: str
    at: str
    field: str
    before: str
    match: str
    after: str


class Query:
    """What is searched for: a text or, with `regex`, a regular expression in the syntax of RE2. Case is ignored.

    Raises UsageError for an expression that is none.
    """

    def __init__(self, text: str, *, regex: bool = False) -> None:
        if not text:
            raise UsageError("the query is empty", hint="give what to search for")
        self.find = _finder(text if regex else None, text)
        # An escaped letter of JSON is written with \u, so a line without one and without the word cannot match.
        word = "" if regex else max(_WORD.findall(text), key=len, default="")
        self._word = _finder(None, word) if word else None

    def may_match(self, line: bytes) -> bool:
        """Whether a stored line can hold the text. Most cannot, and need not be understood."""
        return self._word is None or b"\\u" in line or self._word(line) is not None


def search(
    project: Project,
    sessions: Sessions,
    query: Query,
    *,
    harness: str | None = None,
    agent: str | None = None,
    since: float | None = None,
) -> Iterator[Hit]:
    """Where it was found, as it is found. What cannot be read is told as a notice and passed over.

    `since` leaves out what was said before, in seconds since 1970, and sessions that did not change since.
    """
    for stored, ahead in _batches(project, sessions.newest_first(harness), agent, since):
        try:
            yield from _in_session(project, stored, ahead, query, since)
        except (Corrupt, Missing) as error:
            project.say(f"not all of {stored.record.session_id} was searched: {error.message}")


def _batches(
    project: Project, sessions: Iterator[Stored[Manifest]], agent: str | None, since: float | None
) -> Iterator[tuple[Stored[Manifest], dict[str, bytes]]]:
    """The sessions wanted, with the parts of small ones: those are read many at a time."""
    batch: list[Stored[Manifest]] = []
    total = 0
    for stored in sessions:
        if since is not None and stored.modified is not None and stored.modified < since:
            break
        if agent is not None and stored.record.agent_id != agent:
            continue
        size = summing.size(stored.record)
        if batch and (total + size > WAVE or len(batch) == _MOST):
            yield from _with_parts(project, batch, total)
            batch, total = [], 0
        batch.append(stored)
        total += size
    yield from _with_parts(project, batch, total)


def _with_parts(
    project: Project, batch: Sequence[Stored[Manifest]], total: int
) -> Iterator[tuple[Stored[Manifest], dict[str, bytes]]]:
    ahead: dict[str, bytes] = {}
    if total <= WAVE:
        keys = (
            part_key(project.layout, stored.record, part)
            for stored in batch
            for stream in stored.record.streams()
            for part in stored.record.latest(stream)
        )
        ahead = {key: found.data for key, found in get_many(project.store, keys).items()}
    for stored in batch:
        yield stored, ahead


def _in_session(
    project: Project, stored: Stored[Manifest], ahead: dict[str, bytes], query: Query, since: float | None
) -> Iterator[Hit]:
    manifest = stored.record
    title = summing.of_streams(manifest)[0].title
    if hit := _hit(query, manifest, MAIN, Message("title", title)):
        yield hit
    harness = registry.known(manifest.harness)
    for name in manifest.streams():
        stream = Stream(project, stored, name, ahead=ahead)
        for message in _messages(project, harness, stream, query):
            if since is not None and message.at and (seconds_of(message.at) or since) < since:
                continue
            if hit := _hit(query, manifest, name, message):
                yield hit


def _messages(project: Project, harness: Harness | None, stream: Stream, query: Query) -> Iterator[Message]:
    """What was said in lines that may match; the lines themselves where they are no records that we understand."""
    if harness is None or stream.is_text:
        for line in _lines(project, stream):
            yield Message("file", line.decode("utf-8", "replace"))
        return
    yield from messages(harness, (line for line in _lines(project, stream) if query.may_match(line)))


def _lines(project: Project, stream: Stream) -> Iterator[bytes]:
    for line in stream.lines():
        if isinstance(line, LongLine):
            project.say(f"a line of {line.size} bytes of {stream.manifest.session_id} is too long to be searched")
        else:
            yield line


def _hit(query: Query, manifest: Manifest, stream: str, message: Message) -> Hit | None:
    """The first place in a message."""
    for field, text in _texts(message):
        data = text.encode("utf-8", "replace")
        if found := query.find(data):
            before, match, after = _excerpt(data, *found)
            return Hit(
                manifest.harness, manifest.session_id, stream, message.role, message.at, field, before, match, after
            )
    return None


def _texts(message: Message) -> Iterator[tuple[str, str]]:
    if message.text:
        yield "text", message.text
    if message.thinking:
        yield "thinking", message.thinking
    for call in message.calls:
        yield "input", "\n".join([call.name, *_leaves(call.input, _DEEPEST)])


def _leaves(given: Any, depth: int) -> Iterator[str]:
    """The texts and whole numbers in what a tool was given."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, int):
        yield str(given)
    elif isinstance(given, dict | list) and depth:
        for inner in given.values() if isinstance(given, dict) else given:
            yield from _leaves(inner, depth - 1)


def _excerpt(data: bytes, start: int, end: int) -> tuple[str, str, str]:
    """What is before a place, the place, and what is behind it, on one line."""
    end = min(end, start + 2 * _AROUND)
    return (
        _one_line(data[max(0, start - _AROUND) : start]),
        _one_line(data[start:end]),
        _one_line(data[end : end + _AROUND]),
    )


def _one_line(data: bytes) -> str:
    text = data.decode("utf-8", "ignore")
    return re.sub(r"\s+", " ", text)


def _finder(expression: str | None, text: str) -> Finder:
    """Finds the first place of an expression, or without one of the text itself."""
    import re2

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        # re2 has no types; what we use of it is written down here.
        pattern: Any = re2.compile(_BY_LINE + (re2.escape(text) if expression is None else expression), options)
    except re2.error as error:
        raise UsageError(
            f"not a regular expression: {_told(error)}", hint="the syntax is RE2's; leave --regex out to search a text"
        ) from None

    def find(data: bytes) -> tuple[int, int] | None:
        found = pattern.search(data)
        return (found.start(), found.end()) if found else None

    return find


def _told(error: Exception) -> str:
    told = error.args[0] if error.args else ""
    return (told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)).replace(_BY_LINE, "")
