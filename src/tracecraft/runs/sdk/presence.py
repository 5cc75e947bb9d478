"""Keeps the heartbeats of the agents of open runs, from one thread of this process."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from tracecraft.errors import TracecraftError
from tracecraft.store import put_many

if TYPE_CHECKING:
    from tracecraft.project import Project

_LOOK_EVERY = 10.0
"""Seconds between two looks for whose heartbeat is due; an agent with a short lease needs one that often."""


class Presence:
    """Agents that are at work here. A store that is away costs them their heartbeats, and nothing else."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._projects: list[Project] = []
        os.register_at_fork(after_in_child=self._after_fork)

    def begin(self, project: Project) -> None:
        """An agent is at work: its heartbeat goes out now, and again whenever it is due, behind the caller's back."""
        with self._lock:
            self._projects.append(project)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tracecraft-presence", daemon=True)
                self._thread.start()
        self._wake.set()

    def end(self, project: Project) -> None:
        """The agent is not at work any more."""
        with self._lock, suppress(ValueError):
            self._projects.remove(project)

    def _after_fork(self) -> None:
        """A forked child has none of its parent's threads, and the parent keeps its agents' heartbeats."""
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._thread = None
        self._projects = []

    def _run(self) -> None:
        wake = self._wake
        while True:
            wake.wait(_LOOK_EVERY)
            wake.clear()
            with self._lock:
                projects = list(self._projects)
            for project in projects:
                with suppress(TracecraftError, OSError):
                    put_many(project.store, project.agents.beat_item())


presence = Presence()
