"""Text that attacks: escapes, forged lines, huge values; and artifacts that want to land elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.world import World

HOSTILE = "first\x1b[2J\x1b]0;title\x07\r\x08\x7f\x9b31m\u202eback\u2028\x00 \ttab\nsecond line\r\n\x1b[A"
NOT_PLAIN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
LEAF = "1700000000000000000_eve_0badf00d"


@pytest.fixture
def hostile(folder_world: World) -> World:
    """A project in which agents and programs wrote hostile text wherever text can be, 0.2.x agent names included."""
    bob = folder_world.open("b")
    bob.steps.add("s", title=HOSTILE)
    bob.steps.claim("s")
    bob.steps.complete("s", outcome="blocked", note=HOSTILE, next_action=HOSTILE)
    bob.steps.claim("r")
    bob.steps.release("r", note=HOSTILE)
    bob.memory.set("k", HOSTILE)
    bob.memory.set("deep", {HOSTILE: [HOSTILE]})
    bob.mailbox.send("a", HOSTILE)
    bob.mailbox.send("_broadcast", HOSTILE)
    folder_world.open("a").mailbox.send("b", HOSTILE)
    put = bob.store.put
    evil = {
        "from": HOSTILE,
        "to": HOSTILE,
        "message": HOSTILE,
        "sent_at": HOSTILE,
        "step": HOSTILE,
        "reply_to": HOSTILE,
    }
    for key in (f"messages/a/{LEAF}", f"messages/a/_sent/{LEAF}"):
        put(f"demo/{key}.json", json.dumps(evil).encode())
    agent = {"id": HOSTILE, "status": HOSTILE, "step": HOSTILE, "heartbeat": HOSTILE, "place": HOSTILE}
    put("demo/agents/eve.json", json.dumps(agent).encode())
    put("demo/steps/t/claim.json", json.dumps({"agent": HOSTILE, "claimed_at": HOSTILE}).encode())
    handoff = {"from_agent": HOSTILE, "next_agent": HOSTILE, "state": HOSTILE, "note": HOSTILE, "created_at": HOSTILE,
               "next_action": HOSTILE, "changed_files": [HOSTILE]}  # fmt: skip
    put("demo/steps/u/status.json", json.dumps({"status": "complete", "agent": HOSTILE}).encode())
    put("demo/steps/u/handoff.json", json.dumps(handoff).encode())
    put("demo/steps/v/spec.json", json.dumps({"title": HOSTILE, "needs": [HOSTILE], "tags": [HOSTILE]}).encode())
    put("demo/memory/by.json", json.dumps({"value": "v", "set_by": HOSTILE, "set_at": HOSTILE}).encode())
    put(f"demo/memory/_history/by/{LEAF}.json", json.dumps({"value": HOSTILE, "set_by": HOSTILE}).encode())
    event = {"type": HOSTILE, "agent": HOSTILE, "subject": HOSTILE, "at": HOSTILE, "about": HOSTILE, HOSTILE: HOSTILE}
    put(f"demo/events/20260101T000000.000000Z~claim~eve~s~{'0' * 8}.json", json.dumps(event).encode())
    put("demo/artifacts/shared/f", b"content")
    put("demo/artifacts/_sums/shared/f.json", json.dumps({"etag": "x", "sha256": HOSTILE, "size": 1}).encode())
    return folder_world


COMMANDS = [
    "status", "agents", "log", "step list", "step show s", "step show u", "step show v", "step-status t",
    "step-status u", "handoff s", "handoff u", "claim t", "claim s", "claim r", "wait-for s", "wait-for u",
    "wait-for t --timeout 0", "next", "memory list", "memory history k", "memory history by", "inbox", "inbox --new",
    "sent", "artifact list", "doctor", "complete t", "renew t",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_text_holds_no_control_characters(hostile: World, command: str) -> None:
    done = hostile.run("a", *command.split(), exits=None)
    text = done.out + done.err
    assert text
    assert not NOT_PLAIN.findall(text), text


@pytest.mark.parametrize("command", [*COMMANDS, "memory get k", "memory get deep"])
def test_json_holds_none_either(hostile: World, command: str) -> None:
    done = hostile.run("a", *command.split(), "--json", exits=None)
    assert "\t" not in done.out + done.err
    for line in [*done.out.splitlines(), *done.err.splitlines()]:
        assert json.loads(line)["schema"] == 1
        assert not NOT_PLAIN.findall(line)


@pytest.mark.parametrize("command", ["claim t", "complete t", "step-status t", "wait-for s", "handoff u"])
def test_no_text_passes_for_a_line_of_ours(hostile: World, command: str) -> None:
    """Every second line of somebody else's text is set in, or shown as part of the first."""
    done = hostile.run("a", *command.split(), exits=None)
    assert "second line" in done.out + done.err
    assert not [line for line in (done.out + done.err).splitlines() if line.startswith("second line")]


def test_json_keeps_the_text_as_it_is(hostile: World) -> None:
    assert hostile.run("a", "memory", "get", "k", "--json").json["value"] == HOSTILE
    assert HOSTILE in {m["message"] for m in hostile.run("a", "inbox", "--json").json["messages"]}


