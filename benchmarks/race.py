"""Many agents on one machine call `next` at once: does each get a step of its own, and when has the last one got it?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import BenchmarkError
from benchmarks.programs import Place

_POLL = 0.02


def race(
    place: Place, project: str, racers: int, limit: float, counted: Callable[[], dict[str, int]]
) -> dict[str, Any]:
    """One race. After `limit` seconds those still running are stopped, and `exceeded` says so.

    `counted` tells the requests by kind at the end.
    Raises BenchmarkError when two got the same step, or one ended with an error.
    """
    outputs = place.root / f"race-{place.name}"
    outputs.mkdir()
    began = time.monotonic()
    running = {number: _start(place, project, number, outputs) for number in range(racers)}
    seconds: list[float] = []
    try:
        while running and time.monotonic() - began < limit:
            for number, process in list(running.items()):
                if process.poll() is not None:
                    seconds.append(time.monotonic() - began)
                    del running[number]
            time.sleep(_POLL)
    finally:
        for process in running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
    got = [_step(outputs / f"{number}") for number in range(racers) if number not in running]
    if len(set(got)) != len(got):
        raise BenchmarkError(f"{len(got)} agents got only {len(set(got))} different steps")
    return {
        "place": place.name,
        "racers": racers,
        "exceeded": bool(running),
        "limit": limit,
        "with_a_step": len(got),
        "seconds": seconds,
        "requests": counted(),
    }


def _start(place: Place, project: str, number: int, outputs: Path) -> subprocess.Popen[bytes]:
    """One racer. All have the same home, as agents of one user do."""
    seat = place.seat(project, f"racer-{number:03}", home="racers")
    with (outputs / f"{number}").open("wb") as out, (outputs / f"{number}.err").open("wb") as err:
        return subprocess.Popen(
            [seat.program, "next", "--json"],
            env=seat.environment(),
            cwd=seat.folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


def _step(output: Path) -> str:
    try:
        return str(json.loads(output.read_text())["step"])
    except (ValueError, KeyError):
        said = output.with_suffix(".err").read_text(errors="replace")[-2000:]
        raise BenchmarkError(f"a racer got no step: {said}") from None
