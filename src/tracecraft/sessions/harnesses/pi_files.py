"""Files of Pi's events: which session one is of, and where it was held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracecraft.sessions.lines import first_lines, parse

_HEADER_BYTES = 1 << 18


def header(path: Path) -> dict[str, Any]:
    """The first event of a file if it is a session's header, else nothing. Raises OSError."""
    first = parse(next(iter(first_lines(path, _HEADER_BYTES)), b""))
    return first if first is not None and first.get("type") == "session" else {}
