"""Drawing by hand: scales, panels with axes, and the few shapes the plots are made of, as SVG text.

Colours are CSS classes, so that the page decides them for light and dark. All text is escaped here.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

WIDTH = 960.0
Point = tuple[float, float]
Place = Callable[[float], float]
"""From a value to a position in the drawing."""

TITLE, LEFT, BOTTOM = 28.0, 66.0, 46.0
"""Room in a panel for its title, and for the ticks and names of its axes."""


@dataclass(frozen=True)
class Axis:
    """One direction of a panel: where its values lie between 0 and 1, which of them are marked, and what it tells."""

    name: str
    share: Callable[[float], float]
    ticks: Sequence[tuple[float, str]]


def time_axis(name: str, milliseconds: Iterable[float]) -> Axis:
    """Logarithmic, from the power of ten below the smallest time to the one above the largest.

    Few powers are marked at 1, 2 and 5 too, many only at every other.
    """
    positive = [value for value in milliseconds if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)) + 1e-9)
    span = max(1, high - low)
    steps = (1, 2, 5) if span <= 2 else (1,)
    marks = [step * 10.0**power for power in range(low, low + span) for step in steps] + [10.0 ** (low + span)]
    return Axis(
        name,
        lambda value: (math.log10(max(value, 10.0**low)) - low) / span,
        [(mark, time_text(mark)) for mark in marks[:: 2 if span > 4 else 1]],
    )


def linear_axis(name: str, highest: float, count: int = 4) -> Axis:
    """From 0 to a round number at or above the highest value."""
    rough = max(highest, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    top = step * math.ceil(highest / step - 1e-9) or step
    marks = [step * n for n in range(round(top / step) + 1)]
    return Axis(name, lambda value: value / top, [(mark, number(mark)) for mark in marks])


def category_axis(name: str, labels: Sequence[str]) -> Axis:
    """Equal places for labels; value n is the middle of the n-th."""
    return Axis(name, lambda value: (value + 0.5) / len(labels), [(float(n), text) for n, text in enumerate(labels)])


def time_text(milliseconds: float) -> str:
    """A time in a unit that suits it."""
    if milliseconds >= 1000:
        return f"{number(milliseconds / 1000)} s"
    return f"{number(milliseconds)} ms"


def number(value: float) -> str:
    """A number as short as it stays exact enough: 1,200 and 12.5 and 0.05."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


@dataclass(frozen=True)
class Panel:
    """One plot of a figure: its outer corner and size, and its axes."""

    left: float
    top: float
    width: float
    height: float
    title: str
    across: Axis
    up: Axis

    def x(self, value: float) -> float:
        return self.left + LEFT + self.across.share(value) * (self.width - LEFT - 12)

    def y(self, value: float) -> float:
        return self.top + self.height - BOTTOM - self.up.share(value) * (self.height - BOTTOM - TITLE)

    def frame(self) -> str:
        """Title, grid, ticks and names."""
        left, right = self.left + LEFT, self.left + self.width - 12
        floor, ceiling = self.top + self.height - BOTTOM, self.top + TITLE
        middle = (floor + ceiling) / 2
        parts = [text(self.left + self.width / 2, self.top + 14, self.title, "panel-title", "middle")]
        for value, label in self.up.ticks:
            parts.append(line((left, self.y(value)), (right, self.y(value)), "grid"))
            parts.append(text(left - 6, self.y(value) + 4, label, "tick", "end"))
        for value, label in self.across.ticks:
            parts.append(line((self.x(value), floor), (self.x(value), floor + 4), "axis"))
            parts.append(text(self.x(value), floor + 17, label, "tick", "middle"))
        parts.append(line((left, floor), (right, floor), "axis"))
        parts.append(text((left + right) / 2, floor + 36, self.across.name, "axis-name", "middle"))
        turned = f' transform="rotate(-90 {self.left + 13:.1f} {middle:.1f})"'
        parts.append(text(self.left + 13, middle, self.up.name, "axis-name", "middle", turned))
        return "".join(parts)


def row_of_panels(count: int, height: float, top: float = 0.0) -> list[tuple[float, float, float, float]]:
    """Corners and sizes of so many panels side by side."""
    width = WIDTH / max(1, count)
    return [(n * width, top, width, height) for n in range(count)]


def figure(height: float, parts: Iterable[str], label: str) -> str:
    """A whole drawing; `label` tells it to those who do not see it."""
    return f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def text(x: float, y: float, content: str, css: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}"{more}>{escape(content)}</text>'


def line(start: Point, end: Point, css: str) -> str:
    return f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" class="{css}"/>'


def path(points: Sequence[Point], css: str) -> str:
    """A line through points; those that would not move it by a pixel are left out."""
    kept: list[Point] = []
    for n, point in enumerate(points):
        if n in (0, len(points) - 1) or abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) >= 1.0:
            kept.append(point)
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in kept)}" class="line {css}"/>'


def dot(at: Point, css: str, told: str, size: float = 3.5) -> str:
    """A point that says `told` when it is pointed at."""
    return (
        f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{size:g}" class="{css}"><title>{escape(told)}</title></circle>'
    )


def bar(left: float, top: float, width: float, height: float, css: str, told: str) -> str:
    title = f"<title>{escape(told)}</title>"
    place = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(0.0, height):.1f}"'
    return f'<rect {place} class="{css}">{title}</rect>'


def escape(content: object) -> str:
    """Text for HTML and its attributes, without control characters."""
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(content))
    return html.escape(shown, quote=True)
