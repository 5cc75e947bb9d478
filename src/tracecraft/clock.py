"""Time: wall time for people and keys, elapsed time for deadlines, and durations as people write them.

Two machines' clocks are never compared with each other. Ages are differences of two `last_modified` values of
one store; deadlines inside a process use `elapsed`, which keeps running while the machine sleeps.
"""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime

from tracecraft.errors import UsageError

# macOS: CLOCK_MONOTONIC_RAW goes on during sleep (clock_gettime(3)); time.monotonic() does not.
_ELAPSED = (
    time.CLOCK_MONOTONIC_RAW if sys.platform == "darwin" else getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
)

LONGEST = 10 * 366 * 86400.0
"""Seconds of the longest duration that is taken."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+|\d+(?:\.\d+)?")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)?")


def now_ns() -> int:
    """This machine's wall time in nanoseconds. It orders keys; it decides nothing."""
    return time.time_ns()


def now() -> str:
    """This machine's wall time as ISO 8601 in UTC."""
    return iso(now_ns() / 1e9)


def iso(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def parse_time(text: str) -> float:
    """A point in time as seconds since 1970: ISO 8601 (UTC where it names no zone), or a duration ago (`2h`)."""
    if is_duration(text):
        return now_ns() / 1e9 - duration(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"not a time: {text!r}", hint="write 2026-05-01, 2026-05-01T12:30:00+00:00, or how long ago: 2h"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def elapsed() -> float:
    """Seconds on a clock that only moves forward and runs on during suspend. Compare only within one boot."""
    return time.clock_gettime(_ELAPSED)


def is_duration(text: str) -> bool:
    return _DURATION.fullmatch(text) is not None


def duration(text: str) -> float:
    """Seconds in `90`, `90s`, `5m`, `1h30m`, `2d`."""
    if not is_duration(text):
        raise UsageError(f"not a duration: {text!r}", hint="write seconds or units: 90, 90s, 5m, 1h30m, 2d")
    seconds = sum(float(number) * _UNITS[unit or "s"] for number, unit in _PART.findall(text))
    if seconds > LONGEST:
        raise UsageError(f"{text} is too long", hint="at most ten years")
    return seconds


def show_duration(seconds: float) -> str:
    """A duration in one or two units, for people: `45s`, `12m`, `3h05m`, `2d4h`."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if hours < 2 and minutes % 60:
        return f"{minutes}m"
    if days < 2:
        return f"{hours}h{minutes % 60:02d}m" if minutes % 60 else f"{hours}h" if hours else f"{minutes}m"
    return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"


def jitter(low: float, high: float) -> float:
    """A number between the two, so that those who wait do not come back all at once."""
    from random import uniform  # few commands ever wait

    return uniform(low, high)


class Pace:
    """How long a watcher sleeps between two looks.

    `fast` seconds while things happen and for `keen` seconds after, then half as much again each time, up to `slow`.
    """

    def __init__(self, fast: float, slow: float, keen: float = 0.0) -> None:
        self._fast = fast
        self._slow = slow
        self._keen = keen
        self.changed()

    def changed(self) -> None:
        """Something happened: look often again."""
        self._next = self._fast
        self._keen_until = elapsed() + self._keen

    def sleep(self, at_most: float | None = None) -> None:
        """Sleep one interval with a tenth of jitter, but not longer than `at_most` seconds."""
        length = self._next * jitter(0.9, 1.1)
        if elapsed() >= self._keen_until:
            self._next = min(self._next * 1.5, self._slow)
        self._wait(length if at_most is None else max(0.0, min(length, at_most)))

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds)


class Deadline:
    """A point `seconds` ahead on the elapsed clock; without a number, never."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else elapsed() + seconds

    @property
    def left(self) -> float | None:
        """Seconds left, at least 0; None means for ever."""
        return None if self._at is None else max(0.0, self._at - elapsed())

    @property
    def passed(self) -> bool:
        return self._at is not None and elapsed() >= self._at
