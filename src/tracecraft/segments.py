"""Old events kept together: a segment holds events of one day of the store's time, one line of JSON each.

A line is all that is known of an event: the name and time of the object it was, and its body token by token. So what is
read from a segment is what was read from the objects. A segment is written once under a key of its own and never
changed; an event may for a while be in a segment and an object of its own, or in two segments, and counts once.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from tracecraft.errors import BrokenRecord, Conflict, NotFound, Unknown, Unreachable
from tracecraft.store import Info, get_many, pause

if TYPE_CHECKING:
    from tracecraft.project import Project

DAY = 86400
"""Seconds of a day in UTC."""

MOST_BYTES = 4 << 20
"""Bytes of a segment, so that one request of it is answered in time on a slow line."""
MOST_EVENTS = 20_000

_TRIES = 5


class Line(msgspec.Struct):
    """An event in a segment. `modified` is the store's time of the object it was, `size` that object's bytes."""

    name: str
    modified: float
    size: int
    body: msgspec.Raw


def day_of(modified: float) -> int:
    """The day of a time, counted since 1970."""
    return int(modified // DAY)


def make_line(name: str, info: Info, data: bytes) -> bytes:
    """The line of an event that was read whole. Numbers and texts stay spelled as they are."""
    body = msgspec.Raw(msgspec.json.format(data, indent=-1))
    return msgspec.json.encode(Line(name, info.modified, info.size, body)) + b"\n"


def write(project: Project, day: int, lines: Sequence[bytes]) -> str:
    """Write a segment and read it back; it is there whole when its key is returned. Raises Unreachable.

    A write whose answer was lost may appear later under a key that nobody waits for. That does no harm: its events
    count once.
    """
    data = b"".join(lines)
    for attempt in range(_TRIES):
        key = project.layout.event_segment(day)
        throttled = False
        try:
            project.store.put(key, data, if_absent=True)
        except Conflict:
            pass
        except Unknown as error:
            throttled = error.throttled
        if _holds(project, key, data):
            return key
        time.sleep(pause(attempt, throttled=throttled))
    raise Unreachable(
        "the store does not show a segment of events after it was written; no event was removed for it",
        hint="repeat the command when the store answers again",
    )


def read(project: Project, keys: Iterable[str]) -> Iterator[Line]:
    """The events in segments, which are read in one wave. What is no event is left out, its segment named as broken."""
    for key, found in get_many(project.store, keys).items():
        yield from read_lines(project, key, found.data)


def read_lines(project: Project, key: str, data: bytes) -> Iterator[Line]:
    """The events in what was read of one segment."""
    for number, text in enumerate(io.BytesIO(data), 1):
        try:
            line = msgspec.json.decode(text, type=Line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            _name_broken(project, key, f"line {number}: {error}")
            continue
        if _belongs(project, key, line):
            yield line
        else:
            _name_broken(project, key, f"line {number} is no event of this day")


def _holds(project: Project, key: str, data: bytes) -> bool:
    try:
        return project.store.get(key).data == data
    except NotFound:
        return False


def _belongs(project: Project, key: str, line: Line) -> bool:
    names = project.layout
    return names.event_of(names.events() + line.name) is not None and day_of(line.modified) == names.event_segment_day(
        key
    )


def _name_broken(project: Project, key: str, why: str) -> None:
    """Once for each segment."""
    if all(known.fields != {"key": key} for known in project.broken):
        project.broken.append(
            BrokenRecord(
                f"{key} is not a valid segment of events: {why}",
                hint="look at the object in the store; mend it or delete it",
                key=key,
            )
        )
