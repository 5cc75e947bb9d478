"""How long after a write, whose command has returned, do those who wait for it know?

Each trial has a project of its own: a waiter, and a writer that acts a while after the waiter was ready.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from benchmarks.measure import BenchmarkError
from benchmarks.programs import Place
from benchmarks.watched import Watched
from tests.support.processes import wait_until

_READY = 60.0
"""Seconds a waiter may take until it waits, and a starved machine until it sees what was written at once."""
_SEEN = 120.0
_LANES = 4
"""Trials under way at once. Nearly all of their time is spent asleep."""

Trial = Callable[[Place, str, float, bool], float]
"""Takes the place, a new project, seconds until the write and whether others are at work; returns the latency."""


@dataclass(frozen=True)
class Setting:
    """Where trials run and in what company. `active`: another agent sets a memory key every second meanwhile."""

    place: Place
    active: bool = False


def barrier(place: Place, project: str, pause: float, active: bool) -> float:
    """`wait-for` until it exits, after `complete`. The step is claimed as soon as it waits."""
    writer = place.seat(project, "writer")
    with _company(place, project, active), Watched(place.seat(project, "waiter").start("wait-for", "gate")) as waiter:
        waiter.said("nobody has declared or claimed gate", _READY)
        writer.run("claim", "gate")
        time.sleep(pause)
        writer.run("complete", "gate")
        returned = time.monotonic()
        return waiter.ended(_SEEN) - returned


def mail(place: Place, project: str, pause: float, active: bool) -> float:
    """`inbox --watch` until it prints, after `send`. It is ready when it has shown an earlier message."""
    place.project(project, "writer").mailbox.send("waiter", "earlier")
    with _company(place, project, active), Watched(place.seat(project, "waiter").start("inbox", "--watch")) as waiter:
        waiter.said("earlier", _READY)
        time.sleep(pause)
        place.seat(project, "writer").run("send", "waiter", "decision")
        returned = time.monotonic()
        return waiter.said("decision", _SEEN) - returned


def memory(place: Place, project: str, pause: float, active: bool) -> float:
    """`memory watch` until it prints, after `memory set`. It is ready when it has shown an earlier change."""
    pokes = place.project(project, "poker").memory
    with _company(place, project, active), Watched(place.seat(project, "waiter").start("memory", "watch")) as waiter:

        def poked() -> bool:
            pokes.set("poke", str(time.monotonic()))
            return waiter.has_said("poke")

        if not wait_until(poked, seconds=_READY, every=0.3):
            raise BenchmarkError(f"memory watch shows no change in {_READY:g} s")
        time.sleep(pause)
        place.seat(project, "writer").run("memory", "set", "decision", "yes")
        returned = time.monotonic()
        return waiter.said("decision", _SEEN) - returned


TRIALS: dict[str, Trial] = {"wait-for": barrier, "inbox --watch": mail, "memory watch": memory}


def latencies(setting: Setting, waiter: str, pauses: Sequence[float], label: str) -> list[float]:
    """Seconds from the writer's return to the waiter's word, a trial for each pause, a few of them side by side."""
    names = [f"{label}-{_slug(waiter)}-{number}" for number in range(len(pauses))]
    trial = TRIALS[waiter]
    with ThreadPoolExecutor(_LANES) as lanes:
        return list(lanes.map(lambda name, pause: trial(setting.place, name, pause, setting.active), names, pauses))


def idle_latencies(places: Sequence[Place], idle: float, trials: int) -> dict[tuple[str, str], list[float]]:
    """The same after long idleness, by place and waiter. All wait side by side, and are woken one after the other."""
    jobs = [(place, waiter, n) for place in places for waiter in TRIALS for n in range(trials)]
    with ThreadPoolExecutor(len(jobs)) as lanes:
        running = [
            lanes.submit(TRIALS[waiter], place, f"idle-{_slug(waiter)}-{n}", idle + number * 1.5, False)
            for number, (place, waiter, n) in enumerate(jobs)
        ]
        found: dict[tuple[str, str], list[float]] = {}
        for (place, waiter, _), trial in zip(jobs, running, strict=True):
            found.setdefault((place.name, waiter), []).append(trial.result())
    return found


def random_pauses(count: int, longest: float) -> list[float]:
    return [random.uniform(0.0, longest) for _ in range(count)]


@contextmanager
def _busy(place: Place, project: str) -> Iterator[None]:
    """Another agent that sets a memory key every second while the block lasts."""
    over = threading.Event()
    other = place.project(project, "other").memory

    def work() -> None:
        number = 0
        while not over.wait(1.0):
            number += 1
            other.set("pulse", str(number))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _company(place: Place, project: str, active: bool) -> AbstractContextManager[None]:
    return _busy(place, project) if active else nullcontext()


def _slug(waiter: str) -> str:
    return waiter.replace(" ", "-").replace("--", "")
