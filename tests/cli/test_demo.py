"""demo: three agents play a run in which every primitive shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.world import World

SHOWN = [
    r"designer\$ tracecraft claim design\n    claimed design as designer",
    r"developer\$ tracecraft claim design\n    error: design is held by designer.*\n(?:    .*\n)*    \(exit 3\)",
    r"memory set design\.format",
    r"artifact upload .*\n    uploaded schema\.json",
    r"artifact download .*\n    downloaded schema\.json .* checked",
    r"tracecraft send developer",
    r"tracecraft broadcast",
    r"tracecraft inbox --new\n    .*designer to you",
    r"tracecraft wait-for design .*\n(?:    .*\n)*    complete: design",
    r"handoff from designer to developer",
    r"tracecraft complete build .*\n    build is complete, handed to reviewer",
    r"review is blocked",
    r"tracecraft wait-for review\n(?:    .*\n)*    \(exit 6\)",
    r"tracecraft sent\n",
    r"3 steps: 1 blocked, 2 complete",
    r"tracecraft log .*\n(?:    .*\n)*    .* reviewer blocked review",
]


@pytest.mark.parametrize("on", ["folder", "ministack"])
def test_demo(tmp_path: Path, on: str, request: pytest.FixtureRequest) -> None:
    world = World.in_folder(tmp_path)
    options: list[str] = []
    if on != "folder":
        endpoint = request.getfixturevalue(f"{on}_endpoint")
        world = World.in_bucket(tmp_path, endpoint, "demo-bucket")
        options = ["--store", world.url]
    environment = {name: value for name, value in world.environment("a").items() if name != "TRACECRAFT_STORE"}
    done = subprocess.run(
        [sys.executable, "-m", "tracecraft", "demo", *options],
        env=environment | {"TMPDIR": str(tmp_path)},
        cwd=world.folder("a"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    for pattern in SHOWN:
        assert re.search(pattern, done.stdout), (pattern, done.stdout)
    assert os.listdir(world.folder("a")) == []
    if on == "folder":
        run_what_it_says(done.stdout, environment)


def run_what_it_says(output: str, environment: dict[str, str]) -> None:
    """The commands it names at the end work."""
    commands = [line.strip() for line in output.partition("Look around:")[2].splitlines() if line.strip()]
    assert any("status" in command for command in commands)
    for command in commands:
        if not command.startswith("jq") or shutil.which("jq"):
            subprocess.run(["bash", "-c", command], env=environment, check=True, capture_output=True, timeout=60)
