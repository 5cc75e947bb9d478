"""Lists mirrored sessions with what they come to, from their manifests alone."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from tracecraft.records import Stored
from tracecraft.sessions import summing
from tracecraft.sessions.finding import Name, Sessions
from tracecraft.sessions.manifest import Manifest
from tracecraft.sessions.statistics import Statistics
from tracecraft.sessions.summing import Cost

if TYPE_CHECKING:
    from tracecraft.project import Project

Order = Literal["recent", "size", "cost"]
State = Literal["live", "idle", "ended"]

LIVE = 600.0
"""Seconds without an upload after which a session that has not ended counts as idle."""


class Listed(msgspec.Struct, frozen=True):
    """A session.

    `modified` is when its manifest last changed, by the store's clock, `size` the bytes stored of it as it is now, and
    `parts` how many objects it has.
    """

    name: Name
    short_id: str
    agent: str
    cwd: str
    state: State
    modified: float
    started_at: str
    ended_at: str | None
    size: int
    parts: int
    statistics: Statistics
    cost: Cost


class Total(NamedTuple):
    """What sessions come to: how many there are of each harness, what was redacted by rule, and their hours added up,
    in seconds."""

    sessions: dict[str, int]
    statistics: Statistics
    cost: Cost
    redactions: dict[str, int]
    duration: float


def sessions(
    project: Project, *, harness: str | None = None, agent: str | None = None, order: Order = "recent", limit: int = 0
) -> Sequence[Listed]:
    """Those that were not deleted, in this order, the first `limit` of them (0: all)."""
    found = Sessions(project)
    short = found.short_ids()
    chosen = (stored for stored in found.newest_first(harness) if agent in (None, stored.record.agent_id))
    all_of_them = (listed(project, stored, short) for stored in chosen)
    if order == "recent":
        return list(islice(all_of_them, limit or None))
    if limit:
        return nlargest(limit, all_of_them, key=_KEYS[order])
    return sorted(all_of_them, key=_KEYS[order], reverse=True)


def listed(project: Project, stored: Stored[Manifest], short_ids: dict[Name, str]) -> Listed:
    """A session as its manifest tells of it."""
    manifest, name = stored.record, Name(stored.record.harness, stored.record.session_id)
    streams = summing.of_streams(manifest)
    statistics = summing.together(streams)
    modified = stored.modified or project.now_by_store()
    return Listed(
        name=name,
        short_id=short_ids.get(name, name.session_id),
        agent=manifest.agent_id or "",
        cwd=statistics.cwd or manifest.cwd or "",
        state=_state(project, manifest, modified),
        modified=modified,
        started_at=manifest.started_at,
        ended_at=manifest.ended_at,
        size=summing.size(manifest),
        parts=len(manifest.parts),
        statistics=statistics,
        cost=summing.cost_of(streams),
    )


def everything(project: Project) -> Total:
    """What all sessions come to."""
    total = Total({}, Statistics(), Cost(), {}, 0.0)
    for stored in Sessions(project).newest_first():
        streams = summing.of_streams(stored.record)
        total = Total(
            summing.counted([total.sessions, {stored.record.harness: 1}]),
            summing.together([total.statistics, *streams]),
            summing.sum_of([total.cost, summing.cost_of(streams)]),
            summing.counted([total.redactions, summing.redactions(stored.record)]),
            total.duration + summing.together(streams).duration,
        )
    return total


def _state(project: Project, manifest: Manifest, modified: float) -> State:
    if manifest.ended_at:
        return "ended"
    return "live" if project.now_by_store() - modified < LIVE else "idle"


def _by_size(session: Listed) -> float:
    return session.size


def _by_cost(session: Listed) -> float:
    return session.cost.usd or 0.0


_KEYS = {"size": _by_size, "cost": _by_cost}
