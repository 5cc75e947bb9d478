"""Many agents on one machine call `next` at once: does each get a step of its own, and when has the last one got it?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
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

    `counted` tells the requests by kind at the end. Those that ended with an error are counted by its code.
    Raises BenchmarkError when two got the same step.
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
    ended = [number for number in range(racers) if number not in running]
    steps = {number: _step(outputs / f"{number}") for number in ended}
    got = [step for step in steps.values() if step is not None]
    if len(set(got)) != len(got):
        raise BenchmarkError(f"{len(got)} agents got only {len(set(got))} different steps")
    return {
        "place": place.name,
        "racers": racers,
        "exceeded": bool(running),
        "limit": limit,
        "with_a_step": len(got),
        "errors": Counter(_error(outputs / f"{number}.err") for number in ended if steps[number] is None),
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


def _step(output: Path) -> str | None:
    """The step that a racer got, or None when it ended with an error."""
    said = output.read_text()
    return str(json.loads(said)["step"]) if said else None


def _error(output: Path) -> str:
    """The code of the error that a racer ended with."""
    lines = output.read_text(errors="replace").splitlines()
    try:
        return str(json.loads(lines[-1])["error"]["code"])
    except (IndexError, ValueError, KeyError):
        raise BenchmarkError(f"a racer ended without a step or an error: {lines[-20:]}") from None
