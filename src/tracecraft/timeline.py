"""The project's events read back: objects of their own and lines of segments alike, day by day, each event once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import nlargest
from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from tracecraft import segments
from tracecraft.events import Event
from tracecraft.layout import EventKey, cut_subject, event_time
from tracecraft.records import decode_many
from tracecraft.segments import DAY, Line, day_of
from tracecraft.store import Info, Object, both, get_many

if TYPE_CHECKING:
    from tracecraft.project import Project

_LOOK_BACK = 120.0
"""Seconds before the newest event that a follower lists again: what a slow writer adds late is still seen."""
_BATCH = 1000
"""Events whose objects are read at once where all are wanted."""


class Entry(msgspec.Struct, frozen=True):
    """One line of the timeline. `modified` is the store's time; `body` is None when it was not read or is broken."""

    key: str
    name: EventKey
    modified: float
    body: Event | None = None

    @property
    def subject(self) -> str:
        return self.body.subject if self.body else self.name.subject


class Filter(msgspec.Struct, frozen=True):
    """Which events are wanted.

    `type` matches a whole type or its first part (`claim` finds `claim.refused`). `since` and `until` are seconds since
    1970 by the store's clock.
    """

    agent: str | None = None
    type: str | None = None
    subject: str | None = None
    since: float | None = None
    until: float | None = None

    def fits(self, entry: Entry) -> bool:
        name = entry.name
        return (
            (self.agent is None or name.agent == cut_subject(self.agent))
            and (self.type is None or name.type == self.type or name.type.startswith(self.type + "."))
            and (self.subject is None or name.subject == cut_subject(self.subject))
            and (self.since is None or entry.modified >= self.since)
            and (self.until is None or entry.modified <= self.until)
        )

    def reaches(self, day: int) -> bool:
        """Whether an event of that day of the store's time may be wanted."""
        return (self.since is None or (day + 1) * DAY > self.since) and (self.until is None or day * DAY <= self.until)


class _Listing(msgspec.Struct, frozen=True):
    """What one LIST of events shows: what is wanted of the objects of their own, and the keys of segments by day.

    `newest` is the time of the newest event, wanted or not, and `recent` are the keys from a moment before it on.
    """

    entries: list[Entry]
    segments: dict[int, list[str]]
    newest: float
    recent: set[str]


class _Recent:
    """The keys of events from a moment before the newest on, while events are listed."""

    def __init__(self, moment_before: Callable[[float], str]) -> None:
        self.keys: set[str] = set()
        self.newest = 0.0
        self._moment_before = moment_before
        self._most = _BATCH

    def add(self, info: Info) -> None:
        self.newest = max(self.newest, info.modified)
        self.keys.add(info.key)
        if len(self.keys) > self._most:
            first = self._moment_before(self.newest)
            self.keys = {key for key in self.keys if key > first}
            self._most = max(_BATCH, 2 * len(self.keys))


