"""Several gcs at once, killed anywhere and started again, beside readers and a follower: each event is shown once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.later import in_forty_days
from tests.support.processes import wait_until
from tests.support.scale import size
from tests.support.shell import Shell
from tests.support.world import World, finish
from tracecraft.clock import iso
from tracecraft.store import put_many

ROOT = Path(__file__).parents[2]
HISTORY = size(2000, 150)
KILLS = size(100, 12)


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with Shell() as process:
        yield process


def write_history(world: World) -> str:
    """Events of one agent; returns the moment after them, by the store's clock."""
    project = world.open("writer")
    events = [project.events.item("claim", f"s{n % 9}", about="", fence=n, text="x" * n) for n in range(HISTORY)]
    put_many(project.store, events)
    project.agents.beat_now()
    return iso(max(entry.modified for entry in project.events.timeline()) + 0.001)


def gc_killed_at(world: World, agent: str, n: int) -> subprocess.Popen[bytes]:
    """gc of an agent, on a folder killed at its n-th write."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.dying", "write", str(n), random.choice(("before", "after")), *GC],
        cwd=world.folder(agent),
        env=world.environment(agent, PYTHONPATH=str(ROOT)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


GC = ("gc", "--apply", "--only", "events")


def test_killed_in_pairs_beside_readers(folder_world: World, shell: Shell) -> None:
    world = folder_world
    until = write_history(world)
    wanted = ("log", "--json", "--limit", "0", "--until", until)
    before = shell.run(world, "onlooker", *wanted).out
    assert len(json.loads(before)["events"]) == HISTORY
    follower = Follower(world)
    try:
        assert wait_until(lambda: len(follower.keys) >= HISTORY, seconds=60)
        killed = 0
        for _ in range(KILLS):
            # So few writes that there is something left for the next ones.
            pair = [gc_killed_at(world, f"gc{which}", random.randint(1, 2 * HISTORY // KILLS)) for which in range(2)]
            looks = 0
            while not looks or any(process.poll() is None for process in pair):
                assert shell.run(world, "onlooker", *wanted).out == before
                looks += 1
            for process in pair:
                _, err = process.communicate(timeout=60)
                assert process.returncode in (0, -9), err.decode()
                killed += process.returncode == -9
        assert killed
        world.open("gc0").gc.collect(only=["events"], now=in_forty_days())
        assert shell.run(world, "onlooker", *wanted).out == before
        world.open("writer").memory.set("the.end", 1)
        assert wait_until(lambda: any("~the.end~" in key for key in follower.keys), seconds=60)
    finally:
        follower.stop()
    assert len(set(follower.keys)) == len(follower.keys)
    assert {key for key in follower.keys if "~claim~" in key} == {e["key"] for e in json.loads(before)["events"]}
    layout = world.open().layout
    left = [info.key for info in world.open().store.list(layout.events()) if layout.event_of(info.key)]
    assert not [key for key in left if "~claim~" in key]


def test_side_by_side(world: World) -> None:
    """Two that fold the same events at once, on every kind of store."""
    until = write_history(world)
    wanted = ("log", "--json", "--limit", "0", "--until", until)
    before = world.run("onlooker", *wanted).out
    pair = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.later", *GC],
            cwd=world.folder(f"gc{which}"),
            env=world.environment(f"gc{which}", PYTHONPATH=str(ROOT)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for which in range(2)
    ]
    while any(process.poll() is None for process in pair):
        assert world.run("onlooker", *wanted).out == before
    for result in finish(pair):
        assert result.code == 0, result
    assert world.run("onlooker", *wanted).out == before


class Follower:
    """`log -f` in a process of its own, and the keys of the events it showed."""

    def __init__(self, world: World) -> None:
        self.keys: list[str] = []
        self._process = world.start("follower", "log", "-f", "--json", "--limit", "0")
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.keys.append(json.loads(line)["key"])

    def stop(self) -> None:
        self._process.kill()
        self._thread.join()
        self._process.communicate()
