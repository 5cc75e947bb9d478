"""Mirroring sessions: a flush beside 0.2.5, bulk, following, and many small steps. Needs up to 5 GB of disk."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import programs, results
from benchmarks.programs import Place
from benchmarks.sessions import bulk, flush, follow, steps
from benchmarks.sessions.sources import MB
from tests.support.servers import SERVERS, Endpoint, make_bucket

TARGETS = {"flush_ratio": 0.35, "mb_per_second": 50.0, "peak_mb": 200.0, "latency": 2.0, "idle_requests": 0}
"""A flush by ours takes at most so much of theirs, a second mirrors so much, so much memory is enough, a line is stored
in so many seconds, and an idle minute asks so much for sessions."""


@dataclass(frozen=True)
class Size:
    """How much is measured. `followed` are the numbers of sessions that one process follows, `idle` is in seconds;
    what is generated, repeated and long is in bytes."""

    warm_up: int
    pairs: int
    generated: int
    sampled: int
    bulk_runs: int
    large: int
    long_line: int
    followed: tuple[int, ...]
    trials: int
    idle: float
    flushes: int


FULL = Size(
    warm_up=1,
    pairs=21,
    generated=200 * MB,
    sampled=100 * MB,
    bulk_runs=3,
    large=2000 * MB,
    long_line=64 << 20,
    followed=(1, 200),
    trials=30,
    idle=60.0,
    flushes=1000,
)
QUICK = Size(
    warm_up=0,
    pairs=1,
    generated=MB // 10,
    sampled=MB // 10,
    bulk_runs=1,
    large=MB,
    long_line=MB,
    followed=(1, 3),
    trials=2,
    idle=1.0,
    flushes=40,
)


def main(folder: Path, size: Size) -> Path:
    """Measure, and write sessions.json into `folder`."""
    load = os.getloadavg()[0]
    quick = size is QUICK
    paths = {"ours": programs.ours(quick=quick), "theirs": programs.peer()}
    with tempfile.TemporaryDirectory(prefix="tracecraft-sessions-") as name, SERVERS["ceph"].serve() as endpoint:
        root = Path(name)
        flushes = flush.compare(paths, root, endpoint, warm_up=size.warm_up, pairs=size.pairs)
        places = _places(root, paths["ours"], endpoint)
        ceph = places[-1]
        measured = {
            "size": asdict(size),
            "targets": TARGETS,
            "load_before": load,
            "install": {who: programs.how_installed(path) for who, path in paths.items()},
            "flush": flushes,
            "steps": [steps.many_flushes(ceph, endpoint, size.flushes, words) for words in steps.WORDS],
            "follow": [
                follow.latencies(place, followed, size.trials, busy=busy)
                for place in places
                for followed in size.followed
                for busy in (False, True)
                if followed > 1 or not busy
            ],
            "idle": follow.idle(ceph, endpoint, size.followed, size.idle),
        }
    with tempfile.TemporaryDirectory(prefix="tracecraft-sessions-") as name:
        rows, left_out = bulk.throughput(
            paths["ours"], Path(name), generated=size.generated, sampled=size.sampled, runs=size.bulk_runs
        )
        measured |= {"throughput": rows, "left_out": left_out}
        measured["memory"] = bulk.memory(
            paths["ours"], Path(name), large=size.large, long_line=size.long_line, runs=size.bulk_runs
        )
    return results.write(folder, "sessions", {**measured, "load_after": os.getloadavg()[0]})


def _places(root: Path, program: Path, endpoint: Endpoint) -> list[Place]:
    make_bucket(endpoint, "sessions")
    return [Place.in_folder(root, program), Place.in_bucket("Ceph", root, program, endpoint, "sessions")]
