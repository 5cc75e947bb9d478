"""How large a test is: a tenth or less in `make test`, full size under TRACECRAFT_SIZE=full, which `make soak` sets.

What a test measured goes to the file that TRACECRAFT_FIGURES names, one JSON object a line, from which `make soak`
makes docs/soak.md.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

FULL = os.environ.get("TRACECRAFT_SIZE") == "full"

Figures = dict[str, int | float | str]


def size(full: int, small: int | None = None) -> int:
    """How many of something: `full` of them, or in `make test` as many as `small` says, else a tenth."""
    return full if FULL else small if small is not None else max(1, full // 10)


@contextmanager
def measured(test: str, store: str) -> Iterator[Figures]:
    """Takes what the block counts, adds the seconds it took, and keeps both if the block succeeds."""
    figures: Figures = {}
    began = time.monotonic()
    yield figures
    keep(test, store, **figures, seconds=round(time.monotonic() - began, 1))


def keep(test: str, store: str, **figures: int | float | str) -> None:
    """Write figures down where somebody asked for them."""
    path = os.environ.get("TRACECRAFT_FIGURES")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"test": test, "store": store, **figures}) + "\n")
