"""The same with trackio, by the calls its documentation shows for it, and the quickest for reading."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

os.environ["TRACKIO_DIR"] = sys.argv[2]
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import trackio
from trackio.sqlite_storage import SQLiteStorage

from benchmarks.runs.programs import workload


def log(folder: str, calls: Iterable[dict[str, float]]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        trackio.init(project=workload.PROJECT, name="logged", embed=False)
        for step, values in enumerate(calls):
            trackio.log(values, step=step)
        trackio.finish()


def seed(folder: str, runs: int) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        for number in range(runs):
            trackio.init(project=workload.PROJECT, name=f"run-{number}", config=workload.params(number), embed=False)
            for step, values in enumerate(workload.steps(number)):
                trackio.log(values, step=step)
            trackio.finish()


def table(folder: str) -> Iterator[float]:
    yield from _params()
    for logs in _logs():
        last: dict[str, float] = {}
        for entry in logs:
            last.update(_values(entry))
        yield from last.values()


def points(folder: str) -> Iterator[float]:
    yield from _params()
    for logs in _logs():
        for entry in logs:
            yield from _values(entry).values()


def _params() -> Iterator[float]:
    for config in SQLiteStorage.get_all_run_configs(workload.PROJECT).values():
        yield from (config[name] for name in workload.params(0))


def _logs() -> Iterator[list[dict[str, Any]]]:
    """What every run logged, on one connection: it has no call that gives only what came last."""
    records = SQLiteStorage.get_run_records(workload.PROJECT)
    runs = [{"run": record["name"], "run_id": record["id"]} for record in records]
    for found in SQLiteStorage.get_logs_batch(workload.PROJECT, runs):
        yield found["logs"]


def _values(entry: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in entry.items() if name.startswith("metric_")}


if __name__ == "__main__":
    workload.main(workload.Program(log, seed, table, points))