class Timeline:
    """Events of a project, oldest first by the store's time."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def read(self, wanted: Filter | None, limit: int | None) -> list[Entry]:
        """What happened; with `limit`, the newest so many."""
        return self._look(wanted or Filter(), limit)[1]

    def batches(self, wanted: Filter | None) -> Iterator[list[Entry]]:
        """All that happened, as it is read: a long history that was folded into segments need not fit into memory."""
        wanted = wanted or Filter()
        listing = self._listing(wanted)
        if self._misses_segments(listing):
            listing = self._listing(wanted)
        return self._oldest_first(listing, wanted)

    def follow(self, wanted: Filter | None, limit: int | None) -> Iterator[list[Entry]]:
        """What happened, and then what happens, in batches as it appears, for ever."""
        wanted = wanted or Filter()
        pace = self._project.store.pace()
        listing, entries = self._look(wanted, limit)
        yield entries
        seen, newest = listing.recent, listing.newest
        while True:
            pace.sleep()
            listing = self._listing(wanted, after=self._look_back(newest))
            fresh = _sorted(entry for entry in listing.entries if entry.key not in seen)
            if listing.recent - seen:
                pace.changed()
                yield self._with_bodies(fresh)
            seen, newest = listing.recent, max(newest, listing.newest)

    # Objects of their own and segments, as one

    def _listing(self, wanted: Filter, limit: int | None = None, after: str | None = None) -> _Listing:
        """Events from a key on; with `limit`, the newest so many of those wanted. Segments are listed last, so an event
        that goes meanwhile is seen in its segment."""
        layout = self._project.layout
        segments: dict[int, list[str]] = {}
        recent = _Recent(self._look_back)

        def entries() -> Iterator[Entry]:
            for info in self._project.store.list(layout.events(), after=after):
                name = layout.event_of(info.key)
                day = layout.event_segment_day(info.key)
                if name is not None:
                    recent.add(info)
                    entry = Entry(info.key, name, info.modified)
                    if wanted.fits(entry):
                        yield entry
                elif day is not None:
                    segments.setdefault(day, []).append(info.key)

        chosen = nlargest(limit, entries(), key=_order) if limit else list(entries())
        return _Listing(chosen, segments, recent.newest, recent.keys)

    def _misses_segments(self, listing: _Listing) -> bool:
        """Whether the first segments ever may have been written too late for a listing. A folder is read in one go,
        and one made within it meanwhile may be missed."""
        return not listing.segments and any(self._project.store.list(self._project.layout.event_segments()))

    def _look(self, wanted: Filter, limit: int | None) -> tuple[_Listing, list[Entry]]:
        """A listing, and what is wanted of it."""
        listing = self._listing(wanted, limit)
        chosen, missed = both(
            self._project.store,
            partial(self._chosen, listing, wanted, limit),
            partial(self._misses_segments, listing),
        )
        return self._look(wanted, limit) if missed else (listing, chosen)

    def _chosen(self, listing: _Listing, wanted: Filter, limit: int | None) -> list[Entry]:
        if limit:
            return self._newest(listing, wanted, limit)
        return [entry for batch in self._oldest_first(listing, wanted) for entry in batch]

    def _newest(self, listing: _Listing, wanted: Filter, limit: int) -> list[Entry]:
        """The newest so many, reading no more days of segments than it takes."""
        found = _sorted(listing.entries)
        for day in sorted(filter(wanted.reaches, listing.segments), reverse=True):
            if len(found) == limit and day_of(found[0].modified) > day:
                break
            folded = self._folded(listing.segments[day], wanted)
            found = _sorted([*(entry for entry in found if entry.key not in folded), *folded.values()])[-limit:]
        return self._with_bodies(found)

    def _oldest_first(self, listing: _Listing, wanted: Filter) -> Iterator[list[Entry]]:
        """All of them in batches; at a time, the segments of one day are in memory."""
        left = {entry.key: entry for entry in _sorted(listing.entries)}
        for day in sorted(filter(wanted.reaches, listing.segments)):
            folded = self._folded(listing.segments[day], wanted)
            due = {entry.key: entry for entry in takewhile(partial(_is_by, day), left.values())}
            for key in {**due, **folded}:
                left.pop(key, None)
            yield from self._in_batches(_sorted({**due, **folded}.values()))
        yield from self._in_batches(list(left.values()))

    def _in_batches(self, entries: list[Entry]) -> Iterator[list[Entry]]:
        for start in range(0, len(entries), _BATCH):
            yield self._with_bodies(entries[start : start + _BATCH])

    def _with_bodies(self, entries: list[Entry]) -> list[Entry]:
        """The same entries with what their objects say. An object that is gone was folded since it was listed."""
        store, unread = self._project.store, {entry.key: entry for entry in entries if entry.body is None}
        objects = get_many(store, unread)
        bodies = decode_many(objects.values(), Event, self._project.broken)
        gone = [entry for key, entry in unread.items() if key not in objects]
        folded = self._folded_since(gone) if gone else {}
        return [
            _with_body(entry, bodies[entry.key].record) if entry.key in bodies else folded.get(entry.key, entry)
            for entry in entries
        ]

    def _folded_since(self, gone: list[Entry]) -> dict[str, Entry]:
        """What became of events whose objects went between a listing and the reading."""
        layout, store = self._project.layout, self._project.store
        days = {layout.event_segments_of(day_of(entry.modified)) for entry in gone}
        keys = [info.key for info in store.list(layout.event_segments()) if info.key.startswith(tuple(days))]
        return self._folded(keys, Filter())

    def _folded(self, keys: Iterable[str], wanted: Filter) -> dict[str, Entry]:
        """What is wanted of the events in segments, by the keys that they had."""
        lines: dict[str, tuple[Entry, Line]] = {}
        for line in segments.read(self._project, keys):
            key = self._project.layout.events() + line.name
            name = self._project.layout.event_of(key)
            if name is not None and wanted.fits(entry := Entry(key, name, line.modified)):
                lines[key] = entry, line
        found = (Object(bytes(line.body), Info(key, "", line.size, line.modified)) for key, (_, line) in lines.items())
        bodies = decode_many(found, Event, self._project.broken)
        return {
            key: _with_body(entry, bodies[key].record) if key in bodies else entry for key, (entry, _) in lines.items()
        }

    def _look_back(self, newest: float) -> str:
        """Where a follower lists from: by the store's clock, since its own may be ahead of everybody's."""
        return self._project.layout.events() + event_time(int(max(0.0, newest - _LOOK_BACK) * 1e9))


def _is_by(day: int, entry: Entry) -> bool:
    return day_of(entry.modified) <= day


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=_order)


def _order(entry: Entry) -> tuple[float, str]:
    return entry.modified, entry.key


def _with_body(entry: Entry, body: Event) -> Entry:
    return msgspec.structs.replace(entry, body=body)
