"""run list: which runs there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tracecraft.cli.face import TIME, Face, command
from tracecraft.cli.output import show_time
from tracecraft.cli.run_leftovers import send_leftovers
from tracecraft.cli.run_output import (
    cost_document,
    fitted,
    metrics_document,
    params_document,
    show_cost,
    show_seconds,
)
from tracecraft.runs.plotting import show_number

if TYPE_CHECKING:
    from tracecraft.runs.rows import Row

_HEADS = ("RUN", "STATUS", "STARTED", "TOOK", "COST", "METRICS", "AGENT", "GROUP", "TAGS")
_STATUSES = ("running", "completed", "failed", "cancelled", "stale")
_METRICS = 3


@command("list", acts=False)
@click.option("--status", "statuses", type=click.Choice(_STATUSES), multiple=True, help="Only these; may be repeated.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="Only runs with this tag; may be repeated.")
@click.option("--group", metavar="NAME", help="Only runs of this group.")
@click.option("--name", metavar="NAME", help="Only runs of this name.")
@click.option("--agent", "who", metavar="NAME", help="Only runs in which this agent took part.")
@click.option("--since", type=TIME, metavar="T", help="Only runs that began then or later; `2h` is two hours ago.")
@click.option(
    "--metric", "conditions", metavar="CONDITION", multiple=True,
    help="Only runs whose metric is so: 'quality_score>0.9', with > >= < <= == or !=; may be repeated.",
)  # fmt: skip
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="Only runs with this param.")
@click.option(
    "--sort", metavar="BY", default="started", show_default=True,
    help="started (newest first), duration, cost, metric:NAME (highest first), name, param:NAME.",
)  # fmt: skip
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="The first N; 0 for all.")
def list_runs(
    face: Face,
    statuses: Sequence[str],
    tags: Sequence[str],
    group: str | None,
    name: str | None,
    who: str | None,
    since: float | None,
    conditions: Sequence[str],
    params: Sequence[str],
    sort: str,
    reverse: bool,
    limit: int,
) -> None:
    """List runs. `tracecraft runs` is the same.

    A run that says it is running and shows no sign of life is listed as stale.

    \b
    Example:
      tracecraft run list --status completed --tag nightly --sort metric:quality_score
    """
    from tracecraft.runs.compacting import compact_if_many
    from tracecraft.runs.rows import read_rows
    from tracecraft.runs.selecting import MetricIs, Order, ParamIs, Wanted, select

    metrics = [MetricIs.parse(text) for text in conditions]
    wanted = Wanted(statuses, tags, group, who, name, since, metrics, [ParamIs.parse(text) for text in params])
    order = Order.parse(sort)
    send_leftovers(face)
    listing = read_rows(face.project)
    chosen = select(listing.rows, wanted, order, reverse=reverse)
    shown = chosen[: limit or None]
    first = [*(metric.name for metric in metrics), *([sort[7:]] if sort.startswith("metric:") else [])]
    text = fitted((_row(row, first) for row in shown), heads=_HEADS, whole=5) or "no runs"
    more = f"\n{len(chosen) - len(shown)} more: --limit 0" if len(chosen) > len(shown) else ""
    face.show({"runs": [_document(row) for row in shown], "total": len(chosen)}, text + more)
    compact_if_many(face.project, listing.uncollected)


def _row(row: Row, first: Sequence[str]) -> tuple[object, ...]:
    from tracecraft.runs.cost import cost_of
    from tracecraft.runs.times import duration_of, seconds_of

    began = seconds_of(row.head.started_at)
    return (
        row.run,
        row.status,
        "-" if began is None else show_time(began)[:16],
        show_seconds(duration_of(row)),
        show_cost(cost_of(row.summary)) or "-",
        _metrics(row, first) or "-",
        row.head.agent or "-",
        row.head.group or "-",
        ",".join(row.summary.tag_names) or "-",
    )


def _metrics(row: Row, first: Sequence[str]) -> str:
    """A few metrics, those first that were asked for."""
    metrics = row.summary.metrics
    names = list(dict.fromkeys([*(name for name in first if name in metrics), *sorted(metrics)]))
    told = [f"{name} {show_number(metrics[name].last)}" for name in names[:_METRICS]]
    return " ".join([*told, *([f"+{len(names) - _METRICS}"] if len(names) > _METRICS else [])])


def _document(row: Row) -> dict[str, Any]:
    from tracecraft.runs.cost import cost_of
    from tracecraft.runs.finding import short_id
    from tracecraft.runs.times import duration_of

    head, summary, cost = row.head, row.summary, cost_of(row.summary)
    return {
        "run": row.run,
        "short_id": short_id(row.run),
        "name": head.name,
        "status": row.status,
        "started_at": head.started_at or None,
        "ended_at": head.ended_at or None,
        "duration_s": duration_of(row),
        "agent": head.agent or None,
        "agents": summary.agents,
        "group": head.group or None,
        "parent": head.parent or None,
        "error": head.error or None,
        "tags": summary.tag_names,
        "params": params_document(summary),
        "metrics": metrics_document(summary),
        "tokens": msgspec.structs.asdict(cost.tokens),
        "cost": cost_document(cost),
        "spans": summary.spans,
        "failed_spans": summary.failed,
    }
