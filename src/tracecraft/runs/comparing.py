"""Puts runs side by side: params, metrics, tokens and cost, and which of them differ.

Few runs are read from their logs; more than that from the index, so that a thousand are compared with a few requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tracecraft.runs.cost import Cost, cost_of
from tracecraft.runs.finding import is_run, meant
from tracecraft.runs.meta import head_of
from tracecraft.runs.reading import RunView, read_run
from tracecraft.runs.rows import Row, read_rows
from tracecraft.runs.summary import Summary
from tracecraft.runs.times import duration

if TYPE_CHECKING:
    from tracecraft.project import Project

FROM_LOGS = 20
"""Runs that are read from their logs at most."""

Goal = Literal["highest", "lowest", ""]
Section = Literal["run", "params", "metrics", "usage"]

_LOWER_IS_BETTER = ("loss", "error", "err", "latency", "duration", "cost", "perplexity", "ppl", "mae", "mse", "rmse",
                    "wer", "cer", "seconds", "failures", "time")  # fmt: skip


class Compared(msgspec.Struct, frozen=True):
    """A run as it is compared."""

    run: str
    name: str
    status: str
    started_at: str
    seconds: float | None
    summary: Summary
    cost: Cost


class Line(msgspec.Struct, frozen=True):
    """One thing of all runs, in their order; None where a run has it not.

    `best` are the places of those that did best, where that can be told and not all did the same. `points` are the
    values of each run over time, for a metric.
    """

    section: Section
    name: str
    values: list[Any]
    differs: bool
    best: list[int] = []
    points: list[list[float]] = []


class Comparison(msgspec.Struct, frozen=True):
    runs: list[Compared]
    lines: list[Line]
    from_logs: bool


def compare(project: Project, given: Sequence[str]) -> Comparison:
    """The runs that are meant, side by side. Raises Missing, UsageError."""
    runs = _from_logs(project, given) if len(given) <= FROM_LOGS else _from_index(project, given)
    return Comparison(runs, list(lines_of(runs)), len(given) <= FROM_LOGS)


def lines_of(runs: Sequence[Compared]) -> Iterable[Line]:
    """What there is to compare."""
    yield _line("run", "status", [run.status for run in runs])
    yield _line("run", "duration", [run.seconds for run in runs], "lowest")
    for name in _names(run.summary.params for run in runs):
        yield _line("params", name, [_param(run.summary, name) for run in runs])
    for name in _names(run.summary.metrics for run in runs):
        metrics = [run.summary.metrics.get(name) for run in runs]
        line = _line("metrics", name, [metric.last if metric else None for metric in metrics], goal_of(name))
        yield msgspec.structs.replace(line, points=[metric.points if metric else [] for metric in metrics])
    yield _line("usage", "cost", [run.cost.dollars for run in runs], "lowest")
    for name in ("input", "output", "cache_read", "cache_write", "reasoning"):
        yield _line("usage", f"{name} tokens", [getattr(run.cost.tokens, name) for run in runs], "lowest")
    yield _line("usage", "calls", [run.cost.calls for run in runs])
    yield _line("usage", "spans", [run.summary.spans for run in runs])
    yield _line("usage", "failed spans", [run.summary.failed for run in runs], "lowest")


def goal_of(metric: str) -> Goal:
    """Whether a metric is better when it is low, as far as its name tells."""
    words = metric.casefold().replace("-", "_").replace(".", "_").replace("/", "_").split("_")
    return "lowest" if any(word in _LOWER_IS_BETTER for word in words) else "highest"


def _from_logs(project: Project, given: Sequence[str]) -> list[Compared]:
    exact = project.store.together([partial(is_run, project, text) for text in given])
    rows = [] if all(exact) else read_rows(project).rows
    ids = [text if whole else meant(text, rows).run for text, whole in zip(given, exact, strict=True)]
    return [_of_view(view) for view in project.store.together([partial(read_run, project, run) for run in ids])]


def _from_index(project: Project, given: Sequence[str]) -> list[Compared]:
    rows = read_rows(project).rows
    by_id = {row.run: row for row in rows}
    return [_of_row(by_id[text] if text in by_id else meant(text, rows)) for text in given]


def _of_view(view: RunView) -> Compared:
    head = head_of(view.meta)
    seconds = duration(head.started_at, head.ended_at, view.status, view.summary.last)
    return Compared(
        view.meta.run, head.name, view.status, head.started_at, seconds, view.summary, cost_of(view.summary)
    )


def _of_row(row: Row) -> Compared:
    head = row.head
    seconds = duration(head.started_at, head.ended_at, row.status, row.summary.last)
    return Compared(row.run, head.name, row.status, head.started_at, seconds, row.summary, cost_of(row.summary))


def _line(section: Section, name: str, values: list[Any], goal: Goal = "") -> Line:
    differs = any(value != values[0] for value in values[1:])
    return Line(section, name, values, differs, _best(values, goal) if differs else [])


def _best(values: Sequence[Any], goal: Goal) -> list[int]:
    numbers = [value for value in values if isinstance(value, int | float) and value == value]
    if not goal or len(numbers) < 2 or min(numbers) == max(numbers):
        return []
    best = max(numbers) if goal == "highest" else min(numbers)
    return [place for place, value in enumerate(values) if value == best]


def _names(known: Iterable[Iterable[str]]) -> list[str]:
    return sorted({name for names in known for name in names})


def _param(summary: Summary, name: str) -> Any:
    given = summary.params.get(name)
    return given.value if given else None
