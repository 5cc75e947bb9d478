"""Agents on one store in memory, each as on a machine of its own, and a store whose time a test can move."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tracecraft import clock
from tracecraft.localstate import LocalState
from tracecraft.project import Project
from tracecraft.store import Info, Object
from tracecraft.store.memory import MemoryStore

LONG_AGO = 7200.0
"""Seconds: longer than the default lease, shorter than the longest hold."""


class AgingStore(MemoryStore):
    """A store in memory. Objects can be made older; a watcher that looks for too long fails its test."""

    def __init__(self, *, seconds: float = 60.0) -> None:
        super().__init__()
        self.written: list[str] = []
        self._deadline = clock.Deadline(seconds)

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        etag = super().put(key, data, if_absent=if_absent, if_match=if_match)
        self.written.append(key)
        return etag

    def head(self, key: str) -> Info:
        self._bound()
        return super().head(key)

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Info]:
        self._bound()
        return super().list(prefix, after=after)

    def age(self, key: str, seconds: float = LONG_AGO) -> None:
        """Let an object have been written so much earlier, by the store's clock."""
        with self._lock:
            found = self._objects[key]
            self._objects[key] = Object(found.data, found.info._replace(modified=found.info.modified - seconds))

    def json(self, key: str) -> Any:
        return json.loads(self.get(key).data)

    def has(self, key: str) -> bool:
        with self._lock:
            return key in self._objects

    def plant(self, key: str, content: object) -> None:
        """Write an object as another program would."""
        self.put(key, json.dumps(content).encode())

    def _bound(self) -> None:
        if self._deadline.passed:
            raise AssertionError("nothing happened for too long")


class Team:
    """A project on an `AgingStore`."""

    def __init__(self, root: Path, *, seconds: float = 60.0) -> None:
        self.root = root
        self.store = AgingStore(seconds=seconds)

    def agent(self, name: str, *, place: str = "") -> Project:
        """The API as this agent has it on its machine, or at another `place` on another machine."""
        home = self.root / f"{name}{place}"
        project = Project(self.store, "demo", name, local=LocalState(self.store.url, "demo", home))
        if place:
            project.place = place
        return project

    def silence(self, name: str) -> None:
        """Let an agent have shown no sign of life for long: neither its record nor its claims."""
        project = self.agent(name)
        names = project.layout
        if self.store.has(names.agent(name)):
            self.store.age(names.agent(name))
        for step in project.steps.board().held_by(name):
            self.store.age(names.claim(step))
        forget(project)


def forget(project: Project) -> None:
    """Remove what an agent's machine remembers; so it knows of no heartbeat it wrote lately."""
    for path in project.local.folder.glob("*.json"):
        path.unlink()
