"""Rubbish planted in the store: every command names the key, skips or stops, and does no harm."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.streams import objects
from tests.support.world import Result, World

LEAF = "1700000000000000000_eve_0badf00d"
KEYS = {
    "facts": "_store.json",
    "agent": "agents/eve.json",
    "memory": "memory/k.json",
    "version": f"memory/_history/k/{LEAF}.json",
    "message": f"messages/a/{LEAF}.json",
    "broadcast": f"messages/_broadcast/{LEAF}.json",
    "sent": f"messages/a/_sent/{LEAF}.json",
    "ack": f"messages/a/_acks/{LEAF}.json",
    "spec": "steps/s/spec.json",
    "claim": "steps/s/claim.json",
    "status": "steps/t/status.json",
    "handoff": "steps/u/handoff.json",
    "sum": "artifacts/_sums/shared/f.json",
    "event": f"events/20260101T000000.000000Z~claim~eve~s~{'0' * 8}.json",
}
POSITION = "messages/a/_reader.json"

FIELDS = (
    "value", "agent", "state", "fence", "id", "ids", "from", "to", "status", "heartbeat", "title", "needs", "priority",
    "order", "tags", "etag", "sha256", "size", "at", "seen", "floor", "type", "subject", "rev", "ttl", "max_hold",
    "held_since", "handoff", "atomic_create", "ack", "acked_at", "message_id",
)  # fmt: skip

RUBBISH = {
    "nothing": b"",
    "text": b"not json",
    "half": b'{"value": "x", "agent"',
    "binary": bytes(range(256)) * 40,
    "not UTF-8": b'{"value": "\xff\xfe"}',
    "list": b"[1, 2]",
    "null": b"null",
    "number": b"1e999",
    "wrong types": json.dumps({name: {"a": [{}]} for name in FIELDS}).encode(),
    "deep list": b"[" * 100_000 + b"]" * 100_000,
    "deep object": b'{"value": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "10 MB": b'{"value": "' + b"x" * 10_000_000,
}

# What each command should name. The good records beside the bad are there all the same.
READS = {
    "status": ["agent", "spec", "claim", "status"],
    "agents": ["agent"],
    "log": ["event"],
    "step list": ["spec", "claim", "status"],
    "step show good": ["spec", "claim"],
    "step-status s": ["claim"],
    "step-status t": ["status"],
    "handoff u": ["handoff"],
    "wait-for s --timeout 0": ["claim"],
    "memory list": ["memory"],
    "memory get k": ["memory"],
    "memory history good": [],
    "inbox": ["message", "broadcast"],
    "sent": ["sent"],
    "artifact list": ["sum"],
    "doctor": ["agent", "claim", "memory"],
}
GOOD = {
    "status": "good",
    "step list": "good",
    "memory list": "good",
    "inbox": "fine",
    "log": "memory.set",
    "agents": "b",
}


def plant(world: World, data: bytes, *, but: tuple[str, ...] = ("facts",)) -> None:
    bob = world.open("b")
    bob.steps.claim("good")
    bob.steps.claim("u")
    bob.memory.set("good", "fine")
    bob.mailbox.send("a", "fine")
    store = bob.store
    # A status of 0.2.x is what makes anybody read the handoff beside it.
    store.delete("demo/steps/u/claim.json")
    store.put("demo/steps/u/status.json", b'{"status": "complete", "agent": "eve"}')
    store.put("demo/artifacts/shared/f", b"content")
    for name, key in KEYS.items():
        if name not in but:
            store.put(f"demo/{key}", data)


@pytest.mark.parametrize("kind", RUBBISH)
def test_readers_name_it_and_go_on_or_stop(folder_world: World, kind: str) -> None:
    plant(folder_world, RUBBISH[kind])
    for command, names in READS.items():
        done = folder_world.run("a", *command.split(), exits=None)
        assert done.code in (0, 1), (command, done)
        assert is_clean(done), command
        for name in names:
            assert KEYS[name] in done.err + done.out, (command, name, done.err[:2000])
        if command in GOOD:
            assert GOOD[command] in done.out, command


@pytest.mark.parametrize("kind", ["text", "wrong types", "deep list"])
def test_readers_on_every_store(world: World, kind: str) -> None:
    plant(world, RUBBISH[kind])
    for command in ("status --json", "inbox --new --json", "memory list --json", "log --json"):
        done = world.run("a", *command.split())
        assert done.json["schema"] == 1
        assert done.err
        assert all(json.loads(line)["schema"] == 1 for line in done.err.splitlines())


@pytest.mark.parametrize("kind", RUBBISH)
def test_writers_do_no_harm(folder_world: World, kind: str) -> None:
    plant(folder_world, RUBBISH[kind])
    before = objects(folder_world)
    for command in (
        "claim s", "claim s --steal", "complete s", "complete s --force", "release s", "renew s", "reopen s",
        "step add s --title new", "memory set k v --if-absent", "memory delete k", "exec s -- touch ran",
    ):  # fmt: skip
        done = folder_world.run("a", *command.split(), exits=None)
        assert done.code in (1, 3, 101, 103), (command, done)
        assert is_clean(done), command
    assert not (folder_world.folder("a") / "ran").exists()
    after = objects(folder_world)
    assert {key: after.get(key) for key in before if "/agents/" not in key} == {
        key: etag for key, etag in before.items() if "/agents/" not in key
    }
    folder_world.run("a", "next", "--json", exits=4)
    for command in ("send eve hello", "claim fresh", "memory set k mended", "complete fresh", "step add new"):
        folder_world.run("a", *command.split())
    assert folder_world.run("a", "memory", "get", "k").out == "mended\n"


@pytest.mark.parametrize("kind", RUBBISH)
def test_the_read_position(folder_world: World, kind: str) -> None:
    folder_world.open("b").mailbox.send("a", "fine")
    store = folder_world.open("b").store
    store.put(f"demo/{POSITION}", RUBBISH[kind])
    done = folder_world.run("a", "inbox", "--new", exits=None)
    assert done.code in (0, 1)
    assert is_clean(done)
    assert POSITION in done.err
    assert "fine" in folder_world.run("a", "inbox").out


@pytest.mark.parametrize("kind", RUBBISH)
def test_the_stores_facts(folder_world: World, kind: str) -> None:
    folder_world.open("b").store.put("demo/_store.json", RUBBISH[kind])
    folder_world.run("a", "claim", "x")
    for command in ("init", "doctor", "doctor --repair"):
        done = folder_world.run("a", *command.split(), exits=None)
        assert done.code in (0, 1), (command, done)
        assert is_clean(done)


@pytest.mark.parametrize("kind", ["text", "null", "wrong types", "deep object"])
def test_what_the_machine_remembers(folder_world: World, kind: str) -> None:
    """The local state is only a saving: without it everything works."""
    folder_world.run("a", "claim", "x")
    state = Path(folder_world.environment("a")["HOME"]) / ".tracecraft" / "state"
    remembered = list(state.rglob("*.json"))
    assert remembered
    for file in remembered:
        file.write_bytes(RUBBISH[kind])
    folder_world.run("a", "claim", "y")
    folder_world.run("a", "renew")
    folder_world.run("a", "complete", "x")


@pytest.mark.parametrize("kind", RUBBISH)
def test_ones_own_record(folder_world: World, kind: str) -> None:
    """A claim that is won is not reported as failed over it, and the next heartbeat mends it."""
    folder_world.open("b").store.put("demo/agents/a.json", RUBBISH[kind])
    done = folder_world.run("a", "claim", "x")
    assert is_clean(done)
    assert folder_world.run("b", "agents", "--json").json["agents"][0]["step"] == "x"


@pytest.mark.parametrize("leaf", ["spec.json", "claim.json"])
def test_the_queue_goes_on_without_a_broken_step(folder_world: World, leaf: str) -> None:
    """A broken spec may have had needs, and a broken claim a holder: `next` leaves both alone and says so."""
    steps = folder_world.open("b").steps
    steps.add("bad", needs=["never"], priority=0)
    steps.add("good")
    folder_world.open("b").store.put(f"demo/steps/bad/{leaf}", b"not json")
    done = folder_world.run("a", "next", "--json")
    assert done.json["step"] == "good"
    assert f"steps/bad/{leaf}" in done.err
    assert folder_world.run("a", "step", "list", "--ready", "--json").json["steps"] == []


def test_a_broken_view_hides_no_claim(folder_world: World) -> None:
    folder_world.open("b").steps.claim("good")
    folder_world.open("b").store.put("demo/steps/good/status.json", b"not json")
    done = folder_world.run("a", "status", "--json")
    assert [(step["step"], step["agent"]) for step in done.json["steps"]] == [("good", "b")]
    folder_world.run("a", "doctor", "--repair", exits=None)
    assert folder_world.run("a", "step-status", "good").err == ""


def test_odd_keys_are_passed_over(folder_world: World) -> None:
    folder_world.run("b", "claim", "good")
    root = folder_world.root / "store" / "demo"
    for odd in ("agents/.json", "agents/x", "agents/deep/er.json", "memory/x", "messages/a/x.json", "messages/a/y",
                "steps/file", "steps/s/other.json", "steps/s/deep/claim.json", "artifacts/loose", "events/x.json",
                "events/a~b.json", "memory/_history/x", "messages/a/\x1b[31m_x_1.json", "agents/\x1b[31m.json",
                "steps/\x1b[31m/claim.json", "memory/\n.json", "artifacts/shared/\x1b[31m"):  # fmt: skip
        path = root / odd
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}")
    for command in (*READS, "doctor --repair", "inbox --new"):
        done = folder_world.run("a", *command.split(), exits=None)
        assert done.code in (0, 1, 4, 5), (command, done)
        assert is_clean(done), command


def test_special_files_in_the_folder_hang_nobody(folder_world: World) -> None:
    folder_world.run("b", "claim", "good")
    root = folder_world.root / "store" / "demo"
    secret = folder_world.root / "secret"
    secret.write_text('{"value": "outside"}')
    for folder in ("memory", "messages/a", "steps/p", "steps/q"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    os.mkfifo(root / "memory" / "pipe.json")
    os.mkfifo(root / "messages" / "a" / f"{LEAF}.json")
    os.mkfifo(root / "steps" / "p" / "claim.json")
    (root / "memory" / "link.json").symlink_to(secret)
    (root / "steps" / "q" / "claim.json").symlink_to(secret)
    for command in (
        *READS,
        "inbox --new",
        "memory get pipe",
        "memory get link",
        "memory set link v",
        "claim p",
        "claim q",
    ):
        done = folder_world.run("a", *command.split(), exits=None)
        assert "outside" not in done.out, command
    assert secret.read_text() == '{"value": "outside"}'


def test_a_huge_object_costs_no_more_than_it_must(folder_world: World) -> None:
    """64 MB under another's memory key: `memory get` of one key and `status` do not read it."""
    folder_world.open("b").memory.set("good", "fine")
    folder_world.open("b").store.put("demo/memory/huge.json", b'{"value": "' + b"x" * (64 << 20) + b'"}')
    for command in (["memory", "get", "good"], ["status"], ["claim", "x"]):
        done = subprocess.run(
            [sys.executable, "-m", "tracecraft", *command],
            env=folder_world.environment("a"),
            cwd=folder_world.folder("a"),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (60 << 20, 60 << 20)),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b""), command


def is_clean(done: Result) -> bool:
    """No control characters, and nobody drowns in what was planted."""
    text = done.out + done.err
    return len(text) < 100_000 and not [c for c in text if (ord(c) < 32 and c not in "\n") or 127 <= ord(c) < 160]
