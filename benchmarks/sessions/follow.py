"""Following: seconds from a line's being written to its being in the store, and what an idle follower asks for."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.counting import by_kind
from benchmarks.measure import BenchmarkError
from benchmarks.programs import Place, Seat
from benchmarks.sessions.sources import CLAUDE, Growing
from benchmarks.watched import Watched
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.servers import Endpoint
from tracecraft.layout import Layout
from tracecraft.records import read
from tracecraft.sessions.manifest import Manifest
from tracecraft.store import Store

BUSY_EVERY = 10.0
"""Seconds between two lines of each other session, where they grow too."""

_COMMAND = ("session", "mirror", "--harness", CLAUDE, "--all", "--follow", "--json", "--yes")
_LONGEST_PAUSE = 2.0
_LONGEST = 120.0
_SETTLED = 2.0
"""Seconds after which what followed a flush is over."""
_LOOK = 0.02
"""Seconds between two looks into the store: a latency is known no better."""


def latencies(place: Place, followed: int, trials: int, *, busy: bool) -> dict[str, Any]:
    """One row: lines are written at random moments, each to one of the followed sessions, and waited for.

    With `busy` every other session grows meanwhile by a line every 10 s.
    """
    project = f"follow-{followed}-{'busy' if busy else 'quiet'}"
    with _following(place, place, project, followed) as sources, ExitStack() as stack:
        watched = sources[: max(1, followed // 10)]
        if busy:
            stack.enter_context(_growing(sources[len(watched) :]))
        store = place.store()
        found = [_latency(store, project, random.choice(watched)) for _ in range(trials)]
    print(f"  {place.name}, {followed} followed, busy {busy}: worst {max(found):.2f} s", flush=True)
    return {"store": place.name, "followed": followed, "busy": busy, "seconds": found}


def idle(place: Place, endpoint: Endpoint, counts: Sequence[int], seconds: float) -> list[dict[str, Any]]:
    """A row for each number of sessions, followed by one process that finds nothing new for so long."""
    with ExitStack() as stack:
        idlers = [_Idler(stack, place, endpoint, followed) for followed in counts]
        time.sleep(_SETTLED)
        for idler in idlers:
            idler.proxy.clear()
        time.sleep(seconds)
        rows = [idler.row(seconds) for idler in idlers]
        for idler in idlers:
            idler.require_awake()
    return rows


class _Idler:
    """A process that follows so many sessions, and the proxy that sees what it asks for."""

    def __init__(self, stack: ExitStack, place: Place, endpoint: Endpoint, followed: int) -> None:
        self.proxy = stack.enter_context(Proxy(endpoint.url))
        self._followed = followed
        self._project = f"idle-{followed}"
        self._store = place.store()
        seen = place.through(endpoint, self.proxy.url)
        self._sources = stack.enter_context(_following(place, seen, self._project, followed))

    def row(self, seconds: float) -> dict[str, Any]:
        heartbeat = Layout(self._project).agent("ann")
        beats = [request for request in self.proxy.requests if request.key == heartbeat]
        others = [request for request in self.proxy.requests if request.key != heartbeat]
        return {
            "followed": self._followed,
            "seconds": seconds,
            "sessions": by_kind(others),
            "heartbeats": by_kind(beats),
        }

    def require_awake(self) -> None:
        """Raises BenchmarkError unless it still follows: who has ended asks for nothing either."""
        self._sources[0].grow_a_line()
        _wait(self._store, self._project, self._sources[0], _LONGEST)


@contextmanager
def _following(direct: Place, seen: Place, project: str, followed: int) -> Iterator[list[Growing]]:
    """So many sessions, all of them mirrored, and a process that follows them through `seen` during the block."""
    seat: Seat = seen.seat(project, "ann")
    sources = [Growing(seat, number) for number in range(followed)]
    for source in sources:
        source.grow(4096)
    store = direct.store()
    with Watched(seat.start(*_COMMAND)):
        for source in sources:
            _wait(store, project, source, _LONGEST)
        yield sources


def _latency(store: Store, project: str, source: Growing) -> float:
    time.sleep(random.uniform(0.0, _LONGEST_PAUSE))
    source.grow_a_line()
    written = time.monotonic()
    _wait(store, project, source, _LONGEST)
    return time.monotonic() - written


def _wait(store: Store, project: str, source: Growing, seconds: float) -> None:
    transcript, size = source.transcript, source.transcript.size
    key = Layout(project).manifest(transcript.harness, transcript.session_id)

    def is_stored() -> bool:
        found = read(store, key, Manifest)
        return found is not None and found.record.total_source_bytes >= size

    if not wait_until(is_stored, seconds=seconds, every=_LOOK):
        raise BenchmarkError(f"{transcript.session_id} of {project} is not in the store after {seconds:g} s")


@contextmanager
def _growing(sources: Sequence[Growing]) -> Iterator[None]:
    """Each of these gets a line every so often while the block lasts, one after the other."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            for source in sources:
                if over.wait(BUSY_EVERY / len(sources)):
                    return
                source.grow_a_line()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
