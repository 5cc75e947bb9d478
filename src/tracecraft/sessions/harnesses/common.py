"""What several harnesses need to read their records and to find their folders."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import msgspec

from tracecraft import clock
from tracecraft.sessions.fields import text
from tracecraft.sessions.harness import Machine

_TIME = re.compile(r"\d\d\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_LARGEST = 2**53
"""The largest number that every reader of JSON keeps exactly."""


def number(value: Any) -> float | int | None:
    """A finite number that is not negative, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if value >= 0 and (isinstance(value, int) or math.isfinite(value)) else None


def moment(value: Any, per_second: int = 1000) -> str:
    """A time as RFC 3339: from such a text, or from a number since 1970 in parts of a second; else nothing."""
    if isinstance(value, str):
        return value if _TIME.fullmatch(value) else ""
    amount = number(value)
    if not amount or amount > _LARGEST:
        return ""
    try:
        return clock.iso(amount / per_second)
    except (ValueError, OverflowError, OSError):
        return ""


def json_in(value: Any) -> Any:
    """What a text means as JSON; anything else, and a text that is no JSON, as it is."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return value


def parts_text(content: Any, kinds: tuple[str, ...] = ("text",)) -> str:
    """The text of a message whose content is one, or a list of parts of which some are."""
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") in kinds]
        return "\n".join([text(part.get("text")) for part in parts])
    return text(content)


def same_folder(cwd: str, wanted: Path | None) -> bool:
    """Whether a session of the folder `cwd` is among those that are wanted; all are where None is."""
    return wanted is None or ("\0" not in cwd and cwd != "" and os.path.realpath(cwd) == os.path.realpath(wanted))


def folder(machine: Machine, variable: str, *default: str) -> Path:
    """The folder that an environment variable names, else one in the home folder."""
    named = machine.environ.get(variable, "").strip()
    if not named:
        return machine.home.joinpath(*default)
    return machine.home / named[2:] if named.startswith("~/") else Path(named)
