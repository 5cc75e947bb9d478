"""Names that attack: every command that takes one refuses it, and writes nothing anywhere."""

from __future__ import annotations

import json
import os

import pytest

from tests.support.streams import files, objects
from tests.support.world import World

EVIL = {
    "empty": "",
    "dot": ".",
    "dots": "..",
    "up": "../x",
    "deep up": "a/../../../x",
    "absolute": "/etc/x",
    "folder": "a/b",
    "backslash": "..\\x",
    "leading dot": ".hidden",
    "underscore": "_broadcast2",
    "newline": "a\nb",
    "tab": "a\tb",
    "escape": "\x1b[31mred",
    "delete": "a\x7fb",
    "c1": "a\x9bb",
    "space": "a b",
    "long": "a" * 65,
    "very long": "a" * 100_000,
    "look-alike": "\u0430dmin",
    "full width": "\uff41bc",
    "kelvin": "\u212aey",
    "combining": "e\u0301",
    "direction": "a\u202eb",
    "joiner": "a\u200db",
    "not UTF-8": os.fsdecode(b"a\xff"),
    "percent": "..%2fx",
    "tilde": "a~b",
    "colon": "C:x",
}

# Where a name stands is NAME.
WRITERS = {
    "claim": ["claim", "NAME"],
    "release": ["release", "NAME"],
    "renew": ["renew", "NAME"],
    "complete": ["complete", "NAME", "--force"],
    "complete --to": ["complete", "held", "--to", "NAME"],
    "reopen": ["reopen", "NAME"],
    "step add": ["step", "add", "NAME"],
    "step add --needs": ["step", "add", "new", "--needs", "NAME,held"],
    "step add --tag": ["step", "add", "new", "--tag", "NAME"],
    "memory set": ["memory", "set", "NAME", "v"],
    "memory set part": ["memory", "set", "ok.NAME", "v"],
    "memory set --if-absent": ["memory", "set", "NAME", "v", "--if-absent"],
    "send": ["send", "NAME", "hello"],
    "artifact upload --name": ["artifact", "upload", "file", "--name", "NAME"],
    "artifact upload --step": ["artifact", "upload", "file", "--step", "NAME"],
    "--agent": ["memory", "set", "k", "v", "--agent", "NAME"],
    "--project": ["memory", "set", "k", "v", "--project", "NAME"],
    "init --agent": ["init", "--agent", "NAME"],
    "init --project": ["init", "--project", "NAME"],
}
STEPS = {"claim", "release", "renew", "complete", "reopen", "step add", "step add --needs", "artifact upload --step"}

READERS = {
    "step-status": ["step-status", "NAME"],
    "handoff": ["handoff", "NAME"],
    "wait-for": ["wait-for", "NAME", "--timeout", "0", "--declared"],
    "memory get": ["memory", "get", "NAME"],
    "memory history": ["memory", "history", "NAME"],
    "memory delete": ["memory", "delete", "NAME"],
    "artifact download": ["artifact", "download", "NAME"],
    "artifact download --step": ["artifact", "download", "f", "--step", "NAME"],
    "artifact list --step": ["artifact", "list", "--step", "NAME"],
    "send --reply-to": ["send", "b", "hello", "--reply-to", "NAME"],
}
THOROUGHLY = ("claim", "memory set", "send", "artifact upload --name")
WORST = ("empty", "up", "absolute", "leading dot", "long", "not UTF-8")
SEGMENTS = ("up", "absolute", "newline", "escape", "c1", "not UTF-8")
"""What even a name that is only read may never be."""
MAY_BE_EMPTY = (
    "complete --to", "--agent", "--project", "init --agent", "init --project", "step add --needs",
    "artifact upload --name", "artifact upload --step",
)  # fmt: skip


def attacks() -> list[tuple[str, str]]:
    """The worst names in every place, and every name in some."""
    chosen = [(writer, kind) for writer in WRITERS for kind in (EVIL if writer in THOROUGHLY else WORST)]
    return [pair for pair in chosen if not means_something_else(*pair)]


