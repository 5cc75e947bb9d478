"""Times and durations as people write them, and clocks that do not run back."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecraft import clock
from tracecraft.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("0", 0), ("1.5", 1.5), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172800), ("1w", 604800),
     ("250ms", 0.25), ("1d2h3m4s", 93784), ("0.5h", 1800)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert clock.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "s", "5 m", "-5", "-5m", "5x", "1e3", "inf", "nan", "5m3", "m5", "1:30", "0x5"]
)
def test_what_is_no_duration(text: str) -> None:
    assert not clock.is_duration(text)
    with pytest.raises(UsageError, match="not a duration"):
        clock.duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0, "0s"), (45, "45s"), (119.4, "119s"), (120, "2m"), (3600, "1h"), (5400, "90m"), (7200, "2h"),
     (11100, "3h05m"), (86400, "24h"), (187200, "2d4h"), (172800, "2d")],
)  # fmt: skip
def test_durations_for_people(seconds: float, text: str) -> None:
    assert clock.show_duration(seconds) == text


@given(st.integers(0, 10**8))
def test_a_shown_duration_can_be_read_back(seconds: int) -> None:
    shown = clock.duration(clock.show_duration(seconds))
    assert shown == pytest.approx(seconds, abs=max(60.0, seconds * 0.03))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-01", datetime(2026, 5, 1, tzinfo=UTC)),
        ("2026-05-01T12:30:00", datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),
        ("2026-05-01T12:30:00+02:00", datetime(2026, 5, 1, 10, 30, tzinfo=UTC)),
        ("2026-05-01T12:30:00Z", datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),
    ],
)
def test_points_in_time(text: str, moment: datetime) -> None:
    assert clock.parse_time(text) == moment.timestamp()


def test_so_long_ago() -> None:
    before = time.time()
    found = clock.parse_time("2h")
    assert before - 7200 <= found <= time.time() - 7200


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "12:30", "", "2026-05-01T25:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError):
        clock.parse_time(text)


@given(st.floats(0, 4e9))
def test_a_time_written_can_be_read(seconds: float) -> None:
    text = clock.iso(seconds)
    assert text.endswith("+00:00")
    assert clock.parse_time(text) == pytest.approx(seconds, abs=1e-5)


def test_elapsed_never_runs_back() -> None:
    readings = [clock.elapsed() for _ in range(1000)]
    assert readings == sorted(readings)


def test_deadlines() -> None:
    assert clock.Deadline(None).left is None
    assert not clock.Deadline(None).passed
    assert clock.Deadline(0).passed
    assert clock.Deadline(0).left == 0
    far = clock.Deadline(1000)
    assert not far.passed
    assert far.left is not None
    assert 0 < far.left <= 1000


def test_a_pace_slows_down_and_quickens_again(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    pace = clock.Pace(1.0, 30.0)
    for _ in range(20):
        pace.sleep()
    assert 0.9 <= slept[0] <= 1.1
    assert 1.3 <= slept[1] <= 1.7
    assert all(27 <= length <= 33 for length in slept[-5:])
    pace.changed()
    pace.sleep()
    assert 0.9 <= slept[-1] <= 1.1
    pace.sleep(at_most=0.25)
    pace.sleep(at_most=-1)
    assert slept[-2:] == [0.25, 0.0]
