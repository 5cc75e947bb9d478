"""When runs began and ended, and how long they took."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from tracecraft import clock

if TYPE_CHECKING:
    from tracecraft.runs.rows import Row


@lru_cache(maxsize=1 << 16)
def seconds_of(text: str) -> float | None:
    """A time as records have it, in seconds since 1970; None for what is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def duration_of(row: Row) -> float | None:
    """Seconds that a run took. One that goes on has taken them until now, a stale one until its last line."""
    return duration(row.head.started_at, row.head.ended_at, row.status, row.summary.last)


def duration(started_at: str, ended_at: str, status: str, last: float) -> float | None:
    """The same of any run; `last` is the time of its last line."""
    began = seconds_of(started_at)
    if began is None:
        return None
    ended = seconds_of(ended_at) if status != "running" else clock.now_ns() / 1e9
    return max(0.0, (ended if ended is not None else last or began) - began)
