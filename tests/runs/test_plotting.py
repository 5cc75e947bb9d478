"""Numbers drawn in a terminal."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tracecraft.runs.plotting import Point, plot, show_number, sparkline

FLOATS = st.floats(allow_nan=True, allow_infinity=True)


def test_sparklines() -> None:
    assert sparkline([1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, 8], utf8=False) == "_@"
    assert sparkline([5, 5, 5]) == "▅▅▅"
    assert sparkline([1, math.nan, math.inf, 2]) == "▁  █"
    assert sparkline([]) == ""


def test_a_line_goes_from_corner_to_corner() -> None:
    drawn = plot([Point(0, 0), Point(10, 100)], width=30, height=5, utf8=False)
    assert drawn[0].startswith("100 |")
    assert drawn[0].endswith("*")
    assert drawn[4].startswith("  0 |*")
    assert drawn[6].split() == ["0", "10"]
    assert len(drawn) == 7


def test_a_logarithmic_axis_makes_a_line_of_a_power() -> None:
    points = [Point(x, 10.0**x) for x in range(9)]
    straight = plot([Point(x, x) for x in range(9)], width=40, height=8, utf8=False)
    drawn = plot(points, width=40, height=8, log=True, utf8=False)
    body = [line.split("|")[1] for line in drawn[:8]]
    assert [line.strip() for line in body] != [""] * 8
    assert all("*" in line for line in body)
    assert all("*" in line for line in straight[:8])


def test_what_cannot_be_drawn() -> None:
    assert plot([]) == []
    assert plot([Point(1, math.nan)]) == []
    assert plot([Point(1, 0), Point(2, -1)], log=True) == []
    assert len(plot([Point(1, 5)])) == 14


@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=50), st.booleans(), st.booleans(), st.integers(40, 90))
def test_any_numbers_fit(points: list[tuple[float, float]], log: bool, utf8: bool, width: int) -> None:
    drawn = plot([Point(x, y) for x, y in points], width=width, log=log, utf8=utf8)
    assert len(drawn) in (0, 14)
    assert all(len(line) <= width for line in drawn)
    assert len(sparkline([y for _, y in points], utf8=utf8)) == len(points)


@given(FLOATS)
def test_numbers_are_short(value: float) -> None:
    assert len(show_number(value)) <= 11
