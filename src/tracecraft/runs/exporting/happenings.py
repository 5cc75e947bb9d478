"""What the agents of a run did together (claims, messages, handoffs), from the project's events."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tracecraft.events import Event
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.times import seconds_of
from tracecraft.timeline import Entry, Filter

if TYPE_CHECKING:
    from tracecraft.project import Project

MARGIN = 3600.0
"""Seconds by which the clock of whoever started a run may differ from the store's, which times its events."""

LATEST = 9e9
"""Seconds since 1970 that the formats can tell in nanoseconds. What claims to be later, or before, is moved there."""

_HANDOFFS = ("complete", "blocked", "needs_review")
_CLAIMS = ("claim", "claim.takeover", "claim.steal")
_BROADCAST = "_broadcast"


class Happening(NamedTuple):
    """An event of a run. `at` is in seconds since 1970 by its agent's clock, as are the lines of the run's log.

    `message` is the id of the message that was sent or acknowledged. `details` are what is particular to its type.
    """

    type: str
    agent: str
    subject: str
    at: float
    span: str
    message: str
    details: dict[str, Any]


class Arrow(NamedTuple):
    """Something that went from one agent to another. `taken` is when it arrived; None where nothing tells."""

    kind: str
    sent: Happening
    to: str
    taken: Happening | None


def of_runs(project: Project, runs: Iterable[RunMeta]) -> dict[str, list[Happening]]:
    """The events of each run, oldest first. The timeline is read once for all of them."""
    found: dict[str, list[Happening]] = {meta.run: [] for meta in runs}
    for batch in project.events.batches(_window(list(runs))) if found else ():
        for entry in batch:
            if entry.body is not None and entry.body.run in found:
                found[entry.body.run].append(_happening(entry, entry.body))
    return {run: sorted(events, key=lambda event: event.at) for run, events in found.items()}


def arrows(happened: Sequence[Happening]) -> Iterator[Arrow]:
    """Messages and handoffs, of events by time. A message arrives when its receiver first reads or acknowledges it, a
    handoff when its receiver next claims a step."""
    takings, claims = _takings(happened), _claims(happened)
    for event in happened:
        if event.type in ("send", "broadcast"):
            taken = takings.get(event.message, {})
            yield from (Arrow("message", event, agent, taking) for agent, taking in taken.items())
            if not taken and event.subject != _BROADCAST:
                yield Arrow("message", event, event.subject, None)
        elif event.type in _HANDOFFS and isinstance(to := event.details.get("to"), str) and to:
            own = claims.get(to, [])
            later = bisect_right(own, event.at, key=lambda claim: claim.at)
            yield Arrow("handoff", event, to, own[later] if later < len(own) else None)


def _takings(happened: Iterable[Happening]) -> dict[str, dict[str, Happening]]:
    """For each message the agents that read or acknowledged it, and when each first did."""
    found: dict[str, dict[str, Happening]] = {}
    for event in happened:
        for message in _taken_by(event):
            found.setdefault(message, {}).setdefault(event.agent, event)
    return found


def _taken_by(event: Happening) -> Iterator[str]:
    if event.type == "ack":
        yield event.message
    elif event.type == "inbox.read" and isinstance(messages := event.details.get("messages"), list):
        yield from (message for message in messages if isinstance(message, str))


def _claims(happened: Iterable[Happening]) -> dict[str, list[Happening]]:
    found: dict[str, list[Happening]] = {}
    for event in happened:
        if event.type in _CLAIMS:
            found.setdefault(event.agent, []).append(event)
    return found


def within_range(at: float) -> float:
    """A time that somebody wrote, as one that every format can tell."""
    return min(max(at, 0.0), LATEST)


def _window(runs: Sequence[RunMeta]) -> Filter:
    """When events of these runs may have been written, by the store's clock."""
    begins = [seconds_of(meta.started_at) for meta in runs]
    ends = [seconds_of(meta.ended_at) for meta in runs]
    return Filter(since=_moved(begins, min, -MARGIN), until=_moved(ends, max, MARGIN))


def _moved(times: Sequence[float | None], choose: Any, by: float) -> float | None:
    """The outermost of these times, moved outwards; None where one of them is open."""
    known = [at for at in times if at is not None]
    return choose(known) + by if known and len(known) == len(times) else None


def _happening(entry: Entry, body: Event) -> Happening:
    details = {**body.extra, "fence": body.fence} if body.fence else body.extra
    at = seconds_of(body.at)
    return Happening(
        type=body.type,
        agent=body.agent,
        subject=body.subject,
        at=within_range(entry.modified if at is None else at),
        span=body.span,
        message=_message_of(body.type, body.subject, body.about),
        details=details,
    )


def _message_of(kind: str, subject: str, about: str) -> str:
    if kind == "ack":
        return subject
    return about.rpartition("/")[2].removesuffix(".json") if kind in ("send", "broadcast") else ""
