"""What waiting costs: how late waiters wake, and how many requests they make while nothing happens."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import idling, programs, results
from benchmarks.programs import Place
from benchmarks.wakeup import TRIALS, Setting, idle_latencies, latencies, random_pauses
from tests.support.servers import SERVERS, make_bucket

TARGETS = {"folder": 0.1, "Ceph": 1.5}
"""Seconds of latency: on a folder, and on a bucket while the project is active."""


@dataclass(frozen=True)
class Size:
    """How much is measured: trials of each kind, the longest pause before a write, the idleness of the late trials in
    seconds, and what the counting of requests takes (see idling.py)."""

    trials: int
    longest_pause: float
    idle_trials: int
    idle: float
    first: float
    looks: int
    active_steps: int


FULL = Size(trials=20, longest_pause=10.0, idle_trials=4, idle=90.0, first=200.0, looks=6, active_steps=5)
QUICK = Size(trials=1, longest_pause=0.2, idle_trials=1, idle=0.2, first=1.2, looks=1, active_steps=1)


def main(folder: Path, size: Size) -> Path:
    """Measure, and write waiters.json into `folder`."""
    program = programs.ours(quick=size is QUICK)
    with tempfile.TemporaryDirectory(prefix="tracecraft-waiters-") as name, SERVERS["ceph"].serve() as endpoint:
        make_bucket(endpoint, "waiters")
        on_folder = Place.in_folder(Path(name), program)
        on_ceph = Place.in_bucket("Ceph", Path(name), program, endpoint, "waiters")
        awake = _wakeups([Setting(on_folder), Setting(on_ceph), Setting(on_ceph, active=True)], size)
        idle = idle_latencies([on_folder, on_ceph], size.idle, size.idle_trials)
        print("idle waiters woken; counting requests", flush=True)
        requests = idling.idle_requests(on_ceph, endpoint, size.first, size.looks)
        active = idling.active_requests(on_ceph, endpoint, size.active_steps)
    measured = {
        "size": asdict(size),
        "targets": TARGETS,
        "install": programs.how_installed(program),
        "wakeups": awake,
        "idle_wakeups": [{"place": place, "waiter": waiter, "seconds": s} for (place, waiter), s in idle.items()],
        "idle_requests": requests,
        "active_requests": active,
    }
    return results.write(folder, "waiters", measured)


def _wakeups(settings: Sequence[Setting], size: Size) -> list[dict[str, Any]]:
    rows = []
    for number, setting in enumerate(settings):
        for waiter in TRIALS:
            pauses = random_pauses(size.trials, size.longest_pause)
            seconds = latencies(setting, waiter, pauses, f"try{number}")
            row = {"place": setting.place.name, "active": setting.active, "waiter": waiter}
            rows.append({**row, "pauses": pauses, "seconds": seconds})
            print(f"{setting.place.name}: {waiter}: {results.spread(seconds, 3)} s", flush=True)
    return rows
