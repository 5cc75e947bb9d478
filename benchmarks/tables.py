"""docs/performance.md out of the raw numbers: every figure in that page comes from the JSON files of the parts."""

from __future__ import annotations

from pathlib import Path

from benchmarks import (
    results,
    table_recording,
    table_redaction,
    table_scale,
    table_sessions,
    table_speed,
    table_trackers,
    table_waiters,
)
from benchmarks.machine import sentence

PARTS = {
    "speed": table_speed.section,
    "waiters": table_waiters.section,
    "scale": table_scale.section,
    "sessions": table_sessions.section,
    "runs": table_recording.section,
    "trackers": table_trackers.section,
    "redaction": table_redaction.section,
}

_HEAD = """\
# Performance

Written by `make bench` from the raw numbers in `benchmarks/results/`: do not edit it. Where several runs were made, a
cell has their median, then minimum and maximum.
"""


def page(folder: Path) -> str:
    """The page, with a section for each part whose numbers are in `folder`."""
    sections = [
        "\n".join([*section(measured), sentence(measured["machine"]), ""])
        for part, section in PARTS.items()
        if (measured := results.read(folder, part)) is not None
    ]
    return "\n".join([_HEAD, *sections])
