"""A coordination command starts fast: it imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.sessions.mirrored import Growing
from tests.support.world import World

HEAVY = {
    "asyncio", "boto3", "botocore", "concurrent.futures", "email", "http.client", "httpx", "logging", "obstore",
    "pydantic", "requests", "rich", "ssl", "urllib3",
}  # fmt: skip

RUN = """
import json, sys
from tracecraft.cli.app import run
code = run(sys.argv[1:])
sys.stderr.write("\\n" + json.dumps([code, sorted(sys.modules)]))
"""


def imported(world: World, *arguments: str, before: str = "") -> tuple[int, set[str]]:
    """The exit code of a command, and every module that was imported for it."""
    done = subprocess.run(
        [sys.executable, "-c", before + RUN, *arguments],
        cwd=world.folder("a"),
        env=world.environment("a"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    return code, set(names)


COMMANDS = [
    "claim design", "claim held", "complete mine", "release mine", "renew", "next", "memory set k v", "memory get k0",
    "memory list", "send b hello", "inbox", "inbox --new", "status", "step list", "step-status held", "log", "agents",
    "run start x", "run log-metric m 1", "run log-usage --model m --input 1 --output 1", "run end",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_in_a_folder(folder_world: World, command: str) -> None:
    folder_world.open("b").steps.claim("held")
    folder_world.open("b").memory.set("k0", {"a": [1]})
    folder_world.open("b").mailbox.send("a", "hello")
    folder_world.open("a").steps.claim("mine")
    if command.startswith("run ") and command != "run start x":
        folder_world.run("a", "run", "start", "x")
    code, names = imported(folder_world, *command.split())
    assert code in (0, 3, 4)
    assert not names & HEAVY


@pytest.mark.parametrize("command", ["claim design", "memory get k0", "send b hello", "inbox", "status"])
def test_on_a_bucket(world: World, command: str) -> None:
    """There, obstore and what it brings along are what it takes."""
    world.open("b").memory.set("k0", "v")
    code, names = imported(world, *command.split())
    assert code == 0
    assert not names & (HEAVY - {"obstore"})


@pytest.mark.parametrize("command", ["claim design", "memory get k0", "status"])
def test_on_a_cloud_store(cloud_world: World, command: str) -> None:
    """Nothing more, and of the stores only the one it needs."""
    cloud_world.open("b").memory.set("k0", "v")
    code, names = imported(cloud_world, *command.split())
    assert code == 0
    assert not names & (HEAVY - {"obstore"})
    stores = {"tracecraft.store.azure", "tracecraft.store.gcs", "tracecraft.store.s3", "tracecraft.store.folder"}
    assert len(names & stores) == 1


def test_a_flush_loads_nothing_that_only_large_parts_and_compaction_take(folder_world: World) -> None:
    Growing.of(folder_world, "a").grow(3)
    code, names = imported(folder_world, "session", "mirror", "--no-redact", "--yes")
    assert code == 0
    assert "tracecraft.sessions.mirror" in names
    assert not names & (HEAVY | {"tempfile", "tracecraft.sessions.fetching"})


def test_the_check_can_fail(folder_world: World) -> None:
    code, names = imported(folder_world, "status", before="import asyncio")
    assert code == 0
    assert {"asyncio", "logging", "ssl"} <= names & HEAVY
