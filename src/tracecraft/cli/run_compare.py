"""run compare, run metrics: numbers of runs side by side, and over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from tracecraft.cli.face import Face, command
from tracecraft.cli.output import one_line
from tracecraft.cli.run_naming import find_run
from tracecraft.cli.run_output import fitted, is_utf8, show_seconds, show_value, terminal_width
from tracecraft.errors import UsageError
from tracecraft.runs.plotting import plot, show_number, sparkline

if TYPE_CHECKING:
    from tracecraft.runs.comparing import Compared, Comparison, Line
    from tracecraft.runs.inspecting import Curve

_SIDE_BY_SIDE = 6
_COLUMNS = 8


@command("compare", acts=False)
@click.argument("run_ids", metavar="ID ID...", nargs=-1)
@click.option("--group", metavar="NAME", help="The runs of this group too.")
@click.option("--diff-only", is_flag=True, help="Only what is not the same in all of them.")
def compare(face: Face, run_ids: Sequence[str], group: str | None, diff_only: bool) -> None:
    """Compare runs: params, metrics, tokens and cost side by side, the best marked with a star.

    Which way a metric is better is told by its name: lower for loss, error, latency and the like, else higher. Up to 20
    runs are read from their logs, more from the index.

    \b
    Example:
      tracecraft run compare 3fa9c1d2 77b0e4aa --diff-only
    """
    from tracecraft.runs import comparing
    from tracecraft.runs.rows import read_rows

    given = list(run_ids)
    if group is not None:
        given += [row.run for row in read_rows(face.project).rows if row.head.group == group]
    given = list(dict.fromkeys(given))
    if len(given) < 2:
        raise UsageError("fewer than two runs are named", hint="name two at least, or a --group")
    found = comparing.compare(face.project, given)
    lines = [line for line in found.lines if line.differs or not diff_only]
    face.show(_document(found, lines), "\n".join(_told(found, lines)))


def _told(found: Comparison, lines: Sequence[Line]) -> Iterator[str]:
    known = [line for line in lines if any(value not in (None, 0) for value in line.values)]
    if not known:
        yield "nothing differs"
    elif len(found.runs) <= _SIDE_BY_SIDE:
        heads = ["", *(one_line(run.run) for run in found.runs)]
        yield fitted(([line.name, *_cells(line)] for line in known), heads=heads)
    else:
        yield from _run_by_run(found, known)


def _run_by_run(found: Comparison, lines: Sequence[Line]) -> Iterator[str]:
    """Many runs: one a line, with what differs in columns."""
    differing = [line for line in lines if line.differs]
    shown = differing[:_COLUMNS]
    cells = [_cells(line, with_points=False) for line in shown]
    rows = ([run.run, *(column[n] for column in cells)] for n, run in enumerate(found.runs))
    yield fitted(rows, heads=["RUN", *(one_line(line.name) for line in shown)])
    if len(differing) > len(shown):
        more = ", ".join(one_line(line.name) for line in differing[_COLUMNS : 2 * _COLUMNS])
        yield f"{len(differing) - len(shown)} more differ ({more} ...): --json has them all"


def _cells(line: Line, *, with_points: bool = True) -> list[str]:
    cells = []
    for place, value in enumerate(line.values):
        star = "*" if place in line.best else ""
        points = line.points[place] if with_points and line.points else []
        curve = "  " + sparkline(points, utf8=is_utf8()) if len(points) > 1 else ""
        cells.append(f"{_cell(line, value)}{star}{curve}")
    return cells


def _cell(line: Line, value: Any) -> str:
    if value is None:
        return "-"
    if line.name == "duration" and line.section == "run":
        return show_seconds(value)
    if line.name == "cost" and line.section == "usage":
        return f"${value:.4f}"
    return show_value(value)


def _document(found: Comparison, lines: Sequence[Line]) -> dict[str, Any]:
    return {
        "runs": [_run_document(run) for run in found.runs],
        "lines": [
            {
                "section": line.section,
                "name": line.name,
                "values": line.values,
                "differs": line.differs,
                "best": [found.runs[place].run for place in line.best],
            }
            for line in lines
        ],
    }


def _run_document(run: Compared) -> dict[str, Any]:
    return {
        "run": run.run,
        "name": run.name,
        "status": run.status,
        "started_at": run.started_at or None,
        "unpriced": run.cost.unpriced,
    }


@command("metrics", acts=False, tidies_up=True)
@click.argument("run_id", metavar="[ID]", required=False)
@click.option("--name", "names", metavar="NAME", multiple=True, help="Only this metric; may be repeated.")
@click.option("--plot", "plots", is_flag=True, help="Draw them.")
@click.option("--log", "logarithmic", is_flag=True, help="Draw with a logarithmic axis.")
def metrics(face: Face, run_id: str | None, names: Sequence[str], plots: bool, logarithmic: bool) -> None:
    """Show the metrics of a run over time, as numbers or drawn. Without ID those of the current run.

    \b
    Example:
      tracecraft run metrics 3fa9c1d2 --name loss --plot
    """
    from tracecraft.runs.inspecting import curves
    from tracecraft.runs.reading import read_meta

    run = find_run(face, run_id)
    read_meta(face.project, run)
    found = dict(sorted(curves(face.project, run, list(names)).items()))
    for name in names:
        if name not in found:
            face.project.say(f"{run} has no metric {name}")
    if plots or logarithmic:
        text = "\n".join(line for name, curve in found.items() for line in _plotted(name, curve, logarithmic))
    else:
        heads = ("METRIC", "LAST", "MIN", "MAX", "VALUES", "")
        text = fitted((_row(name, curve) for name, curve in found.items()), heads=heads)
    face.show({"run": run, "metrics": {n: _curve_document(c) for n, c in found.items()}}, text or "no metrics")


def _row(name: str, curve: Curve) -> tuple[object, ...]:
    values = [sample.value for sample in curve.samples]
    sparse = values[:: max(1, len(values) // 24)]
    numbers = map(show_number, (curve.last, curve.low, curve.high))
    return (name, *numbers, curve.count, sparkline(sparse, utf8=is_utf8()) if len(sparse) > 1 else "")


def _plotted(name: str, curve: Curve, logarithmic: bool) -> Iterator[str]:
    yield f"{one_line(name)}  {curve.count} values" + (", logarithmic" if logarithmic else "")
    width = min(terminal_width() or 80, 120)
    lines = plot(curve.points(), width=width, log=logarithmic, utf8=is_utf8())
    yield from lines or ["  nothing that can be drawn so"]


def _curve_document(curve: Curve) -> dict[str, Any]:
    return {
        "count": curve.count,
        "every": curve.stride,
        "points": [{"at": sample.at, "step": sample.step, "value": sample.value} for sample in curve.samples],
    }
