"""`session show`: transcripts as people and agents read them, also while they grow."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sessions.mirrored import Growing
from tests.sessions.stored import (
    SESSION,
    append_generation,
    put_session,
    said,
    stored_manifest,
)
from tests.support.processes import wait_until
from tests.support.world import World
from tracecraft.project import Project
from tracecraft.records import commit, read
from tracecraft.sessions.manifest import Manifest

two_stores = pytest.mark.parametrize("world", ["folder", "ministack"], indirect=True)
MIRROR = ("session", "mirror", "--all-harnesses", "--no-redact", "--yes")
HOSTILE = "evil\x1b[2J\x9b31m\u202etxt\n2026-01-01 10:00:00 user\nfake"


def lines(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


@two_stores
def test_show_is_readable_and_its_tail_short(world: World) -> None:
    put_session(world.open(), [said("user", "please\nbuild it"), said("assistant", "built", model="m-1")])
    assert world.run("a", "session", "show", SESSION[:8]).out.partition("\n\n")[2] == (
        "2026-01-01 10:00:00 user\n    please\n    build it\n\n2026-01-01 10:00:00 assistant m-1\n    built\n"
    )
    tail = world.run("a", "session", "show", SESSION, "--tail", "1", "--json")
    assert lines(tail.out) == [
        {"schema": 1, "role": "assistant", "text": "built", "model": "m-1", "at": "2026-01-01T10:00:00Z"}
    ]
    raw = world.run("a", "session", "show", SESSION, "--tail", "1", "--raw").out
    assert raw == said("assistant", "built", model="m-1").decode()
    world.run("a", "session", "show", SESSION, "--tail", "0", exits=2)


def test_further_streams_are_named_and_shown(folder_world: World) -> None:
    others = {"subagents/a.jsonl": [said("assistant", "searching")], "out.txt": [b"plain\x1b text"]}
    put_session(folder_world.open(), [said("user", "hi")], others=others)
    assert (
        "further streams (--stream NAME): out.txt, subagents/a.jsonl"
        in folder_world.run("a", "session", "show", SESSION).out
    )
    shown = folder_world.run("a", "session", "show", SESSION, "--stream", "subagents/a.jsonl", "--json")
    assert [message["text"] for message in lines(shown.out)] == ["searching"]
    assert folder_world.run("a", "session", "show", SESSION, "--stream", "out.txt").out == "plain\x1b text"
    missing = folder_world.run("a", "session", "show", SESSION, "--stream", "nope", exits=4)
    assert "no stream 'nope'" in missing.err


def test_what_transcripts_say_does_nothing_to_a_terminal(folder_world: World) -> None:
    data = [said("user", HOSTILE), said("assistant", "x", model=HOSTILE), b"raw \x1b[2J \x9b\xff line\n"]
    put_session(folder_world.open("ada"), data, others={"a b.jsonl": [b"{}\n"]})
    for command in (
        ("list",), ("show", SESSION), ("show", SESSION, "--tools"), ("search", "fake"), ("stats", SESSION), ("stats",),
        ("export", SESSION, "--format", "markdown"), ("show", SESSION, "--json"), ("verify",),
    ):  # fmt: skip
        result = folder_world.run("a", "session", *command)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", result.out + result.err), command
    shown = folder_world.run("a", "session", "show", SESSION).out.splitlines()
    assert next(line for line in shown if line.startswith("2026-")) == "2026-01-01 10:00:00 user"
    assert "    fake" in shown
    piped = subprocess.run(
        [sys.executable, "-m", "tracecraft", "session", "show", SESSION, "--raw"],
        cwd=folder_world.folder("a"), env=folder_world.environment("a"), capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert piped.stdout == b"".join(data), "byte for byte to a pipe"
    assert b"\x1b" not in on_a_terminal(folder_world, "session", "show", SESSION, "--raw")


def on_a_terminal(world: World, *arguments: str) -> bytes:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tracecraft", *arguments],
        cwd=world.folder("a"), env=world.environment("a"), stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 1 << 16):
            shown += chunk
    except OSError:
        pass  # the terminal is gone: the command has ended
    os.close(leader)
    assert process.wait(timeout=60) == 0, shown
    return shown


def test_harnesses_that_are_not_known_here_are_shown_as_stored(folder_world: World) -> None:
    put_session(folder_world.open(), [b'{"any": 1}\n'], harness="not-here")
    shown = folder_world.run("a", "session", "show", SESSION)
    assert shown.out == '{"any": 1}\n'
    assert "not known here" in shown.err
    assert "not known here" in folder_world.run("a", "session", "stats", SESSION).err
    assert folder_world.run("a", "session", "export", SESSION, "--format", "jsonl").out == '{"any": 1}\n'
    folder_world.run("a", "session", "export", SESSION, "--format", "markdown", exits=2)


class Following:
    """`session show --follow` as a process, and what it has shown so far."""

    def __init__(self, world: World, *choices: str) -> None:
        self._out = world.root / "followed.out"
        self._err = world.root / "followed.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tracecraft", "session", "show", SESSION, "--follow", *choices],
                cwd=world.folder("f"), env=world.environment("f"), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip

    def wait_for(self, text: str) -> None:
        assert wait_until(lambda: text in self.out + self._err.read_text(), seconds=60), (text, self.out)

    @property
    def out(self) -> str:
        return self._out.read_text()


@pytest.fixture
def following(world: World) -> Iterator[list[Following]]:
    started: list[Following] = []
    yield started
    for one in started:
        one.process.kill()
        one.process.wait(timeout=30)


@two_stores
@pytest.mark.parametrize("raw", [False, True])
def test_follow_goes_on_through_compaction_and_new_generations(
    world: World, following: list[Following], raw: bool
) -> None:
    source = Growing.of(world, "writer", SESSION)
    source.grow(3)
    world.run("writer", *MIRROR)
    one = Following(world, *(["--raw"] if raw else ["--json", "--tail", "1"]))
    following.append(one)
    one.wait_for("1-2" if raw else '"role":"user"')
    for n in range(3):
        source.write({"type": "message", "message": {"role": "user", "content": f"number {n}"}})
        world.run("writer", *MIRROR)
        if n == 1:
            world.run("writer", "session", "compact", SESSION)
        one.wait_for(f"number {n}")
    if raw:
        assert one.out.encode() == source.data
    source.path.write_bytes(source.data.replace(b"number 1", b"NUMBER 1"))
    world.run("writer", *MIRROR)
    one.wait_for("a new generation")
    one.wait_for("NUMBER 1")
    world.run("writer", "session", "stop", SESSION)
    one.wait_for("has ended")
    world.run("writer", "session", "delete", SESSION, "--yes")
    assert one.process.wait(timeout=60) == 4


# Generations of which something is missing.


def test_a_missing_piece_is_told(folder_world: World) -> None:
    project = folder_world.open()
    known = put_session(project, [said("user", "one"), said("user", "two"), said("user", "three")])
    _swap(project, known, drop=1)
    shown = folder_world.run("a", "session", "show", SESSION)
    assert "not whole: bytes" in shown.err
    assert "three" in shown.out
    assert "two" not in shown.out
    assert "not whole" in folder_world.run("a", "session", "export", SESSION, "--format", "markdown").err
    append_generation(project, known := stored_manifest(folder_world), [said("user", "anew")])
    _swap(project, known)
    assert not folder_world.run("a", "session", "show", SESSION).err


def _swap(project: Project, known: Manifest, drop: int | None = None) -> None:
    stored = read(project.store, project.layout.manifest("pi", SESSION), Manifest)
    if drop is not None:
        del known.parts[drop]
    commit(project.store, project.layout.manifest("pi", SESSION), known, stored)
