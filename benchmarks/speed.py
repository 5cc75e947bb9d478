"""Whole commands beside the published 0.2.5: time from start to exit, and peak memory.

Both programs work on one Ceph, each in a project of its own, in turns (ours, theirs, ours, theirs ...), so that what
drifts on the machine hits both. Then the same behind a proxy that delays every request by 30 ms, as a bucket in the
same part of the world would; and there a large mailbox and a large project.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import programs, results, seed
from benchmarks.measure import BenchmarkError, Run, floor
from benchmarks.programs import Place, Seat
from tests.support.proxy import Proxy
from tests.support.servers import SERVERS, Endpoint, make_bucket

DELAY = 0.03
"""Seconds the proxy adds to every request."""
LONGEST_PUT = 0.5
"""Seconds one put of the other program may take on loopback."""
TARGETS = {"small": {"seconds": 0.25, "peak_kib": 0.5}, "large": {"seconds": 0.05}}
"""What ours divided by theirs is to be at most."""


@dataclass(frozen=True)
class Size:
    """How much is measured. `warm_up` pairs come before those that count; a large command is stopped after `limit`
    seconds."""

    warm_up: int
    pairs: int
    large_pairs: int
    messages: int
    steps: int
    agents: int
    limit: float


FULL = Size(warm_up=1, pairs=21, large_pairs=3, messages=1000, steps=1000, agents=100, limit=600.0)
QUICK = Size(warm_up=0, pairs=1, large_pairs=1, messages=5, steps=5, agents=2, limit=60.0)


@dataclass(frozen=True)
class Command:
    """A command to compare. In its arguments N stands for a number of its own in each pair."""

    name: str
    arguments: str


COMMANDS = (
    Command("status, 2 agents", "status"),
    Command("inbox, 1 message", "inbox"),
    Command("memory set", "memory set build.status green-N"),
    Command("memory get", "memory get build.status"),
    Command("send", "send bob hello-N"),
    Command("claim", "claim step-N"),
    Command("complete", "complete step-N"),
)

Seats = dict[str, Seat]


def main(folder: Path, size: Size) -> Path:
    """Measure, and write speed.json into `folder`."""
    quick = size is QUICK
    paths = {"ours": programs.ours(quick=quick), "theirs": programs.peer()}
    with tempfile.TemporaryDirectory(prefix="tracecraft-speed-") as name, SERVERS["ceph"].serve() as endpoint:
        root, bucket = Path(name), "speed"
        make_bucket(endpoint, bucket)
        put_seconds = check_peer(paths["theirs"], endpoint, bucket)
        near = {who: _newcomer(path, root, endpoint, bucket, f"near-{who}") for who, path in paths.items()}
        rows = [_compared(command, near, size, "loopback", None) for command in COMMANDS]
        with Proxy(endpoint.url) as proxy:
            through = endpoint.at(proxy.url)
            far = {who: _newcomer(path, root, through, bucket, f"far-{who}") for who, path in paths.items()}
            proxy.delay = DELAY
            rows += [_compared(command, far, size, "30 ms away", proxy) for command in COMMANDS]
            proxy.delay = 0.0
            large = _large_seats(paths, root, endpoint, through, bucket, size)
            rates = {"no delay": _rate(proxy, large["ours"])}
            proxy.delay = DELAY
            rates["30 ms delay"] = _rate(proxy, large["ours"])
            rows += [_compared_large(command, large, size, proxy) for command in _large_commands(size)]
    measured = {
        "size": asdict(size),
        "targets": TARGETS,
        "install": {who: programs.how_installed(path) for who, path in paths.items()},
        "floor": [asdict(one) for one in floor(size.pairs)],
        "peer_put_seconds": put_seconds,
        "proxy_requests_per_second": rates,
        "rows": rows,
    }
    return results.write(folder, "speed", measured)


def check_peer(program: Path, endpoint: Endpoint, bucket: str) -> float:
    """Seconds that one put of 0.2.5 takes. Raises BenchmarkError where the server makes it wait for nothing."""
    script = (
        "import os, time; from tracecraft.s3 import S3; e = os.environ\n"
        "s = S3(e['URL'], e['BUCKET'], 'put', e['ACCESS'], e['SECRET'])\n"
        "s.put_json('first', {}); began = time.monotonic(); s.put_json('second', {})\n"
        "print(time.monotonic() - began)"
    )
    told = {"URL": endpoint.url, "BUCKET": bucket, "ACCESS": endpoint.access_key, "SECRET": endpoint.secret_key}
    command = [str(program.with_name("python")), "-c", script]
    done = subprocess.run(command, env={**os.environ, **told}, capture_output=True, text=True, check=True, timeout=60)
    seconds = float(done.stdout)
    if seconds > LONGEST_PUT:
        raise BenchmarkError(
            f"a put of tracecraft-ai 0.2.5 takes {seconds:.2f} s on loopback, so nothing is reported: boto3 waits for"
            " `100 Continue`, and this server does not say it (Ceph: is `rgw print continue = false` set?)"
        )
    return seconds


def _newcomer(program: Path, root: Path, endpoint: Endpoint, bucket: str, project: str) -> Seat:
    """Agent ann's seat in a new project with two agents and one message."""
    ann = programs.set_up(program, root, endpoint, bucket, project, "ann")
    bob = programs.set_up(program, root, endpoint, bucket, project, "bob")
    bob.run("send", "ann", "welcome")
    return ann


