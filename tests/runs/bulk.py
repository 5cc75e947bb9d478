"""Writes many runs straight into a store: their records, logs, and the index as their writers would have left it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from tracecraft import clock
from tracecraft.project import Project
from tracecraft.records import encode as encode_record
from tracecraft.records import untracked
from tracecraft.runs import index, log
from tracecraft.runs.compacting import SEGMENT_BYTES
from tracecraft.runs.index import IndexEntry
from tracecraft.runs.log import Known
from tracecraft.runs.meta import RunMeta, Status, head_of
from tracecraft.runs.summary import Summing

BEGAN = 1_750_000_000.0
STATUSES: tuple[Status, ...] = ("completed", "completed", "completed", "failed", "cancelled")


@dataclass
class Made:
    """A run to be written: its record, and the lines of each of its writers."""

    meta: RunMeta
    logs: dict[str, list[Known]] = field(default_factory=dict)


def make_run(number: int, *, metrics: int = 5, points: int = 1, name: str = "", status: Status | None = None) -> Made:
    """The run of a number, which is always the same."""
    random_ = random.Random(number)
    at = BEGAN + 60 * number
    agent = f"agent-{number % 7}"
    meta = RunMeta(
        run=f"run-{number:08x}",
        name=name or f"experiment-{number % 50}",
        status=status or STATUSES[number % len(STATUSES)],
        started_at=clock.iso(at),
        ended_at=clock.iso(at + 30 + number % 600),
        agent=agent,
        group=f"group-{number % 10}",
    )
    lines: list[Known] = [
        log.Writer(host="host", pid=number, via="sdk"),
        log.Params(values={"lr": random_.choice([0.1, 0.01, 0.001]), "seed": number, "model": "claude-sonnet-4-5"}),
        log.Tags(add=["nightly" if number % 2 else "manual", f"shard-{number % 20}"]),
    ]
    for point in range(points):
        values = {f"metric_{n}": random_.random() for n in range(metrics)}
        lines.append(log.Metrics(values=values, step=point))
    lines.append(
        log.Usage(model="claude-sonnet-4-5", provider="anthropic", input=1000 + number, output=100, agent=agent)
    )
    for id_, line in enumerate(lines, 1):
        line.id, line.at = id_, at + id_ / 1000
    return Made(meta, {f"{number:016x}": lines})


def entries_of(made: Made) -> Iterator[IndexEntry]:
    """What the writers of a run would leave in the index."""
    for writer, lines in made.logs.items():
        summing = Summing()
        for line in lines:
            summing.feed(line)
        yield IndexEntry(made.meta.run, writer, 1, made.meta.ended_at, True, head_of(made.meta), summing.summary)


def put_run(project: Project, made: Made, *, fragment: int = 10_000) -> None:
    """A run without its part of the index; `fragment` is how many lines its fragments have."""
    items = [(project.layout.run_meta(made.meta.run), encode_record(untracked(made.meta)))]
    for writer, lines in made.logs.items():
        for start in range(0, len(lines), fragment):
            part = lines[start : start + fragment]
            key = project.layout.fragment(made.meta.run, writer, part[0].id, part[-1].id)
            items.append((key, b"".join(map(log.encode, part))))
    project.store.together([partial(project.store.put, key, data) for key, data in items])


def put_loose(project: Project, made: Sequence[Made]) -> None:
    """The index of runs as their writers leave it."""
    entries = [entry for one in made for entry in entries_of(one)]
    keys = [project.layout.run_entry(entry.run, entry.writer) for entry in entries]
    calls = [partial(project.store.put, key, index.encode(entry)) for key, entry in zip(keys, entries, strict=True)]
    project.store.together(calls)


def put_folded(project: Project, made: Iterator[Made] | Sequence[Made]) -> int:
    """The index of runs as compaction leaves it; returns how many segments that makes."""
    lines: list[bytes] = []
    size = segments = 0
    for entry in (entry for one in made for entry in entries_of(one)):
        lines.append(index.encode(entry))
        size += len(lines[-1])
        if size > SEGMENT_BYTES - (64 << 10):
            project.store.put(project.layout.run_index_segment(), b"".join(lines))
            lines, size, segments = [], 0, segments + 1
    if lines:
        project.store.put(project.layout.run_index_segment(), b"".join(lines))
        segments += 1
    return segments
