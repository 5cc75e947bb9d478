"""Tables for a page, and how figures are written in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.counting import KINDS
from benchmarks.results import spread

Runs = Sequence[Mapping[str, Any]]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, its first column to the left and the others to the right, and an empty line."""
    line = "|".join(["---", *["---:"] * (len(heads) - 1)])
    return [_row(heads), f"|{line}|", *map(_row, rows), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def seconds(runs: Runs, digits: int = 3) -> str:
    """What several runs took; `>` marks that at least one was stopped."""
    return ("> " if any(run["exceeded"] for run in runs) else "") + spread([run["seconds"] for run in runs], digits)


def mebibytes(runs: Runs) -> str:
    """The peak memory of several runs; a stopped one has none."""
    known = [run["peak_kib"] / 1024 for run in runs if not run["exceeded"]]
    return spread(known, 1) if known else "not known"


def middle(runs: Runs, name: str) -> float:
    return float(median(run[name] for run in runs))


def verdict(value: float, target: float) -> str:
    return "met" if value <= target else "not met"


def by_kind(counts: Mapping[str, float]) -> str:
    """Counts of requests by kind as one text."""
    return ", ".join(f"{counts[kind]:,.0f} {kind}" for kind in KINDS if counts.get(kind)) or "none"
