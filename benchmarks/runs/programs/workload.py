"""What every program logs and reads, and how it tells of it. It imports nothing but the standard library.

    PROGRAM log FOLDER CALLS VALUES      one run: so many calls that log so many values each, until all is in the store
    PROGRAM seed FOLDER RUNS             so many runs of METRICS metrics at STEPS steps; not measured
    PROGRAM table FOLDER                 of all runs: name, params, the last value of every metric
    PROGRAM points FOLDER                of all runs: params, every value of every metric

The line that is printed has `seconds` without start and imports, and the `number` and `sum` of the values, by which
it shows whether all programs did the same.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

PROJECT = "benchmark"
METRICS, STEPS = 10, 10


class Tally(NamedTuple):
    """How many values there were, and what they add up to."""

    number: int = 0
    sum: float = 0.0


class Program(NamedTuple):
    """How a tracker does it. `log` is given the values of each call; `table` and `points` give back what they read."""

    log: Callable[[str, Iterable[dict[str, float]]], None]
    seed: Callable[[str, int], None]
    table: Callable[[str], Iterator[float]]
    points: Callable[[str], Iterator[float]]


def value(run: int, step: int, metric: int) -> float:
    return ((run * 31 + step * 7 + metric) % 1000) / 8


def calls(count: int, values: int) -> list[dict[str, float]]:
    return [{f"metric_{metric}": value(0, step, metric) for metric in range(values)} for step in range(count)]


def params(run: int) -> dict[str, float]:
    return {"seed": run, "lr": (run % 7) / 8, "layers": run % 5}


def steps(run: int) -> list[dict[str, float]]:
    return [{f"metric_{metric}": value(run, step, metric) for metric in range(METRICS)} for step in range(STEPS)]


def main(program: Program) -> None:
    what, folder, *numbers = sys.argv[1:]
    if what == "log":
        given = calls(*map(int, numbers))
        began = time.perf_counter()
        program.log(folder, given)
        took, tally = time.perf_counter() - began, _tally(number for one in given for number in one.values())
    elif what == "seed":
        began = time.perf_counter()
        program.seed(folder, int(numbers[0]))
        took, tally = time.perf_counter() - began, Tally()
    else:
        began = time.perf_counter()
        tally = _tally({"table": program.table, "points": program.points}[what](folder))
        took = time.perf_counter() - began
    print("\n" + json.dumps({"seconds": took, **tally._asdict()}))


def _tally(values: Iterable[float]) -> Tally:
    count, total = 0, 0.0
    for number in values:
        count, total = count + 1, total + number
    return Tally(count, total)
