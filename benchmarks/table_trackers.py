"""The section about runs beside other trackers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.markdown import Runs, mebibytes, middle, table
from benchmarks.results import spread

_TEXT = """\
## Runs beside other trackers

The same data logged and read back by {trackers}, in turns, each in a process of its own, {turns} times after one that
does not count. Seconds are until everything is in the store for others to read: in the process, without start and
imports, and of the whole process. Ours takes secrets out of what is logged, and syncs each file and folder to the disk;
MLflow syncs nothing, trackio its write-ahead log now and then. Read are {runs:,} runs with 3 params and 10 metrics of
10 values each. The ratio is theirs divided by ours, of medians; the target is {target:g}.
"""


def section(measured: Any) -> list[str]:
    facts = {**measured, **measured["size"], "trackers": " and ".join(_listed(measured["trackers"]))}
    heads = ["what", "with", "in the process, s", "ratio", "target", "whole process, s", "ratio", "target", "MiB"]
    rows = (row for part in measured["measured"] for row in _rows(part, measured["target"]))
    return [_TEXT.format(**facts), *table(heads, rows)]


def _listed(names: list[str]) -> list[str]:
    return [", ".join(names[:-1]), names[-1]] if len(names) > 1 else names


def _rows(part: Any, target: float) -> Iterator[list[str]]:
    (_, ours), *_others = part["runs"].items()
    for number, (name, runs) in enumerate(part["runs"].items()):
        inside, whole = ([run[which] for run in runs] for which in ("seconds", "whole_seconds"))
        yield [
            part["name"] if number == 0 else "the same",
            name,
            spread(inside, 3),
            *(_compared(runs, ours, "seconds", target) if number else ["1", "none"]),
            spread(whole, 2),
            *(_compared(runs, ours, "whole_seconds", target) if number else ["1", "none"]),
            mebibytes(runs),
        ]


def _compared(theirs: Runs, ours: Runs, which: str, target: float) -> list[str]:
    ratio = middle(theirs, which) / middle(ours, which)
    return [f"{ratio:.1f}", "met" if ratio >= target else "not met"]
