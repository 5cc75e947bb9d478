"""Runs are looked at, deleted and left behind while real processes record into them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import wait_until
from tests.support.world import World
from tracecraft.runs.blobs import survey

PATIENCE = 60.0
WORK = """
import sys, time, tracecraft
from pathlib import Path

stop = Path(sys.argv[1])
with tracecraft.run("long work", tags=["slow"]) as run:
    Path(sys.argv[1] + ".file").write_text("kept")
    run.log_artifact(sys.argv[1] + ".file")
    with run.agent(name="worker") as agent, agent.step("count") as step:
        step.log_input({"until": "told"})
        for number in range(1_000_000):
            run.log_metrics({"number": number}, step=number)
            if stop.exists():
                break
            time.sleep(0.01)
"""


class Work:
    """A process that records until it is told to stop."""

    def __init__(self, world: World, folder: Path) -> None:
        self._stop = folder / "stop"
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORK, str(self._stop)],
            cwd=world.folder("worker"),
            env=world.environment("worker"),
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> str:
        """Let it end well; what it said on standard error."""
        self._stop.touch()
        _, errors = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, errors
        return errors


@pytest.fixture
def work(folder_world: World, tmp_path: Path) -> Iterator[Work]:
    work = Work(folder_world, tmp_path)
    yield work
    work.process.kill()
    work.process.wait(PATIENCE)


def listed(world: World, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.run("looker", "runs", "--json", *options).json["runs"]
    return found


def until_it_shows(world: World) -> str:
    """The id of the run once it is listed with a metric."""
    assert wait_until(lambda: bool(listed(world) and listed(world)[0]["metrics"]), seconds=PATIENCE)
    return str(listed(world)[0]["run"])


def test_a_run_is_looked_at_while_it_goes_on(folder_world: World, work: Work) -> None:
    run = until_it_shows(folder_world)
    told = folder_world.run("looker", "run", "inspect", run, "--json").json
    assert told["status"] == "running"
    assert [(span["name"], span["status"]) for span in told["spans"]] == [("worker", "running"), ("count", "running")]
    assert told["spans"][1]["inputs"] == [{"value": {"until": "told"}}]
    assert told["gaps"] == []
    work.end()
    told = folder_world.run("looker", "run", "inspect", run, "--json").json
    assert (told["status"], {span["status"] for span in told["spans"]}) == ("completed", {"ok"})
    points = folder_world.run("looker", "run", "metrics", run, "--json").json["metrics"]["number"]
    [row] = listed(folder_world, "--tag", "slow")
    assert points["count"] == told["metrics"]["number"] + 1 == row["metrics"]["number"] + 1


def test_a_run_whose_process_was_killed_reads_as_stale(folder_world: World, work: Work) -> None:
    run = until_it_shows(folder_world)
    work.process.send_signal(signal.SIGKILL)
    work.process.wait(PATIENCE)
    make_older(folder_world, 120)
    assert [row["status"] for row in listed(folder_world)] == ["stale"]
    told = folder_world.run("looker", "run", "inspect", run, "--json").json
    assert (told["status"], {span["status"] for span in told["spans"]}) == ("stale", {"unfinished"})
    folder_world.run("looker", "run", "reindex")
    assert [row["status"] for row in listed(folder_world)] == ["stale"]
    folder_world.run("looker", "run", "delete", run)
    assert listed(folder_world) == []


def test_a_run_that_is_deleted_while_it_goes_on_stays_deleted(folder_world: World, work: Work) -> None:
    run = until_it_shows(folder_world)
    refused = folder_world.run("looker", "run", "delete", run, exits=3)
    assert "--force" in refused.err
    folder_world.run("looker", "run", "delete", run, "--force")
    for _ in range(3):
        assert listed(folder_world) == []
        folder_world.run("looker", "run", "inspect", run, exits=4)
    work.end()
    folder_world.run("looker", "run", "reindex")
    assert listed(folder_world) == []
    folder_world.run("looker", "run", "delete", run)
    project = folder_world.open()
    layout = project.layout
    left = [info.key for info in project.store.list(layout.runs()) if run in info.key]
    assert sorted(left) == sorted(key for key in left if key in (layout.run_meta(run), layout.run_entry(run, "_")))
    assert not survey(project).uses


def make_older(world: World, seconds: float) -> None:
    """As if what the store holds had been written so much earlier."""
    then = time.time() - seconds
    for path in (world.root / "store").rglob("*.json"):
        os.utime(path, (then, then))
