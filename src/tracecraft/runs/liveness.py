"""Tells whether a run that says it is running still shows signs of life. This is found out when reading, never written.

A run of a living process lives by the index entries that its writers write again and again; one that was started from
the command line by its agent's heartbeat too. Ages are by the store's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from tracecraft.agents import Agent
from tracecraft.config import DEFAULT_TTL
from tracecraft.layout import is_segment
from tracecraft.records import read_many
from tracecraft.runs.meta import STALE, STALE_AFTER, Head

if TYPE_CHECKING:
    from tracecraft.project import Project


class Beat(NamedTuple):
    """An agent's last heartbeat by the store's clock, and for how long after it the agent counts as there."""

    at: float
    ttl: float


def status_of(head: Head, sign: float, now: float, beats: Mapping[str, Beat]) -> str:
    """The status to show. `sign` is when something of the run was written last, in seconds since 1970."""
    if head.status != "running" or now - sign <= STALE_AFTER:
        return head.status
    if head.alive == "self":
        return STALE
    beat = beats.get(head.agent, Beat(0.0, DEFAULT_TTL))
    return head.status if now - max(sign, beat.at) <= beat.ttl else STALE


def beats_of(project: Project, heads: Iterable[Head]) -> dict[str, Beat]:
    """The heartbeats of the agents on which the life of these runs hangs, in one wave of requests."""
    names = {head.agent for head in heads if head.status == "running" and head.alive == "agent"}
    keys = {project.layout.agent(name): name for name in names if is_segment(name)}
    found = read_many(project.store, keys, Agent, project.broken) if keys else {}
    return {keys[key]: Beat(stored.modified or 0.0, stored.record.ttl or DEFAULT_TTL) for key, stored in found.items()}
