"""Runs as CSV: a table of runs, or the table of what one run measured."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tracecraft.clock import iso
from tracecraft.runs.cost import cost_of
from tracecraft.runs.exporting.happenings import within_range
from tracecraft.runs.exporting.trace import as_text, tell_missing
from tracecraft.runs.fragments import Log
from tracecraft.runs.log import Metrics
from tracecraft.runs.reading import RunView, read_meta, read_run
from tracecraft.runs.times import duration

if TYPE_CHECKING:
    from tracecraft.project import Project

_POINTS = ("run", "metric", "step", "value", "at", "agent", "span")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that spreadsheets take for a formula."""

Row = dict[str, Any]


def write_points(project: Project, run: str) -> Iterator[bytes]:
    """What one run measured, a row for each value, by time. Raises Missing."""
    read_meta(project, run)
    yield _row(_POINTS)
    log = Log(project, run)
    for line in (found.line for found in log.in_order()):
        if isinstance(line, Metrics):
            for name, value in line.values.items():
                yield _row((run, name, line.step, value, iso(within_range(line.at)), line.agent, line.span))
    tell_missing(project, run, log.gaps, log.broken)


def write_runs(project: Project, runs: Iterable[str]) -> Iterator[bytes]:
    """A row for each run. Params and metrics have a column each, `param.NAME` and `metric.NAME`."""
    rows = [_facts(project, read_run(project, run)) for run in runs]
    names = dict.fromkeys(name for row in rows for name in row)
    own = [name for name in names if not name.startswith(("param.", "metric."))]
    heads = [*own, *sorted(name for name in names if name not in set(own))]
    if rows:
        yield _row(heads)
    for row in rows:
        yield _row([row.get(name) for name in heads])


def _facts(project: Project, view: RunView) -> Row:
    meta, summary, cost = view.meta, view.summary, cost_of(view.summary)
    tell_missing(project, meta.run, view.gaps, view.broken)
    took = duration(meta.started_at, meta.ended_at, view.status, summary.last)
    return {
        "run": meta.run,
        "name": meta.name,
        "status": view.status,
        "agent": meta.agent,
        "group": meta.group,
        "parent": meta.parent,
        "tags": " ".join(summary.tag_names),
        "started_at": meta.started_at,
        "ended_at": meta.ended_at,
        "duration_s": None if took is None else round(took, 6),
        "error": meta.error,
        "exit": meta.exit,
        "spans": summary.spans,
        "failed": summary.failed,
        "cost_usd": cost.dollars,
        "cost_source": cost.source,
        "unpriced": " ".join(name or "(not told)" for name in cost.unpriced),
        "input_tokens": cost.tokens.input,
        "output_tokens": cost.tokens.output,
        "cache_read_tokens": cost.tokens.cache_read,
        "cache_write_tokens": cost.tokens.cache_write,
        "reasoning_tokens": cost.tokens.reasoning,
        "missing_lines": sum(gap.last - gap.first + 1 for gap in view.gaps),
        **{f"param.{name}": given.value for name, given in summary.params.items()},
        **{f"metric.{name}": metric.last for name, metric in summary.metrics.items()},
    }


def _row(cells: Sequence[Any]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(map(_cell, cells))
    return buffer.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> str | float:
    """A number as it is; text so that no spreadsheet runs it as a formula."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = as_text(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
