"""Large files go up and down in bounded memory, and an interrupted transfer leaves no half file."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import wait_until
from tests.support.proxy import Match, Proxy
from tests.support.s3 import Endpoint, make_bucket
from tests.support.scale import keep
from tests.support.world import World

MIB = 1 << 20
LARGE = 300 * MIB
LIMIT = 150 * MIB
"""Bytes of memory a transfer may have taken at its highest."""


def make_file(path: Path, size: int) -> Path:
    block = random.Random(3).randbytes(MIB)
    with path.open("wb") as file:
        for n in range(size // MIB):
            file.write(n.to_bytes(8, "big") + block[8:])
    return path


def same(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            mine, yours = first.read(MIB), second.read(MIB)
            if mine != yours:
                return False
            if not mine:
                return True


def start(world: World, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tracecraft", "artifact", *arguments],
        cwd=world.folder("worker"),
        env=world.environment("worker"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def highest_memory(world: World, *arguments: str) -> int:
    """Run an artifact command that succeeds; the most memory it ever had resident, in bytes.

    A small process starts it: one that is started from here would be charged with what pytest has resident.
    """
    watch = (
        "import resource, subprocess, sys; "
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch, sys.executable, "-m", "tracecraft", "artifact", *arguments],
        cwd=world.folder("worker"),
        env=world.environment("worker"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=300,
        check=True,
    )
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)


@pytest.fixture(params=["folder", "ministack"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "folder":
        return World.in_folder(tmp_path)
    endpoint = request.getfixturevalue("ministack_endpoint")
    make_bucket(endpoint, "large-files")
    return World.in_bucket(tmp_path, endpoint, "large-files")


def test_up_and_down_in_bounded_memory(place: World) -> None:
    source = make_file(place.root / "large.bin", LARGE)
    up = highest_memory(place, "upload", str(source))
    down = highest_memory(place, "download", "large.bin")
    assert same(source, place.folder("worker") / "large.bin")
    assert max(up, down) < LIMIT
    store = place.url.partition(":")[0]
    keep("300 MB artifact", store, peak_up_MiB=up // MIB, peak_down_MiB=down // MIB)


@pytest.mark.parametrize("part", [1, 3])
def test_an_upload_that_is_killed_leaves_nothing(ministack_endpoint: Endpoint, tmp_path: Path, part: int) -> None:
    bucket = f"killed-uploads-{part}"
    make_bucket(ministack_endpoint, bucket)
    direct = World.in_bucket(tmp_path, ministack_endpoint, bucket)
    source = make_file(tmp_path / "large.bin", 40 * MIB)
    with Proxy(ministack_endpoint.url) as proxy:
        world = World.in_bucket(tmp_path, ministack_endpoint, bucket, through=proxy.url)
        kill_at(proxy, part, Match("PUT", key="large.bin"), world, "upload", str(source))
    assert direct.run("other", "artifact", "list", "--json").json["artifacts"] == []
    direct.run("other", "artifact", "download", "large.bin", exits=4)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_download_that_is_interrupted_leaves_no_half_file(
    ministack_endpoint: Endpoint, tmp_path: Path, how: signal.Signals
) -> None:
    bucket = f"interrupted-downloads-{how.name.lower()}"
    make_bucket(ministack_endpoint, bucket)
    direct = World.in_bucket(tmp_path, ministack_endpoint, bucket)
    source = make_file(tmp_path / "large.bin", 40 * MIB)
    direct.run("other", "artifact", "upload", str(source))
    folder = direct.folder("worker")
    (folder / "large.bin").write_text("the version before")
    with Proxy(ministack_endpoint.url) as proxy:
        world = World.in_bucket(tmp_path, ministack_endpoint, bucket, through=proxy.url)
        kill_at(proxy, 3, Match("GET", pattern="artifacts/shared/large.bin$"), world, "download", "large.bin", how=how)
    assert (folder / "large.bin").read_text() == "the version before"
    if how is not signal.SIGKILL:
        assert [file.name for file in folder.iterdir()] == ["large.bin"]
    direct.run("worker", "artifact", "download", "large.bin")
    assert same(source, folder / "large.bin")


def kill_at(
    proxy: Proxy, n: int, match: Match, world: World, *arguments: str, how: signal.Signals = signal.SIGKILL
) -> None:
    """Run an artifact command and end it at its n-th request of a kind."""
    processes: list[subprocess.Popen[bytes]] = []

    def interrupt() -> None:
        assert wait_until(lambda: bool(processes), seconds=30)
        processes[0].send_signal(how)

    point = proxy.on_request(n, interrupt, match, at="forwarded")
    processes.append(start(world, *arguments))
    processes[0].wait(120)
    assert point.seen >= n
    assert processes[0].returncode != 0
