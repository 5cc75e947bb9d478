"""One thing that happened, as a replay shows it: when, in whose lane, what, and what it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from tracecraft.replay.state import Change

Kind = Literal[
    "agent",
    "claim",
    "refusal",
    "done",
    "blocked",
    "review",
    "release",
    "declare",
    "memory",
    "message",
    "read",
    "artifact",
    "session",
    "said",
    "run",
    "span",
    "metric",
    "usage",
    "note",
    "param",
    "text",
    "upkeep",
    "gap",
]
"""What sort of thing it is; a replay can leave sorts out."""


class Happening(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened at a time, in seconds since 1970 by the store's clock, in an agent's `lane`.

    An empty lane is that of the run, or of the project. `to` is the lane that an arrow leads to; `until` is when what
    began here ended, as far as that is known. `bad` marks failures, refusals and blocks. `changes` are those of the
    state; they may be of several events where not all are shown.
    """

    at: float
    lane: str
    kind: Kind
    title: str
    to: str = ""
    until: float | None = None
    bad: bool = False
    run: str = ""
    span: str = ""
    details: Mapping[str, Any] = {}
    changes: Sequence[Change] = ()


_MOST_TEXT = 4000


def excerpt(value: Any, most: int = _MOST_TEXT) -> Any:
    """A value that may be shown: long texts cut, and long lists and objects too."""
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]}... ({len(value) - most} more characters)"
    if isinstance(value, dict | list | tuple):
        encoded = msgspec.json.encode(value)
        if len(encoded) <= 2 * most:
            return value
        return excerpt(encoded.decode(errors="replace"), most)
    return value


def in_line(text: Any, most: int = 120) -> str:
    """The beginning of something on one line."""
    told = text if isinstance(text, str) else msgspec.json.encode(text).decode(errors="replace")
    words = " ".join(told[: 4 * most].split())
    return words if len(words) <= most else words[: most - 3] + "..."
