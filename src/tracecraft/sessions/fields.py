"""Fields of records that may hold anything: what has the wrong type is as good as absent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_MOST = 1 << 53


def record(value: Any, *path: str) -> dict[str, Any]:
    """The object at the end of a path of names; empty when there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def records(value: Any) -> Sequence[dict[str, Any]]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def count(value: Any) -> int:
    """A number of things: never negative, never more than every reader of JSON can hold."""
    number = value if type(value) is int else _whole(value)
    return number if 0 <= number <= _MOST else min(max(0, number), _MOST)


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, float) and math.isfinite(value) else 0


def dollars(value: Any) -> float | None:
    if type(value) is not float and type(value) is not int:
        return None
    return float(value) if 0 <= value <= _MOST else None
