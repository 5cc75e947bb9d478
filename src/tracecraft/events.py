"""What happened: one immutable object per action, whose key alone tells when, what, who and about what.

Truth never depends on an event. Where one is missing, the record it would have been about still stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft import clock
from tracecraft.layout import EventKey, cut_subject, event_time
from tracecraft.records import Record, encode, read_many

if TYPE_CHECKING:
    from tracecraft.project import Project

_LOOK_BACK = 120.0
"""Seconds before the newest event that a follower lists again: what a slow writer adds late is still seen."""


class Event(Record):
    """The body of an event. What is particular to its type is in `extra`."""

    type: str
    agent: str
    subject: str
    at: str
    about: str = ""
    """Key of the object it changed."""
    fence: int = 0
    rev: int = 0


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


class Events:
    """The project's timeline."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def item(
        self, kind: str, subject: str, *, about: str, fence: int = 0, rev: int = 0, **details: Any
    ) -> tuple[str, bytes]:
        """A new event, ready to be written along with what it tells of."""
        agent = self._project.agent
        body = Event(
            type=kind, agent=agent, subject=subject, at=clock.now(), about=about, fence=fence, rev=rev, extra=details
        )
        return self._project.layout.event(kind, agent, subject), encode(body)

    def timeline(self, wanted: Filter | None = None, *, limit: int | None = None) -> list[Entry]:
        """What happened, oldest first by the store's time; with `limit`, the newest so many."""
        return self._with_bodies(_chosen(self._entries(None), wanted or Filter(), limit))

    def follow(self, wanted: Filter | None = None, *, limit: int | None = None) -> Iterator[list[Entry]]:
        """What happened, as `timeline` gives it, and then what happens, in batches as it appears, for ever."""
        wanted = wanted or Filter()
        known = list(self._entries(None))
        yield self._with_bodies(_chosen(known, wanted, limit))
        seen = {entry.key for entry in known}
        newest = max((entry.modified for entry in known), default=0.0)
        pace = self._project.store.pace()
        while True:
            pace.sleep()
            recent = list(self._entries(self._look_back(newest)))
            fresh = [entry for entry in recent if entry.key not in seen]
            seen = {entry.key for entry in recent}
            newest = max([newest, *(entry.modified for entry in recent)])
            if fresh:
                pace.changed()
                yield self._with_bodies(_chosen(fresh, wanted, None))

    def _with_bodies(self, entries: list[Entry]) -> list[Entry]:
        """The same entries with what their objects say."""
        bodies = read_many(self._project.store, [e.key for e in entries], Event, self._project.broken)
        return [Entry(e.key, e.name, e.modified, bodies[e.key].record if e.key in bodies else None) for e in entries]

    def _entries(self, after: str | None) -> Iterator[Entry]:
        layout = self._project.layout
        for info in self._project.store.list(layout.events(), after=after):
            name = layout.event_of(info.key)
            if name is not None:
                yield Entry(info.key, name, info.modified)

    def _look_back(self, newest: float) -> str:
        """Where a follower lists from: by the store's clock, since its own may be ahead of everybody's."""
        return self._project.layout.events() + event_time(int(max(0.0, newest - _LOOK_BACK) * 1e9))


def _chosen(entries: Iterable[Entry], wanted: Filter, limit: int | None) -> list[Entry]:
    found = sorted((entry for entry in entries if wanted.fits(entry)), key=lambda entry: (entry.modified, entry.key))
    return found[-limit:] if limit else found