def means_something_else(writer: str, kind: str) -> bool:
    """Whether a name is no attack in this place: steps are lower case with dashes for dots, empty is not given."""
    dotted = writer in STEPS and kind in ("dot", "dots", "leading dot", "kelvin")
    return dotted or (kind == "empty" and writer in MAY_BE_EMPTY)


@pytest.mark.parametrize(("writer", "kind"), attacks())
def test_a_writer(folder_world: World, writer: str, kind: str) -> None:
    refused(folder_world, WRITERS[writer], EVIL[kind])


@pytest.mark.parametrize("kind", SEGMENTS)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader(folder_world: World, reader: str, kind: str) -> None:
    refused(folder_world, READERS[reader], EVIL[kind])


def refused(world: World, template: list[str], name: str) -> None:
    folder = world.folder("a")
    (folder / "file").write_text("content")
    world.open("a").steps.claim("held")
    before, stored = files(world.root), objects(world)
    arguments = [word.replace("NAME", name) for word in template]
    done = world.run("a", *arguments, exits=2, TRACECRAFT_JSON="1")
    assert done.out == ""
    assert done.error["code"] == "usage"
    assert done.error["hint"]
    assert not [char for char in done.err.rstrip("\n") if ord(char) < 32 or 127 <= ord(char) < 160]
    assert len(done.err) < 2000
    assert objects(world) == stored
    assert files(world.root) == before


@pytest.mark.parametrize("name", ["a\0b", "../x", "", "a/b", "x" * 65, "\u0430"])
def test_step_load(folder_world: World, name: str) -> None:
    """Names that no argument can hold come by a file; one bad line keeps all of it out."""
    lines = [{"step": "good"}, {"step": name}]
    text = "\n".join(json.dumps(line) for line in lines)
    done = folder_world.run("a", "step", "load", "-", stdin=text, exits=2)
    assert "line 2" in done.err
    assert objects(folder_world) == {}
    needing = json.dumps({"step": "good", "needs": [name], "tags": ["x"]})
    folder_world.run("a", "step", "load", "-", stdin=needing, exits=2)
    tagged = json.dumps({"step": "good", "tags": [name]})
    folder_world.run("a", "step", "load", "-", stdin=tagged, exits=2)
    assert objects(folder_world) == {}


@pytest.mark.parametrize("variable", ["TRACECRAFT_AGENT", "TRACECRAFT_PROJECT"])
@pytest.mark.parametrize("name", ["../x", "/abs", "a\nb", ".x", "x" * 65])
def test_the_environment(folder_world: World, variable: str, name: str) -> None:
    folder_world.run("a", "memory", "set", "k", "v", exits=2, **{variable: name})
    assert objects(folder_world) == {}


@pytest.mark.parametrize("field", ["agent_id", "project"])
def test_the_settings_file(folder_world: World, field: str) -> None:
    settings = {"store": folder_world.url, "project": "demo", "agent_id": "a", field: "../../x"}
    (folder_world.folder("a") / ".tracecraft.json").write_text(json.dumps(settings))
    nothing = {"TRACECRAFT_AGENT": "", "TRACECRAFT_PROJECT": "", "TRACECRAFT_STORE": ""}
    folder_world.run("a", "memory", "set", "k", "v", exits=2, **nothing)
    assert objects(folder_world) == {}


def test_a_memory_key_of_many_bytes(folder_world: World) -> None:
    folder_world.run("a", "memory", "set", ".".join(["abc"] * 200), "v", exits=2)
    folder_world.run("a", "memory", "set", ".".join(["abc"] * 100), "v")
    assert folder_world.run("a", "memory", "get", ".".join(["abc"] * 100)).out == "v\n"


def test_names_that_differ_only_in_case(world: World) -> None:
    world.run("Bob", "init")
    assert "Bob" in world.run("bob", "init", exits=3).err
    (world.folder("Bob") / "File.txt").write_text("1")
    (world.folder("Bob") / "file.txt").write_text("2")
    world.run("Bob", "artifact", "upload", "File.txt")
    world.run("Bob", "artifact", "upload", "file.txt", exits=3)
