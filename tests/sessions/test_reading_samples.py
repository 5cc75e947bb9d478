"""Samples of real harnesses, mirrored and then read by every command that reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sessions.test_samples import LINES, SAMPLES, Sample, needs_samples
from tests.support.world import World


@needs_samples
@pytest.mark.parametrize("sample", LINES, ids=str)
def test_a_sample_is_read_in_every_way(folder_world: World, sample: Sample) -> None:
    world = folder_world
    place = Path(world.environment("a")["HOME"]) / sample.place
    place.parent.mkdir(parents=True)
    data = (SAMPLES / sample.harness / sample.files[-1]).read_bytes()
    data = data[: data.rfind(b"\n") + 1]
    place.write_bytes(data)
    world.run("a", "session", "mirror", "--all-harnesses", "--no-redact", "--yes")
    assert world.run("b", "session", "export", sample.session_id, "--format", "jsonl", "-o", "x.jsonl").code == 0
    assert (world.folder("b") / "x.jsonl").read_bytes() == data

    said = [
        json.loads(line) for line in world.run("b", "session", "show", sample.session_id, "--json").out.splitlines()
    ]
    assert {"user", "assistant"} <= {message["role"] for message in said}
    tail = world.run("b", "session", "show", sample.session_id, "--json", "--tail", "3").out.splitlines()
    assert list(map(json.loads, tail)) == said[-3:]
    counted = world.run("b", "session", "stats", sample.session_id, "--json").json
    listed = world.run("b", "session", "list", "--json").json["sessions"][0]
    assert counted["messages"] == listed["messages"]
    assert counted["tokens"] == listed["tokens"]
    for command in (("show", "--tools", "--thinking"), ("export", "--format", "markdown")):
        world.run("b", "session", command[0], sample.session_id, *command[1:])
    words = [word for message in said for word in message.get("text", "").split() if word.isalnum() and len(word) > 6]
    if words:
        world.run("b", "session", "search", words[-1])
