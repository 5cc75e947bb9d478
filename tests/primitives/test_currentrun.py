"""What an agent does while a run is current carries the run; without one nothing speaks of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sessions.mirrored import Growing
from tests.support.world import World
from tracecraft import currentrun

RUN, SPAN = "nightly-0123abcd", "00112233aabbccdd"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.in_folder(tmp_path)


def work(world: World, environment: dict[str, str]) -> None:
    """Something of every kind that leaves a record."""
    growing = Growing.of(world, "a")
    growing.grow(3)
    (world.folder("a") / "report.txt").write_text("fine")
    for command in (
        "claim design",
        "memory set k v",
        "memory set k w --if-version",
        "send b hello",
        "artifact upload report.txt",
        "session mirror --harness pi",
    ):
        words = command.split()
        if words[-1] == "--if-version":
            words.append(world.run("a", "memory", "get", "k", "--json").json["version"])
        world.run("a", *words, exits=0, stdin=b"", **environment)


def objects(world: World) -> dict[str, Any]:
    """Every JSON object of the project that may carry a run, by its key."""
    root = world.root / "store" / world.project
    kinds = ("claim.json", "memory/", "messages/b/", "_sums/", "sessions/", "events/")
    found = {str(path.relative_to(root)): path for path in sorted(root.rglob("*.json"))}
    return {key: json.loads(path.read_bytes()) for key, path in found.items() if any(kind in key for kind in kinds)}


def test_everything_carries_the_run_of_the_environment(world: World) -> None:
    work(world, {"TRACECRAFT_RUN": RUN, "TRACECRAFT_SPAN": SPAN})
    found = objects(world)
    kinds = {key.partition("/")[0] for key in found}
    assert kinds == {"steps", "memory", "messages", "artifacts", "sessions", "events"}
    assert {key: body.get("run") for key, body in found.items()} == dict.fromkeys(found, RUN)
    spans = {body.get("span") for key, body in found.items() if key.startswith("events/")}
    assert spans == {SPAN}


def test_without_a_run_nothing_speaks_of_one(world: World) -> None:
    work(world, {})
    assert not [key for key, body in objects(world).items() if "run" in body or "span" in body]


def test_a_remembered_run_is_of_one_agent_in_one_place(world: World) -> None:
    project = world.open("a")
    assert currentrun.remember(project.local, "a", project.place, RUN)
    assert project.run == RUN
    assert not currentrun.remembered(project.local, "b", project.place)
    assert not currentrun.remembered(project.local, "a", project.place + "/elsewhere")
    project.memory.set("k", "v")
    assert objects(world)["memory/k.json"]["run"] == RUN
    assert currentrun.remember(project.local, "a", project.place, "")
    assert not project.run


def test_a_step_claimed_again_within_a_run_is_part_of_it(world: World) -> None:
    world.run("a", "claim", "design")
    world.run("a", "claim", "design", TRACECRAFT_RUN=RUN)
    assert objects(world)["steps/design/claim.json"]["run"] == RUN


def test_what_is_no_run_is_refused(world: World) -> None:
    result = world.run("a", "claim", "design", TRACECRAFT_RUN="../x", exits=2)
    assert "run" in result.err
    assert not objects(world)
