"""What waiting and working ask of a bucket: requests by kind, counted by a proxy, and how many that makes in a day."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import Any

from benchmarks.counting import by_kind
from benchmarks.measure import BenchmarkError
from benchmarks.programs import Place
from benchmarks.watched import Watched
from tests.support.processes import wait_until
from tests.support.proxy import Proxy, Request
from tests.support.servers import Endpoint
from tracecraft.project import Project

DAY = 86400.0
ACTIVE_EVERY = 600.0
"""Seconds from one step to the next of an agent that works."""

_LOOKS_APART = 0.5
"""Seconds without a request that end one look: the shortest sleep between two is 0.9."""
_LONGEST = 1200.0


@dataclass(frozen=True)
class Watcher:
    """A command that idles, and what it finds in its project."""

    name: str
    arguments: Sequence[str]
    prepare: Callable[[Project], None]


def _held_steps(project: Project) -> None:
    for step in ("one", "two", "three"):
        project.steps.claim(step)


def _a_message(project: Project) -> None:
    project.mailbox.send("waiter", "hello")


def _ten_keys(project: Project) -> None:
    for number in range(10):
        project.memory.set(f"key{number}", "value")


WATCHERS = (
    Watcher("wait-for, 1 step", ("wait-for", "--timeout", "1h", "one"), _held_steps),
    Watcher("wait-for, 3 steps", ("wait-for", "--timeout", "1h", "one", "two", "three"), _held_steps),
    Watcher("inbox --watch", ("inbox", "--watch"), _a_message),
    Watcher("memory watch, 10 keys", ("memory", "watch"), _ten_keys),
    Watcher("log -f", ("log", "-f"), _held_steps),
)


def idle_requests(place: Place, endpoint: Endpoint, first: float, looks: int) -> list[dict[str, Any]]:
    """One row for each watcher, all of them side by side: the requests of the first `first` seconds after its first
    one, and those of at least so many looks after that, when its pace has settled."""
    with ExitStack() as stack:
        proxies = []
        for number, watcher in enumerate(WATCHERS):
            proxy = stack.enter_context(Proxy(endpoint.url))
            seen = place.through(endpoint, proxy.url)
            name = f"idle-{number}"
            watcher.prepare(place.project(name, "other"))
            stack.enter_context(Watched(seen.seat(name, "waiter").start(*watcher.arguments)))
            proxies.append(proxy)

        def settled() -> bool:
            return all(_settled(proxy.requests, first, looks) for proxy in proxies)

        if not wait_until(settled, seconds=_LONGEST, every=0.5):
            counts = {w.name: len(p.requests) for w, p in zip(WATCHERS, proxies, strict=True)}
            raise BenchmarkError(f"after {_LONGEST:g} s not every watcher has looked {looks} times: {counts}")
        return [_row(w, p.requests, first) for w, p in zip(WATCHERS, proxies, strict=True)]


def _settled(requests: list[Request], first: float, looks: int) -> bool:
    return len(_looks(_later(requests, first))) > looks


def _later(requests: list[Request], first: float) -> list[Request]:
    began = min((request.started for request in requests), default=0.0)
    return [request for request in requests if request.started > began + first]


def _looks(requests: list[Request]) -> list[list[Request]]:
    """Requests of one look belong together; between looks the watcher sleeps."""
    looks: list[list[Request]] = []
    last = float("-inf")
    for request in sorted(requests, key=lambda request: request.started):
        if request.started > last + _LOOKS_APART:
            looks.append([])
        looks[-1].append(request)
        last = max(last, request.started)
    return looks


def _row(watcher: Watcher, requests: list[Request], first: float) -> dict[str, Any]:
    """What was counted. The last look is left out: it may not have ended."""
    later = _later(requests, first)
    looks = _looks(later)
    beginning = [request for request in requests if request not in later]
    starts = [look[0].started for look in looks]
    return {
        "name": watcher.name,
        "first_seconds": first,
        "first": by_kind(beginning),
        "looks": len(looks) - 1,
        "seconds_between_looks": [after - before for before, after in pairwise(starts)],
        "in_looks": by_kind(request for look in looks[:-1] for request in look),
    }


def in_seconds(row: dict[str, Any], seconds: float) -> dict[str, float]:
    """Requests by kind in so many seconds of idleness: the beginning as counted, then the settled pace."""
    total = dict(row["first"])
    looks = (seconds - row["first_seconds"]) / mean(row["seconds_between_looks"])
    for kind, count in row["in_looks"].items():
        total[kind] = total.get(kind, 0) + count / row["looks"] * looks
    return total


def active_requests(place: Place, endpoint: Endpoint, steps: int) -> dict[str, Any]:
    """What claiming and completing so many steps asks, heartbeats included."""
    with Proxy(endpoint.url) as proxy:
        seat = place.through(endpoint, proxy.url).seat("active", "worker")
        seat.run("claim", "first")  # what is asked only once, such as the probe of the store
        proxy.clear()
        for number in range(steps):
            seat.run("claim", f"step-{number}")
            time.sleep(1.2)  # a heartbeat is not written twice within 1.1 s, and work takes longer than that
            seat.run("complete", f"step-{number}")
        counted = by_kind(proxy.requests)
    return {"name": "claim and complete a step every 10 minutes", "steps": steps, "counted": counted}


def active_in_seconds(row: dict[str, Any], seconds: float) -> dict[str, float]:
    return {kind: count / row["steps"] * seconds / ACTIVE_EVERY for kind, count in row["counted"].items()}