def _compared(command: Command, seats: Seats, size: Size, place: str, proxy: Proxy | None) -> dict[str, Any]:
    """One row: both programs in turns."""
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}
    for number in range(size.warm_up + size.pairs):
        for who, seat in seats.items():
            arguments = command.arguments.replace("N", str(number)).split()
            run = _counted(proxy, partial(seat.run, *arguments))
            if number >= size.warm_up:
                runs[who].append(run)
    _tell(place, command.name, runs)
    return {"place": place, "size": "small", "command": command.name, **runs}


def _large_commands(size: Size) -> Sequence[Command]:
    return (
        Command(f"inbox, {size.messages:,} unread messages", "inbox"),
        Command(f"status, {size.steps:,} steps and {size.agents:,} agents", "status"),
    )


def _large_seats(
    paths: dict[str, Path], root: Path, endpoint: Endpoint, through: Endpoint, bucket: str, size: Size
) -> Seats:
    """Agent ann's seats in two projects with the same many objects."""
    seats = {}
    for who, path in paths.items():
        project = f"large-{who}"
        seats[who] = programs.set_up(path, root, through, bucket, project, "ann")
        store = Place.in_bucket("direct", root, path, endpoint, bucket).store()
        seed.fill(store, seed.agents(project, size.agents - 1))
        seed.fill(store, seed.worked_steps(project, size.steps, size.agents - 1))
        seed.fill(store, seed.messages(project, "ann", size.messages))
    return seats


def _compared_large(command: Command, seats: Seats, size: Size, proxy: Proxy) -> dict[str, Any]:
    """One row of few pairs. Each run of ours is a first one: its home remembers nothing."""
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}
    for number in range(size.large_pairs):
        for who, seat in seats.items():
            fresh = replace(seat, home=seat.home.with_name(f"{seat.home.name}-{command.arguments}-{number}"))
            runs[who].append(_counted(proxy, partial(fresh.run, command.arguments, limit=size.limit)))
    _tell("30 ms away", command.name, runs)
    return {"place": "30 ms away", "size": "large", "command": command.name, **runs}


def _counted(proxy: Proxy | None, act: Callable[[], Run]) -> dict[str, Any]:
    """A run, and how many requests it made where a proxy saw them."""
    if proxy is None:
        return asdict(act())
    proxy.clear()
    run = act()
    return {**asdict(run), "requests": len(proxy.requests)}


def _rate(proxy: Proxy, seat: Seat) -> float:
    """Requests a second that the proxy passes on while our `status` reads a large project, 64 at a time."""
    proxy.clear()
    seat.run("status")
    requests = proxy.requests
    took = max(request.ended for request in requests) - min(request.started for request in requests)
    return len(requests) / took


def _tell(place: str, command: str, runs: dict[str, list[dict[str, Any]]]) -> None:
    shown = ", ".join(f"{who} {results.spread([run['seconds'] for run in some], 3)} s" for who, some in runs.items())
    print(f"{place}: {command}: {shown}", flush=True)
