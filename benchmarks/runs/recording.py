"""What logging a record costs who logs it, how long it takes until the store has it, and in how much memory."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.measure import BenchmarkError, run

TARGETS = {"median_us": 50.0, "peak_mib": 120.0}
"""A call takes at most so long in the middle, and a process with any number of records needs so much memory."""

_ROOT = Path(__file__).parents[2]
_PROGRAM = "benchmarks.runs.programs.recorded"
_LIMIT = 900.0


@dataclass(frozen=True)
class Size:
    """How many records each process logs, and how often each is measured after one time that does not count."""

    records: tuple[int, ...]
    turns: int


FULL = Size(records=(1_000, 1_000_000), turns=5)
QUICK = Size(records=(100,), turns=1)


def main(folder: Path, size: Size) -> None:
    """Measure and keep the numbers."""
    measured = [
        {"records": records, "away": away, "runs": _turns(records, away, size.turns)}
        for records in size.records
        for away in (False, True)
    ]
    results.write(folder, "runs", {"size": asdict(size), "targets": TARGETS, "measured": measured})


def _turns(records: int, away: bool, turns: int) -> list[dict[str, Any]]:
    runs = [_measure(records, away) for _ in range(turns + 1)]
    return runs[1:]


def _measure(records: int, away: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tracecraft-bench-") as name:
        home = Path(name)
        told = home / "told"
        environment = {"HOME": name, "PATH": os.environ["PATH"], "PYTHONPATH": f"{_ROOT / 'src'}:{_ROOT}"}
        command = [sys.executable, "-m", _PROGRAM, name, str(records), str(int(away))]
        whole = run(command, env=environment, cwd=home, limit=_LIMIT, stdout=told)
        if whole.exceeded:
            raise BenchmarkError(f"logging {records} records took longer than {_LIMIT:.0f} s")
        last = told.read_text().splitlines()[-1]
        return {**json.loads(last), "seconds": whole.seconds, "exceeded": False}
