"""Agents that are gone: silent for long, holding no step, with nothing unread. Their records may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tracecraft.agents import Agent
from tracecraft.errors import NotFound
from tracecraft.oldmail import Mail
from tracecraft.records import read_many
from tracecraft.store import Info
from tracecraft.tally import Tally

if TYPE_CHECKING:
    from tracecraft.project import Project


@dataclass
class GoneAgents:
    """The records that go, by agent."""

    records: dict[str, Info] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)


def look(project: Project) -> dict[str, Info]:
    """Every agent's record; its time is the heartbeat."""
    names = project.layout
    return {name: info for info in project.store.list(names.agents()) if (name := names.agent_of(info.key)) is not None}


def about(records: Mapping[str, Info], mail: Mail, since: float) -> set[str]:
    """Agents that gave a sign of life since a time of the store: a heartbeat, or mail that was read."""
    return {name for name, info in [*records.items(), *mail.readers.items()] if info.modified >= since}


def choose(
    project: Project, records: Mapping[str, Info], mail: Mail, broadcasts: Iterable[Info], since: float
) -> GoneAgents:
    """Whose records may go: silent since before a time of the store, while these broadcasts stay."""
    gone = GoneAgents()
    silent = {name: info for name, info in records.items() if info.modified < since and not _acts(project, name)}
    whole = read_many(project.store, [info.key for info in silent.values()], Agent, project.broken)
    board = project.steps.board()
    unclear = any(error.fields["key"].startswith(project.layout.steps()) for error in project.broken)
    staying = list(broadcasts)
    for name, info in silent.items():
        if board.held_by(name) or unclear:
            gone.tally.kept["holds a step" if not unclear else "a step is broken"] += 1
        elif mail.unread(name):
            gone.tally.kept["unread mail"] += 1
        elif _speaks_for(name, mail, staying):
            gone.tally.kept["has read broadcasts that stay"] += 1
        elif info.key not in whole:
            gone.tally.kept["broken"] += 1
        else:
            gone.records[name] = info
            gone.tally.add(info)
    gone.tally.counts["agents"] = len(gone.records)
    gone.tally.names = sorted(gone.records)
    gone.tally.requests = 2 * len(gone.records) + len(silent)
    return gone


def remove(project: Project, gone: GoneAgents) -> None:
    """Remove the records, but of agents that came back meanwhile."""
    project.store.together([partial(_remove_unchanged, project, info) for info in gone.records.values()])


def _remove_unchanged(project: Project, info: Info) -> None:
    try:
        if project.store.head(info.key).etag == info.etag:
            project.store.delete(info.key)
    except NotFound:
        pass


def _acts(project: Project, name: str) -> bool:
    return project.has_agent and name == project.agent


def _speaks_for(name: str, mail: Mail, broadcasts: Iterable[Info]) -> bool:
    """Whether `sent` needs the record to tell who read or acknowledged a broadcast."""
    acks = f"/{name}/_acks/"
    for info in broadcasts:
        leaf = info.key.rpartition("/")[2].removesuffix(".json")
        if mail.has_read(name, info) or any(acks in ack.key for ack in mail.acks.get(leaf, [])):
            return True
    return False
