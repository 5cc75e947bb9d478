"""Who is there: one record per agent, whose last write is its heartbeat."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft import clock, layout
from tracecraft.errors import BrokenRecord, NameTaken
from tracecraft.records import Record, encode, read
from tracecraft.store import put_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracecraft.project import Project
    from tracecraft.store import Items

BEAT_EVERY = 30.0
STALE_AFTER = 300.0
"""Seconds without a heartbeat after which an agent reads as stale, as in 0.2.x."""
_APART = 1.1
"""Seconds between two writes of one key that every provider allows."""


class Agent(Record, omit_defaults=False):
    """An agent's record. `ttl` is the shortest lease it holds; `place` the host and folder it works in."""

    id: str = ""
    status: str = "active"
    step: str | None = None
    started_at: str = ""
    heartbeat: str = ""
    summary: str = ""
    ttl: float | None = None
    place: str = ""


class Presence(msgspec.Struct, frozen=True):
    """An agent as others see it: `modified` is its last heartbeat by the store's clock, `age` seconds since then."""

    name: str
    record: Agent
    modified: float
    age: float

    @property
    def status(self) -> str:
        return "stale" if self.record.status == "active" and self.age > STALE_AFTER else self.record.status


class Agents:
    """The agents of a project, and this one's heartbeat."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._lock = threading.Lock()

    def list(self) -> Sequence[Presence]:
        """Every agent that ever registered, by name."""
        project = self._project
        listed = {info.key: info for info in project.store.list(project.layout.agents())}
        keys = {key: name for key in listed if (name := project.layout.agent_of(key)) is not None}
        found = project.read_listed([listed[key] for key in keys], Agent)
        now = project.now_by_store()
        return [
            Presence(keys[key], item.record, listed[key].modified, max(0.0, now - listed[key].modified))
            for key, item in sorted(found.items())
        ]

    def get(self, name: str) -> Agent | None:
        found = read(self._project.store, self._project.layout.agent(name), Agent)
        return found.record if found else None

    def register(self, summary: str = "", *, force: bool = False) -> Agent:
        """Make this agent known. Raises NameTaken when the name is at work elsewhere or differs only in case."""
        project = self._project
        layout.name("agent", project.agent)
        others = {
            name for info in project.store.list(project.layout.agents()) if (name := project.layout.agent_of(info.key))
        }
        for other in others:
            if other != project.agent and other.casefold() == project.agent.casefold():
                raise NameTaken(f"an agent is already called {other}", hint="choose another name: init --agent NAME")
        before = self.get(project.agent) if project.agent in others else None
        if before is not None and not force:
            self._refuse_taken(before)
        record = Agent(
            id=project.agent,
            started_at=before.started_at if before and before.started_at else clock.now(),
            heartbeat=clock.now(),
            summary=summary,
            step=before.step if before else None,
            ttl=before.ttl if before else None,
            place=project.place,
            extra=before.extra if before else {},
        )
        key = project.layout.agent(project.agent)
        told: dict[str, Any] = {"summary": summary} if summary else {}
        event = project.events.item("agent.register", project.agent, about=key, **told)
        put_many(project.store, [(key, encode(record)), event])
        self._remember(self._known(), record)
        return record

    def beat_item(self, *, step: str | None = None, ttl: float | None = None, done: str | None = None) -> Items:
        """This agent's record to write along with something else, or nothing when it was written lately.

        `step` with its `ttl` was just claimed; `done` is no longer held.
        """
        with self._lock:
            known = self._known()
            before = _holds(known)
            holds = {**before, **({step: ttl} if step is not None and ttl is not None else {})}
            if done is not None:
                holds.pop(done, None)
            changed = holds.keys() != before.keys()
            if _written_within(known, _APART if changed else min([BEAT_EVERY, *(t / 3 for t in holds.values())])):
                self._project.local.write(self._state_name, {**known, "holds": holds})
                return []
            return [self._beat(known, holds)]

    def beat_now(self) -> None:
        """Write this agent's record unless that was done a moment ago."""
        with self._lock:
            known = self._known()
            if _written_within(known, _APART):
                return
            key, data = self._beat(known, _holds(known))
        self._project.store.put(key, data)

    def _beat(self, known: dict[str, Any], holds: dict[str, float]) -> tuple[str, bytes]:
        """This agent's record as of now, remembered as written."""
        record = self._own_record(known)
        record.heartbeat, record.status, record.place = clock.now(), "active", self._project.place
        record.step = next(reversed(holds), None)
        record.ttl = min(holds.values(), default=None)
        self._remember({**known, "holds": holds}, record)
        return self._project.layout.agent(self._project.agent), encode(record)

    @property
    def _state_name(self) -> str:
        return f"agent-{self._project.agent}"

    def _known(self) -> dict[str, Any]:
        """What this machine remembers of its own heartbeat; nothing where that makes no sense."""
        known = self._project.local.read(self._state_name)
        makes_sense = isinstance(known.get("at"), int | float) and isinstance(known.get("holds", {}), dict)
        return known if makes_sense else {}

    def _own_record(self, known: dict[str, Any]) -> Agent:
        try:
            return msgspec.convert(known["record"], Agent)
        except (KeyError, msgspec.ValidationError):
            pass
        try:
            there = self.get(self._project.agent)
        except BrokenRecord as error:
            # The heartbeat that is written now mends it; a claim that was just won must not fail over it.
            self._project.broken.append(error)
            there = None
        return there or Agent(id=self._project.agent, started_at=clock.now())

    def _remember(self, known: dict[str, Any], record: Agent) -> None:
        fresh = {"at": clock.elapsed(), "record": msgspec.to_builtins(record)}
        self._project.local.write(self._state_name, {**known, **fresh})

    def _refuse_taken(self, before: Agent) -> None:
        mine = self._project
        if before.place in ("", mine.place):
            return
        age = mine.now_by_store() - mine.store.head(mine.layout.agent(mine.agent)).modified
        if age < STALE_AFTER:
            raise NameTaken(
                f"the agent {mine.agent} is at work in {before.place} (heartbeat {clock.show_duration(age)} ago)",
                hint="two workers under one name take each other's claims for theirs: take another --agent, or --force",
                place=before.place,
            )


def _holds(known: dict[str, Any]) -> dict[str, float]:
    """The steps held, each with its ttl, in the order in which they were claimed."""
    return {str(step): float(ttl) for step, ttl in known.get("holds", {}).items() if isinstance(ttl, int | float)}


def _written_within(known: dict[str, Any], seconds: float) -> bool:
    """Whether the record was written less than so many seconds ago, in this boot."""
    return bool(known) and 0 <= clock.elapsed() - float(known["at"]) < seconds
