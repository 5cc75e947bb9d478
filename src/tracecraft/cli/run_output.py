"""What the commands that show runs share: how values, costs and times of runs are told, and columns that fit."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft.cli.output import one_line, table
from tracecraft.clock import show_duration
from tracecraft.runs.plotting import show_number

if TYPE_CHECKING:
    from tracecraft.runs.cost import Cost, Share
    from tracecraft.runs.summary import Summary

_NARROWEST = 8


def terminal_width() -> int | None:
    """Columns of the terminal, or what COLUMNS says; None where nobody reads this on a terminal."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return max(40, shutil.get_terminal_size().columns)
    return None


def is_utf8() -> bool:
    """Whether standard output takes more than ASCII."""
    return (sys.stdout.encoding or "").replace("-", "").lower() == "utf8"


def fitted(rows: Iterable[Sequence[object]], *, heads: Sequence[str], whole: int = 1) -> str:
    """A table as wide as the terminal at most. The first `whole` columns are never cut; what does not fit at all is
    left out, the last column first."""
    lines = [list(heads), *([one_line(cell) for cell in row] for row in rows)]
    room = terminal_width()
    if room is not None:
        widths = _narrowed([max(map(len, column)) for column in zip(*lines, strict=True)], room, whole)
        lines = [[short(cell, at_most) for cell, at_most in zip(line, widths, strict=False)] for line in lines]
    return table(lines[1:], heads=lines[0])


def _narrowed(widths: list[int], room: int, whole: int) -> list[int]:
    """The widths of the columns that stay."""
    least = [width if place < whole else min(width, _NARROWEST) for place, width in enumerate(widths)]
    while len(least) > 1 and sum(least) + 2 * (len(least) - 1) > room:
        least.pop()
    widths = widths[: len(least)]
    while sum(widths) + 2 * (len(widths) - 1) > room and widths != least:
        widest = max(range(len(widths)), key=lambda place: widths[place] - least[place])
        widths[widest] -= 1
    return widths


def short(text: str, at_most: int) -> str:
    """Text of so many characters at most."""
    return text if len(text) <= at_most else text[: max(0, at_most - 3)] + "..."


def show_value(value: Any) -> str:
    """A value of a param, or of an input or output: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return show_number(value) if isinstance(value, float) else msgspec.json.encode(value).decode()


def show_seconds(seconds: float | None) -> str:
    """A duration in a column, exact while it is short."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.1f}s" if seconds < 59.95 else show_duration(seconds)


def show_cost(share: Share) -> str:
    """A cost in a column; nothing where nothing was used."""
    if share.dollars is None:
        return "unpriced" if share.unpriced else ""
    told = f"${share.dollars:.2f}" if share.dollars >= 0.01 or not share.dollars else f"${share.dollars:.4f}"
    return told + (" + unpriced" if share.unpriced else "")


def share_document(share: Share) -> dict[str, Any]:
    """A part of a cost for machines: null is not known, which is never the same as nothing."""
    return {"usd": share.dollars, "reported": share.reported, "computed": share.computed, "unpriced": share.unpriced}


def cost_document(cost: Cost) -> dict[str, Any]:
    """What a whole run cost, and who says so."""
    return {**share_document(cost), "source": cost.source}


def params_document(summary: Summary) -> dict[str, Any]:
    return {name: given.value for name, given in sorted(summary.params.items())}


def metrics_document(summary: Summary) -> dict[str, float]:
    return {name: metric.last for name, metric in sorted(summary.metrics.items())}


def facts(told: Mapping[str, str]) -> list[str]:
    """Names and what is told of them, a line each; nothing for what is empty."""
    known = {name: text for name, text in told.items() if text}
    margin = max(map(len, known), default=0)
    return [f"{name.ljust(margin)}  {one_line(text)}" for name, text in known.items()]