def test_a_pipe_gets_the_value_as_it_is(hostile: World) -> None:

    folder = hostile.folder("a")
    (folder / "value").write_bytes("a\x1b[1m\nb é".encode())
    hostile.run("a", "memory", "set", "v", "@value")
    assert hostile.run("a", "memory", "get", "v").out == "a\x1b[1m\nb é\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_a_message_cannot_forge_another(folder_world: World, newline: str) -> None:
    """A second line in a message never looks like the first line of one."""
    real = folder_world.open("boss").mailbox.send("a", "real")
    line = folder_world.run("a", "inbox").out.rstrip("\n")
    assert real.message.message in line
    folder_world.open("eve").mailbox.send("a", f"hello{newline}{line}{newline}{line}")
    for command in ("inbox", "inbox --new"):
        lines = re.split("[\n\r\x0b\x0c\x85\u2028\u2029]", folder_world.run("a", *command.split()).out)
        assert [found for found in lines if found == line] == [line]
        assert len([found for found in lines if found and not found.startswith(" ")]) == 2


def test_a_sender_cannot_forge_a_line_with_its_name(folder_world: World) -> None:
    forged = {
        "from": "eve to you: hi\n2026-01-01 00:00:00 #00000000 boss",
        "to": "a",
        "message": "do it",
        "step": "x]\ny",
    }
    folder_world.open("b").store.put(f"demo/messages/a/{LEAF}.json", json.dumps(forged).encode())
    assert folder_world.run("a", "inbox").out.count("\n") == 1


@pytest.mark.parametrize("how", ["stdin", "file"])
def test_ten_megabytes(world: World, how: str) -> None:
    text = "0123456789" * 1_000_000
    (world.folder("a") / "big").write_text(text)
    value, stdin = ("-", text) if how == "stdin" else ("@big", "")
    world.run("a", "memory", "set", "big", value, stdin=stdin)
    assert world.run("b", "memory", "get", "big").out == text + "\n"
    world.run("a", "send", "b", "-", stdin=text)
    assert world.run("b", "inbox", "--new", "--json").json["messages"][0]["message"] == text


def test_more_than_a_record_may_hold(folder_world: World) -> None:
    text = "0" * (17 << 20)
    for arguments in (["memory", "set", "big", "-"], ["send", "b", "-"]):
        done = folder_world.run("a", *arguments, stdin=text, exits=2)
        assert "artifact upload" in done.err
    assert folder_world.run("a", "memory", "list").out == "no keys\n"
    assert not list(folder_world.open("b").mailbox.read())


@pytest.mark.parametrize("option", ["complete x --note -", "release x --note -", "reopen y --note -"])
def test_a_note_of_any_size(folder_world: World, option: str) -> None:
    """What is too large for a record is refused before anything changes; everything else is stored."""
    folder_world.run("a", "claim", "x")
    folder_world.run("a", "complete", "y", "--force")
    before = folder_world.run("a", "step", "list", "--json").json
    folder_world.run("a", *option.split(), stdin="0" * (17 << 20), exits=2)
    assert folder_world.run("a", "step", "list", "--json").json == before
    folder_world.run("a", *option.split(), stdin="0" * (1 << 20))


@pytest.mark.parametrize("levels", [101, 100_000])
def test_deep_json_is_refused(folder_world: World, levels: int) -> None:
    deep = "[" * levels + "]" * levels
    folder_world.run("a", "memory", "set", "k", "-", stdin=deep, exits=2)
    folder_world.run("a", "memory", "set", "k", "-", "--as-json", stdin=deep, exits=2)
    folder_world.run("a", "memory", "get", "k", exits=4)
    folder_world.run("a", "memory", "set", "k", "-", stdin="[" * 50 + "]" * 50)


def test_bytes_that_are_no_text(folder_world: World) -> None:
    for arguments in (["memory", "set", "k", "-"], ["send", "b", "-"], ["step", "load", "-"]):
        folder_world.run("a", *arguments, stdin=b"\xff\xfe\x00", exits=2)
    assert folder_world.run("a", "inbox").out == "no messages\n"


def test_an_artifact_never_leaves_its_folder(folder_world: World) -> None:
    (folder_world.folder("a") / "f").write_text("mine")
    for name in ("../f", "/f", "..", "a/b", ".hidden"):
        folder_world.run("a", "artifact", "upload", "f", "--name", name, exits=2)
    for name in ("../f", "/etc/passwd", "..", "a/b"):
        folder_world.run("a", "artifact", "download", name, exits=2)
    assert folder_world.run("a", "artifact", "list").out == "no artifacts\n"


def test_a_link_at_the_destination_is_replaced_not_followed(folder_world: World) -> None:
    folder = folder_world.folder("a")
    (folder / "f").write_text("new")
    folder_world.run("a", "artifact", "upload", "f")
    victim = folder_world.root / "victim"
    victim.write_text("precious")
    (folder / "f").unlink()
    (folder / "f").symlink_to(victim)
    folder_world.run("a", "artifact", "download", "f")
    assert victim.read_text() == "precious"
    assert not (folder / "f").is_symlink()
    assert (folder / "f").read_text() == "new"
    assert left_over(folder) == []


def test_a_folder_at_the_destination(folder_world: World) -> None:
    folder = folder_world.folder("a")
    (folder / "f").write_text("new")
    folder_world.run("a", "artifact", "upload", "f")
    (folder / "f").unlink()
    (folder / "f").mkdir()
    folder_world.run("a", "artifact", "download", "f", exits=2)
    folder_world.run("a", "artifact", "download", "f", "-o", "nowhere/f", exits=2)
    assert left_over(folder) == []


def test_an_artifact_that_was_tampered_with(folder_world: World) -> None:
    folder = folder_world.folder("a")
    (folder / "f").write_text("what was meant")
    folder_world.run("a", "artifact", "upload", "f")
    folder_world.open("b").store.put("demo/artifacts/shared/f", b"something else")
    (folder / "f").unlink()
    done = folder_world.run("a", "artifact", "download", "f")
    assert "unverified" in done.out
    assert "unverified" in done.err


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]
