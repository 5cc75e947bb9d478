"""Runs beside MLflow's file store and trackio: the same data logged and read back by each, in turns, in one go.

What is compared is when everything given is in the store, for another process to read. Beside that each keeps to its
own way: ours logs in a background thread, takes secrets out, and syncs every file and folder to the disk; MLflow writes
a file for each metric in the caller's call, without a sync; trackio commits to SQLite in a background thread, with a
write-ahead log that is synced now and then.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import programs, results
from benchmarks.measure import BenchmarkError, run

TARGET = 3.0
"""How many times faster than either ours is to be."""

_ROOT = Path(__file__).parents[2]
_INSTALLED = _ROOT / ".venv-trackers" / "bin" / "python"
_PROGRAMS = "benchmarks.runs.programs"
_LIMIT = 1800.0


@dataclass(frozen=True)
class Size:
    """So many points are logged and so many runs read back, `turns` times by each after one that does not count."""

    points: int
    runs: int
    turns: int


FULL = Size(points=100_000, runs=1000, turns=5)
QUICK = Size(points=100, runs=3, turns=1)


@dataclass(frozen=True)
class Tracker:
    """A tracker: its name with its version, the Python that has it, and the program that uses it."""

    name: str
    python: Path
    program: str

    def do(self, home: Path, *arguments: str) -> dict[str, Any]:
        """Run the program to its end: what it tells, with time and memory of the whole process."""
        told = home / "told"
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT)}
        command = [str(self.python), "-m", f"{_PROGRAMS}.{self.program}", *arguments]
        whole = run(command, env=environment, cwd=home, limit=_LIMIT, stdout=told)
        if whole.exceeded:
            raise BenchmarkError(f"{self.name}: {' '.join(arguments)} took longer than {_LIMIT:.0f} s")
        known = json.loads(told.read_text().splitlines()[-1])
        return {**known, "whole_seconds": whole.seconds, "peak_kib": whole.peak_kib, "exceeded": False}


def main(folder: Path, size: Size) -> Path:
    """Measure, and write trackers.json into `folder`."""
    with tempfile.TemporaryDirectory(prefix="tracecraft-trackers-") as name:
        trackers = _trackers(quick=size is QUICK)
        measured = [*_logging(trackers, Path(name), size), *_reading(trackers, Path(name), size)]
    named = {"trackers": [tracker.name for tracker in trackers], "target": TARGET, "size": asdict(size)}
    return results.write(folder, "trackers", {**named, "measured": measured})


def _logging(trackers: Sequence[Tracker], root: Path, size: Size) -> list[dict[str, Any]]:
    shapes = [(size.points // 10, 10), (size.points, 1)]
    return [
        _in_turns(trackers, root, size, f"log {calls:,} times {values}", ("log", str(calls), str(values)), fresh=True)
        for calls, values in shapes
    ]


def _reading(trackers: Sequence[Tracker], root: Path, size: Size) -> list[dict[str, Any]]:
    for tracker in trackers:
        tracker.do(_home(root, tracker), "seed", str(root / f"seed-{trackers.index(tracker)}"), str(size.runs))
    return [
        _in_turns(trackers, root, size, f"read {size.runs:,} runs: {told}", (what,), fresh=False)
        for what, told in (("table", "params and last values"), ("points", "every value"))
    ]


def _in_turns(
    trackers: Sequence[Tracker], root: Path, size: Size, name: str, arguments: Sequence[str], *, fresh: bool
) -> dict[str, Any]:
    """Everybody does the same, one after the other, again and again. What they give back must be the same."""
    runs: dict[str, list[dict[str, Any]]] = {tracker.name: [] for tracker in trackers}
    what, *numbers = arguments
    for turn in range(size.turns + 1):
        for number, tracker in enumerate(trackers):
            store = tempfile.mkdtemp(dir=root) if fresh else str(root / f"seed-{number}")
            done = tracker.do(_home(root, tracker), what, store, *numbers)
            if turn:
                runs[tracker.name].append(done)
    given = {(done["number"], done["sum"]) for known in runs.values() for done in known}
    if len(given) != 1:
        raise BenchmarkError(f"{name}: not everybody did the same: {runs}")
    print(f"  {name}", flush=True)
    return {"name": name, "runs": runs}


def _home(root: Path, tracker: Tracker) -> Path:
    home = root / f"home-{tracker.program}"
    home.mkdir(exist_ok=True)
    return home


def _trackers(*, quick: bool) -> list[Tracker]:
    """Ours, then the others. A quick run makes do without those that are not installed."""
    ours = programs.ours(quick=quick).with_name("python")
    theirs = Path(os.environ.get("TRACECRAFT_BENCH_TRACKERS") or _INSTALLED)
    found = [_tracker("tracecraft {}", "tracecraft-ai", ours, "with_ours")]
    if theirs.is_file():
        found.append(_tracker("MLflow {} (file store)", "mlflow", theirs, "with_mlflow"))
        found.append(_tracker("trackio {}", "trackio", theirs, "with_trackio"))
    elif not quick:
        raise BenchmarkError(f"{theirs} is missing: run `make bench`")
    return found


def _tracker(name: str, package: str, python: Path, program: str) -> Tracker:
    command = [str(python), "-c", f"from importlib.metadata import version; print(version({package!r}))"]
    version = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    return Tracker(name.format(version), python, program)
