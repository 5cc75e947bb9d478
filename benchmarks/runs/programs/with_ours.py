"""The same with tracecraft, in a folder store."""

from __future__ import annotations

import sqlite3  # noqa: F401 (ours imports it when it first reads what it keeps of a list; imports are not measured)
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.runs.programs import workload
from tracecraft import init, run
from tracecraft.objectcache import ObjectCache  # noqa: F401 (the same)
from tracecraft.project import Project
from tracecraft.runs.log import Metrics, Params
from tracecraft.runs.reading import lines
from tracecraft.runs.rows import read_rows


def log(folder: str, calls: Iterable[dict[str, float]]) -> None:
    init(project=workload.PROJECT, store=Path(folder).as_uri(), agent="benchmark")
    with run("logged") as logged:
        for step, values in enumerate(calls):
            logged.log_metrics(values, step=step)


def seed(folder: str, runs: int) -> None:
    init(project=workload.PROJECT, store=Path(folder).as_uri(), agent="benchmark")
    for number in range(runs):
        with run(f"run-{number}") as logged:
            logged.log_params(workload.params(number))
            for step, values in enumerate(workload.steps(number)):
                logged.log_metrics(values, step=step)


def table(folder: str) -> Iterator[float]:
    for row in read_rows(_project(folder)).rows:
        yield from (given.value for given in row.summary.params.values())
        yield from (metric.last for metric in row.summary.metrics.values())


def points(folder: str) -> Iterator[float]:
    project = _project(folder)
    for row in read_rows(project).rows:
        for _, line in lines(project, row.run):
            if isinstance(line, Metrics | Params):
                yield from line.values.values()


def _project(folder: str) -> Project:
    return Project.open(store=Path(folder).as_uri(), project=workload.PROJECT, agent="reader")


if __name__ == "__main__":
    workload.main(workload.Program(log, seed, table, points))
