"""Processes for tests that race and kill them: writers of index entries, compactors, deleters."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.support.world import World
from tracecraft.runs import compacting, index
from tracecraft.runs.index import IndexEntry
from tracecraft.runs.meta import Head
from tracecraft.runs.summary import Metric, Summary

_CONTEXT = multiprocessing.get_context("spawn")
_READY = 120.0
MOST = 5000


class Worker:
    """A process that does a job. It is at work when this has been made."""

    def __init__(self, job: Callable[..., None], *arguments: Any) -> None:
        mine, theirs = _CONTEXT.Pipe()
        self._process: BaseProcess = _CONTEXT.Process(target=_work, args=(theirs, job, *arguments), daemon=True)
        self._process.start()
        theirs.close()
        assert mine.poll(_READY), "the worker did not start"
        mine.recv()

    def kill(self) -> None:
        self._process.kill()
        self._process.join(60)

    def ended_well(self) -> bool:
        """Whether it ended by itself, which is waited for, and without an error."""
        self._process.join(120)
        return self._process.exitcode == 0


def _work(ready: Connection, job: Callable[..., None], *arguments: Any) -> None:
    ready.send("ready")
    job(*arguments)


def write_entries(world: World, agent: str, written: Path, stop: Path) -> None:
    """Write entries of runs as their writers do: alive first, then ended. What ended is noted once it is written."""
    project = world.open(agent)
    with written.open("a") as notes:
        for number in count():
            if stop.exists() or number == MOST:
                return
            run = f"{agent}-{number:08x}"
            key = project.layout.run_entry(run, agent)
            project.store.put(key, index.encode(entry(run, agent, 1)))
            project.store.put(key, index.encode(entry(run, agent, 2)))
            notes.write(run + "\n")
            notes.flush()


def entry(run: str, writer: str, rev: int) -> IndexEntry:
    """A writer's entry: it is running at first, and completed then."""
    head = Head(name=run, status="completed" if rev > 1 else "running", started_at="2026-01-01T10:00:00+00:00")
    summary = Summary(metrics={"rev": Metric(float(rev), float(rev), count=rev)}, lines=rev)
    return IndexEntry(run, writer, rev, f"2026-01-01T10:00:0{rev}", rev > 1, head, summary)


def compact_on(world: World, agent: str, stop: Path) -> None:
    """Compact again and again, also what is not worth it."""
    compacting._FEWEST, compacting.MANY_SEGMENTS, compacting.SEGMENT_BYTES = 1, 2, 8_000
    project = world.open(agent)
    for _ in range(1_000_000):
        if stop.exists():
            return
        compacting.compact(project)
