"""A flush beside the published 0.2.5: what an agent's hook does again and again, as a whole process.

Each program has a session of its own, with the same lines. Before every pair both sessions grow by the same bytes;
then the programs mirror them in turns, on one Ceph. Both redact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import programs
from benchmarks.programs import Place, Seat
from benchmarks.sessions.sources import Growing
from tests.support.proxy import Proxy
from tests.support.servers import Endpoint, make_bucket

NEW = 10 * 1024
"""Bytes of new lines in each flush."""
DELAY = 0.03
"""Seconds the proxy adds to every request."""

_BEFORE = 100 * 1024
_COMMAND = ("session", "mirror")


def compare(
    paths: Mapping[str, Path], root: Path, endpoint: Endpoint, *, warm_up: int, pairs: int
) -> list[dict[str, Any]]:
    """One row for each place; each run that went through the proxy has its number of requests."""
    bucket = "flush"
    make_bucket(endpoint, bucket)
    with Proxy(endpoint.url) as proxy:
        near = _Pair(paths, root, endpoint, endpoint, bucket, "near")
        far = _Pair(paths, root, endpoint, endpoint.at(proxy.url), bucket, "far")
        rows = [{"place": "loopback", **near.compared(warm_up, pairs)}]
        proxy.delay = DELAY
        rows.append({"place": "30 ms away", **far.compared(warm_up, pairs, proxy)})
    return rows


class _Pair:
    """Both programs, each with its session, which reach the bucket `through` an endpoint."""

    def __init__(
        self, paths: Mapping[str, Path], root: Path, direct: Endpoint, through: Endpoint, bucket: str, name: str
    ) -> None:
        self._projects = {who: f"{name}-{who}" for who in paths}
        self._seats: dict[str, Seat] = {
            who: programs.set_up(path, root, through, bucket, self._projects[who], "ann") for who, path in paths.items()
        }
        self._sources = {who: Growing(seat) for who, seat in self._seats.items()}
        self._direct = Place.in_bucket("direct", root, paths["ours"], direct, bucket)

    def compared(self, warm_up: int, pairs: int, proxy: Proxy | None = None) -> dict[str, list[dict[str, Any]]]:
        runs: dict[str, list[dict[str, Any]]] = {who: [] for who in self._seats}
        self._grow(_BEFORE)
        for seat in self._seats.values():
            seat.run(*_COMMAND)
        for number in range(warm_up + pairs):
            self._grow(NEW)
            for who, seat in self._seats.items():
                run = _flushed(seat, proxy)
                if number >= warm_up:
                    runs[who].append(run)
        for who, source in self._sources.items():
            source.transcript.require_mirrored(self._direct, self._projects[who])
        return runs

    def _grow(self, size: int) -> None:
        for source in self._sources.values():
            source.grow(size)


def _flushed(seat: Seat, proxy: Proxy | None) -> dict[str, Any]:
    if proxy is None:
        return asdict(seat.run(*_COMMAND))
    proxy.clear()
    run = seat.run(*_COMMAND)
    return {**asdict(run), "requests": len(proxy.requests)}
