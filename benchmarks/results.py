"""The raw numbers of each part as a JSON file, and how several runs are told in one cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import facts

SCHEMA = 1


def write(folder: Path, part: str, measured: Mapping[str, Any]) -> Path:
    """Keep what a part measured, with what it ran on."""
    path = folder / f"{part}.json"
    folder.mkdir(parents=True, exist_ok=True)
    document = {"schema": SCHEMA, "part": part, "machine": facts(), **measured}
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def read(folder: Path, part: str) -> Any:
    """What a part measured last; None if it never ran."""
    path = folder / f"{part}.json"
    return json.loads(path.read_text()) if path.exists() else None


def spread(values: Sequence[float], digits: int) -> str:
    """Several runs in one cell: the median, then minimum and maximum where they differ."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), median(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"
