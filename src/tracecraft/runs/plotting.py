"""Draws numbers in a terminal: a sparkline in a row of a table, a curve on a grid of braille dots.

Where the terminal has no UTF-8, both are drawn in plain ASCII.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

_BLOCKS = "▁▂▃▄▅▆▇█"
_LEVELS = "_.-=+*#@"
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_DOTS_WIDE, _DOTS_HIGH = 2, 4


class Point(NamedTuple):
    x: float
    y: float


def sparkline(values: Sequence[float], *, utf8: bool = True) -> str:
    """One character for each value, higher for larger ones. What is no number is a blank."""
    levels = _BLOCKS if utf8 else _LEVELS
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return " " * len(values)
    low, high = min(finite), max(finite)
    return "".join(_level(value, low, high, levels) for value in values)


def plot(
    points: Sequence[Point], *, width: int = 72, height: int = 12, log: bool = False, utf8: bool = True
) -> list[str]:
    """The lines of a plot, with the axes' ends beside it. With `log` the y axis is logarithmic.

    What cannot be drawn is left out: what is no number, and on a logarithmic axis what is not above 0. No lines where
    nothing is left.
    """
    scale: Callable[[float], float] = math.log10 if log else float
    known = [
        point for point in points if math.isfinite(point.x) and math.isfinite(point.y) and (point.y > 0 or not log)
    ]
    if not known:
        return []
    low, high = min(point.y for point in known), max(point.y for point in known)
    left, right = min(point.x for point in known), max(point.x for point in known)
    names = [show_number(high), show_number(low)]
    margin = max(map(len, names))
    width = max(8, width - margin - 3)
    canvas = _Canvas(width, height, utf8=utf8)
    placed = sorted(
        (canvas.column(_part(point.x, left, right)), canvas.row(_part(scale(point.y), scale(low), scale(high))))
        for point in known
    )
    canvas.draw(placed)
    bar, corner, floor = ("│", "└", "─") if utf8 else ("|", "+", "-")
    drawn = canvas.lines()
    lines = [
        f"{(names[0] if n == 0 else names[1] if n == height - 1 else '').rjust(margin)} {bar}{line}".rstrip()
        for n, line in enumerate(drawn)
    ]
    ends = show_number(left), show_number(right)
    return [
        *lines,
        f"{' ' * margin} {corner}{floor * width}",
        f"{' ' * (margin + 2)}{ends[0]}{ends[1].rjust(max(1, width - len(ends[0])))}",
    ]


def show_number(value: float) -> str:
    """A number in few characters, as exact as that allows."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e9:
        return str(int(value))
    return f"{value:.4g}"


class _Canvas:
    """Dots on a grid of characters."""

    def __init__(self, width: int, height: int, *, utf8: bool) -> None:
        self._wide, self._high = (_DOTS_WIDE, _DOTS_HIGH) if utf8 else (1, 1)
        self._utf8 = utf8
        self._columns, self._rows = width * self._wide, height * self._high
        self._cells = [[0] * width for _ in range(height)]

    def column(self, part: float) -> int:
        return min(self._columns - 1, round(part * (self._columns - 1)))

    def row(self, part: float) -> int:
        """Counted from the top."""
        return self._rows - 1 - min(self._rows - 1, round(part * (self._rows - 1)))

    def draw(self, placed: Sequence[tuple[int, int]]) -> None:
        """Dots, joined by lines where they are in neighbouring columns or apart."""
        before = placed[0]
        for column, row in placed:
            steps = max(abs(column - before[0]), abs(row - before[1]), 1)
            for step in range(steps + 1):
                self._dot(
                    before[0] + round((column - before[0]) * step / steps),
                    before[1] + round((row - before[1]) * step / steps),
                )
            before = (column, row)

    def lines(self) -> list[str]:
        return ["".join(map(self._character, cells)).rstrip() for cells in self._cells]

    def _dot(self, column: int, row: int) -> None:
        dot = _DOTS[row % self._high][column % self._wide] if self._utf8 else 1
        self._cells[row // self._high][column // self._wide] |= dot

    def _character(self, dots: int) -> str:
        if not dots:
            return " "
        return chr(_BRAILLE + dots) if self._utf8 else "*"


def _level(value: float, low: float, high: float, levels: str) -> str:
    if not math.isfinite(value):
        return " "
    return levels[min(len(levels) - 1, int(_part(value, low, high) * len(levels)))]


def _part(value: float, low: float, high: float) -> float:
    """How far a value is on the way from the lowest to the highest; in the middle where they are one."""
    # Halves, for the difference of two large numbers need not be a number.
    return 0.5 if low == high else (value / 2 - low / 2) / (high / 2 - low / 2)
