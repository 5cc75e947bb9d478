"""The command line with `gc` as it would act in 40 days: `python -m tests.faults.later COMMAND...`.

Objects in a bucket cannot be made older, so what was just written is judged by a time to come.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from tracecraft.cli.app import run
from tracecraft.gc import DAY, Gc


def in_forty_days() -> float:
    return time.time() + 40 * DAY


def run_later(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    (Gc.collect.__kwdefaults__ or {})["now"] = in_forty_days()
    return run(arguments)


if __name__ == "__main__":
    sys.exit(run_later(sys.argv[1:]))
