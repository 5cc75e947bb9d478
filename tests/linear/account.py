"""Tells a person why a history is not linearizable: the fewest operations that are not, in the order of their calls."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.linear.checker import Verdict, check
from tests.linear.history import Operation
from tests.linear.models import Model, only_looks


def account(history: Sequence[Operation], model: Model) -> str:
    """A table of the operations that cannot be explained together; times are in milliseconds."""
    fewest = smallest_part(history, model)
    began = min(operation.called for operation in fewest)
    rows = [_row(operation, began) for operation in fewest]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([f"{fewest[0].subject}: no order of these explains every answer", *lines])


def smallest_part(history: Sequence[Operation], model: Model) -> list[Operation]:
    """The shortest beginning that is not linearizable, without what it does not need.

    Leaving out reads and refusals never makes a good history bad: they change nothing.
    """
    part = _shortest_beginning(history, model)
    for operation in list(part):
        without = [other for other in part if other is not operation]
        if only_looks(operation) and _impossible(without, model):
            part = without
    return part


def _shortest_beginning(history: Sequence[Operation], model: Model) -> list[Operation]:
    """What was known when the first answer came that cannot be explained."""
    moments = sorted(operation.returned for operation in history if operation.known)
    low, high = 0, len(moments) - 1
    while low < high:
        middle = (low + high) // 2
        if _impossible(_until(history, moments[middle]), model):
            high = middle
        else:
            low = middle + 1
    return _until(history, moments[high])


def _until(history: Sequence[Operation], moment: float) -> list[Operation]:
    """The history as it stood at a moment: what had not returned was in doubt."""
    return [
        operation
        if operation.returned <= moment
        else replace(operation, returned=math.inf, answer=None, why="still under way")
        for operation in history
        if operation.called <= moment
    ]


def _impossible(history: Sequence[Operation], model: Model) -> bool:
    return check(history, model) is Verdict.IMPOSSIBLE


def _row(operation: Operation, began: float) -> Sequence[str]:
    ended = f"{(operation.returned - began) * 1e3:.1f}" if operation.known else "..."
    answer = " ".join(_text(part) for part in operation.answer or () if part != "")
    return (
        f"{(operation.called - began) * 1e3:10.1f}",
        f"- {ended}",
        operation.name,
        _call(operation.action),
        f"-> {answer}" if operation.known else f"-> ? ({operation.why})",
        "(sent more than once)" if operation.repeats else "",
    )


def _call(action: Mapping[str, Any]) -> str:
    given = [f"{name}={_text(value)}" for name, value in action.items() if name not in ("do", "agent")]
    return f"{action['do']}({', '.join(given)})"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
