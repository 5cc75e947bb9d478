"""What happened: one immutable object per action, whose key alone tells when, what, who and about what.

Truth never depends on an event. Where one is missing, the record it would have been about still stands. Old events may
have been moved into segments (see `segments.py`); `timeline.py` reads both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tracecraft import clock
from tracecraft.records import Record, encode

if TYPE_CHECKING:
    from tracecraft.project import Project
    from tracecraft.timeline import Entry, Filter, Timeline


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
    run: str = ""
    """The run it was part of, and the span in it."""
    span: str = ""


class Events:
    """The project's timeline."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def item(
        self, kind: str, subject: str, *, about: str, fence: int = 0, rev: int = 0, **details: Any
    ) -> tuple[str, bytes]:
        """A new event, ready to be written along with what it tells of."""
        agent, within = self._project.agent, self._project.within()
        body = Event(
            type=kind,
            agent=agent,
            subject=subject,
            at=clock.now(),
            about=about,
            fence=fence,
            rev=rev,
            run=within.run,
            span=within.span,
            extra=details,
        )
        return self._project.layout.event(kind, agent, subject), encode(body)

    def timeline(self, wanted: Filter | None = None, *, limit: int | None = None) -> list[Entry]:
        """What happened, oldest first by the store's time; with `limit`, the newest so many."""
        return self._timeline().read(wanted, limit)

    def batches(self, wanted: Filter | None = None) -> Iterator[list[Entry]]:
        """All that happened, as it is read: a long history that was folded into segments need not fit into memory."""
        return self._timeline().batches(wanted)

    def follow(self, wanted: Filter | None = None, *, limit: int | None = None) -> Iterator[list[Entry]]:
        """What happened, as `timeline` gives it, and then what happens, in batches as it appears, for ever."""
        return self._timeline().follow(wanted, limit)

    def _timeline(self) -> Timeline:
        from tracecraft.timeline import Timeline  # few commands read events

        return Timeline(self._project)
