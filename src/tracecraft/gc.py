"""Keeps a store small: old events are folded into segments, mail that was read and records of gone agents are removed.

Nothing that somebody may still need goes: every event stays readable, unread mail and held steps stay. Ages are
differences of two times of the store. Killed at any point, it leaves a store on which everything works; the next run
goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tracecraft import clock, folding, goneagents, oldmail
from tracecraft.agents import STALE_AFTER
from tracecraft.errors import UsageError
from tracecraft.goneagents import GoneAgents
from tracecraft.oldmail import OldMail, name_of
from tracecraft.tally import Tally

if TYPE_CHECKING:
    from tracecraft.project import Project

Kind = Literal["events", "messages", "agents"]

KINDS: tuple[Kind, ...] = ("events", "messages", "agents")
DAY = 86400.0
_NAMED = 1000
"""Messages that one event names."""


@dataclass(frozen=True)
class Limits:
    """How old things must be to go, in seconds. Of events only whole days go, and never yesterday or today (UTC)."""

    events: float = 7 * DAY
    messages: float = 30 * DAY
    agents: float = 30 * DAY


class Gc:
    """What may go of a project."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def survey(
        self, limits: Limits | None = None, *, only: Collection[Kind] = KINDS, now: float | None = None
    ) -> Mapping[Kind, Tally]:
        """What `collect` would remove, by kind. Nothing is written.

        `now` is the time by which ages are told, in seconds since 1970; without it the store's as far as it is known.
        Raises UsageError.
        """
        limits = _checked(limits or Limits())
        now = self._project.now_by_store() if now is None else now
        tallies: dict[Kind, Tally] = {}
        if "events" in only:
            tallies["events"] = folding.survey(self._project, folding.first_kept_day(now, limits.events))
        old, gone = self._choose(limits, only, now)
        return tallies | _tallies(old, gone)

    def collect(
        self, limits: Limits | None = None, *, only: Collection[Kind] = KINDS, now: float | None = None
    ) -> Mapping[Kind, Tally]:
        """Fold and remove what may go; returns what went, by kind. Needs an agent, which beats and leaves an event.

        `now` is the time by which ages are told; without it the store's, asked for now. Raises UsageError; StoreError
        when the store fails on the way, which loses nothing.
        """
        limits = _checked(limits or Limits())
        project = self._project
        project.agents.beat_now()
        now = project.store_time() if now is None else now
        tallies: dict[Kind, Tally] = {}
        if "events" in only:
            tallies["events"] = folding.fold(project, folding.first_kept_day(now, limits.events))
        old, gone = self._choose(limits, only, now)
        if old:
            oldmail.remove(project, old)
        if gone:
            goneagents.remove(project, gone)
        tallies |= _tallies(old, gone)
        if any(tally.objects for tally in tallies.values()):
            project.write_after(list(self._told(tallies, old, gone)), done="all is collected")
        return tallies

    def _told(
        self, tallies: Mapping[Kind, Tally], old: OldMail | None, gone: GoneAgents | None
    ) -> Iterator[tuple[str, bytes]]:
        """The events of a collection: what was counted, then the names of what nobody can look up any more."""
        project = self._project
        counts = {kind: tally.objects for kind, tally in tallies.items()}
        names: dict[str, Any] = {"gone": gone.tally.names} if gone and gone.records else {}
        yield project.events.item("gc", project.name, about="", **counts, **names)
        messages = [name_of(info) for info in old.messages] if old else []
        for start in range(0, len(messages), _NAMED):
            named = messages[start : start + _NAMED]
            yield project.events.item("gc.messages", project.name, about="", messages=named)

    def _choose(self, limits: Limits, only: Collection[Kind], now: float) -> tuple[OldMail | None, GoneAgents | None]:
        """What may go of mail and agents. The two depend on each other: who is gone need not have read a broadcast."""
        if "messages" not in only and "agents" not in only:
            return None, None
        project, since = self._project, now - limits.agents
        records, mail = goneagents.look(project), oldmail.look(project)
        about = goneagents.about(records, mail, since)
        old = oldmail.choose(mail, now - limits.messages, about) if "messages" in only else None
        if "agents" not in only:
            return old, None
        staying = oldmail.standing(mail, old or OldMail())
        return old, goneagents.choose(project, records, mail, staying, since)


def _checked(limits: Limits) -> Limits:
    if min(limits.events, limits.messages, limits.agents) < 0:
        raise UsageError("a limit is negative", hint="give how old things must be, in seconds")
    if limits.agents < STALE_AFTER:
        raise UsageError(
            f"agents silent for {clock.show_duration(limits.agents)} may be at work",
            hint=f"choose at least {clock.show_duration(STALE_AFTER)}",
        )
    return limits


def _tallies(old: OldMail | None, gone: GoneAgents | None) -> dict[Kind, Tally]:
    found: dict[Kind, Tally] = {}
    if old:
        found["messages"] = old.tally
    if gone:
        found["agents"] = gone.tally
    return found
