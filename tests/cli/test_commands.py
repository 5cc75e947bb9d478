"""Every command: what it prints, what its JSON document holds, how it ends, and what an error looks like."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.world import Result, World

Before = Callable[[World], object]


def nothing(_world: World) -> None:
    pass


def designed(world: World) -> None:
    """Step `design` of agent `a` is complete, with a handoff to `b`."""
    steps = world.open("a").steps
    steps.claim("design")
    steps.complete("design", note="two fields", to="b", next_action="build it")


def held(world: World, by: str = "b") -> None:
    world.open(by).steps.claim("design")


def mine(world: World) -> None:
    held(world, "a")


def blocked(world: World) -> None:
    mine(world)
    world.open("a").steps.complete("design", outcome="blocked", note="no key")


def declared(world: World) -> None:
    world.open("a").steps.add("design", title="The schema", needs=["idea"], priority=1, tags=["web"])


def ready(world: World) -> None:
    world.open("a").steps.add("design", tags=["web"])


def remembered(world: World) -> None:
    world.open("b").memory.set("build.status", {"ok": True})


def mail(world: World) -> None:
    world.open("b").mailbox.send("a", "hello", step="design", ack=True)


def read_by_a(world: World) -> None:
    mail(world)
    for _ in world.open("a").mailbox.new():
        pass


def wrote(world: World) -> None:
    world.open("a").mailbox.send("b", "hello")


def file_at_hand(world: World) -> None:
    (world.folder("a") / "report.txt").write_text("fine")


def uploaded(world: World) -> None:
    file_at_hand(world)
    world.open("b").artifacts.upload(world.folder("a") / "report.txt")


@dataclass(frozen=True)
class Case:
    """A command of agent `a` that succeeds: its text matches `text`, its document holds `document` at least."""

    arguments: str
    text: str
    document: dict[str, Any] = field(default_factory=dict)
    before: Before = nothing

    def __str__(self) -> str:
        return self.arguments


ANYTHING = type("Anything", (), {"__eq__": lambda _self, _other: True, "__repr__": lambda _self: "..."})()

CASES = [
    Case("status", r"project demo on .*\n\nno agents\n\n0 steps\n\n0 unread messages", {"agents": [], "unread": 0}),
    Case("status", r"(?s).*\bb +active +design .*1 steps: 1 in_progress.*", {"project": "demo"}, held),
    Case("agents", "no agents", {"agents": []}),
    Case("agents", r"AGENT .*\nb +active +design .*", {"agents": [ANYTHING]}, held),
    Case("log", "no events", {"events": []}),
    Case("log --type claim", r".+ b claim design \(fence 1\).*", {"events": [ANYTHING]}, held),
    Case("log --since 1h --until 2100-01-01 --agent b", r".* b claim design .*", {"events": [ANYTHING]}, held),
    Case("log --subject other", "no events", {"events": []}, held),
    Case("gc", "nothing to collect", {"applied": False, "collected": ANYTHING}, held),
    Case("gc --messages-older-than 0", r"messages: 2 objects, .*; 1 messages, 1 copies, 0 acks; 3 requests\nnothing was changed; .*", {"applied": False}, read_by_a),  # noqa: E501
    Case("gc --apply --messages-older-than 0 --only messages", r"messages: 2 objects, .*", {"applied": True}, read_by_a),  # noqa: E501
    Case(
        "claim design --ttl 30m",
        r"claimed design as a \(fence 1, lease 30m\)",
        {"step": "design", "agent": "a", "fence": 1, "how": "claimed", "ttl": 1800.0, "previous": None},
    ),
    Case("claim design", "already yours: design .*", {"how": "already_yours", "fence": 1}, mine),
    Case("claim design --steal", "took design away from b .*", {"how": "stolen", "fence": 2, "previous": "b"}, held),
    Case("claim design", r"(?s)claimed design as a \(fence 2.*note: no key.*", {"how": "claimed"}, blocked),
    Case("release design --note tired", "released design", {"step": "design", "state": "pending"}, mine),
    Case("renew", "renewed design", {"renewed": [ANYTHING]}, mine),
    Case("renew design", "renewed design", {"renewed": [ANYTHING]}, mine),
    Case("renew", "you hold nothing", {"renewed": []}),
    Case(
        "complete design --note done --to b",
        "design is complete, handed to b",
        {"state": "complete", "agent": "a", "fence": 1, "handoff": ANYTHING},
        mine,
    ),
    Case("complete design --blocked", "design is blocked", {"state": "blocked"}, mine),
    Case("complete design --needs-review", "design is needs_review", {"state": "needs_review"}, mine),
    Case("complete design --force", "design is complete", {"state": "complete", "fence": 2}, held),
    Case("reopen design", "design is pending again", {"state": "pending"}, designed),
    Case("step-status design", r"design: complete \(agent: a\)", {"state": "complete", "agent": "a"}, designed),
    Case("step-status design", "design: pending", {"state": "pending", "agent": None, "fence": 0}),
    Case(
        "handoff design",
        r"handoff from a to b \(complete, .*\)\n +note: two fields\n +next: build it",
        {"handoff": ANYTHING},
        designed,
    ),
    Case("wait-for design", "complete: design", {"complete": ["design"]}, designed),
    Case("step add Design --priority 1 --tag web", "declared design", {"step": "design", "priority": 1, "tags": ["web"]}),  # noqa: E501
    Case("step list", r"STEP .*\ndesign +pending +1 +idea +The schema", {"steps": [ANYTHING]}, declared),
    Case("step list --ready", "no steps", {"steps": []}, declared),
    Case("step list --ready --tag web --state pending", r"(?s)STEP .*design .*", {"steps": [ANYTHING]}, ready),
    Case("step show design", r"design: pending\ntitle: The schema\npriority: 1  tags: web\nneeds: idea \(pending\)", {"ready": False, "unmet": ["idea"]}, declared),  # noqa: E501
    Case("next", r"claimed design as a \(fence 1, .*\)", {"step": "design", "how": "claimed"}, ready),
    Case("next --tag web --wait 1s --ttl 10m --another", "claimed design .*", {"ttl": 600.0}, ready),
    Case("memory set build.status green", "set build.status", {"key": "build.status", "value": "green", "set_by": "a"}),
    Case("memory set build.status 1.10 --as-json", "set build.status", {"value": 1.1}),
    Case("memory set build.status {} --if-absent", "set build.status", {"value": {}}),
    Case("memory get build.status", '{"ok":true}', {"value": {"ok": True}, "set_by": "b"}, remembered),
    Case("memory list build.", "build.status", {"keys": [ANYTHING]}, remembered),
    Case("memory list", "no keys", {"keys": []}),
    Case("memory delete build.status", "deleted build.status", {"key": "build.status", "deleted": True}, remembered),
    Case("memory history build.status", r'\[.*\] b: {"ok":true}', {"versions": [ANYTHING]}, remembered),
    Case("send b hello --step design", r"sent to b \(id [0-9a-z_]+\)", {"to": "b", "id": ANYTHING}),
    Case("broadcast hello", r"sent to everybody \(id .*\)", {"to": "_broadcast"}),
    Case("sent", r".+ to b: stored: hello", {"sent": [ANYTHING]}, wrote),
    Case("sent --unread", "nothing sent|nothing unread", {"sent": []}),
    Case("inbox", r".+ b to you \[step design\] \(wants an ack\): hello", {"messages": [ANYTHING]}, mail),
    Case("inbox --new", r".+ b to you .*: hello", {"messages": [ANYTHING]}, mail),
    Case("inbox --delete --limit 1", r".+ b to you .*: hello", {"messages": [ANYTHING]}, mail),
    Case("inbox", "no messages", {"messages": []}),
    Case("inbox --new", "no new messages", {"messages": []}),
    Case("artifact upload report.txt --step s1 --name r.txt", r"uploaded r.txt \(4 bytes, sha256 [0-9a-f]{12}\)", {"step": "s1", "size": 4, "verified": True}, file_at_hand),  # noqa: E501
    Case("artifact download report.txt -o got.txt", r"downloaded report.txt to got.txt \(4 bytes, checked\)", {"path": "got.txt", "verified": True}, uploaded),  # noqa: E501
    Case("artifact list", r"STEP .*\nshared +report.txt +4 +b +[0-9a-f]{12}", {"artifacts": [ANYTHING]}, uploaded),
    Case("artifact list --step s9", "no artifacts", {"artifacts": []}, uploaded),
    Case("doctor", r"(?s)ok +settings: .*ok +promises: one winner .*", {"healthy": True, "findings": ANYTHING}, mine),
    Case("init", r"(?s)project demo, agent a\nstore .*\nclaims are safe here: .*", {"project": "demo", "agent": "a"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_text(folder_world: World, case: Case) -> None:
    case.before(folder_world)
    done = folder_world.run("a", *case.arguments.split())
    assert re.fullmatch(case.text, done.out.rstrip("\n")), done


@pytest.mark.parametrize("case", CASES, ids=str)
def test_json(folder_world: World, case: Case) -> None:
    case.before(folder_world)
    done = folder_world.run("a", *case.arguments.split(), TRACECRAFT_JSON="1")
    document = one_document(done)
    assert {name: document.get(name, "missing") for name in case.document} == case.document, document
    for line in done.err.splitlines():
        assert json.loads(line)["schema"] == 1


def test_the_flag_says_the_same_as_the_variable(folder_world: World) -> None:
    held(folder_world)
    by_flag = folder_world.run("a", "step-status", "design", "--json")
    assert by_flag == folder_world.run("a", "step-status", "design", TRACECRAFT_JSON="1")
    assert folder_world.run("a", "step-status", "design", TRACECRAFT_JSON="0").out.startswith("design: in_progress")


def test_version(folder_world: World) -> None:
    assert re.fullmatch(r"tracecraft, version \d\S+\n", folder_world.run("a", "--version").out)


@dataclass(frozen=True)
class Failure:
    """A command of agent `a` that ends with `exits`; its error has this code."""

    arguments: str
    exits: int
    code: str
    before: Before = nothing

    def __str__(self) -> str:
        return f"{self.arguments}: {self.exits}"


def broken_value(world: World) -> None:
    world.open().store.put("demo/memory/bad.json", b"not json")


NOWHERE = "--store s3://bucket?endpoint=http://127.0.0.1:1"

FAILURES = [
    Failure("memory get bad", 1, "broken_record", broken_value),
    Failure("artifact download report.txt -o /proc/none/x", 2, "usage", uploaded),
    Failure("claim", 2, "usage"),
    Failure("claim design --bogus", 2, "usage"),
    Failure("claim design extra", 2, "usage"),
    Failure("claim design --ttl soon", 2, "usage"),
    Failure("claim design --ttl 1s", 2, "usage"),
    Failure("claim shared", 2, "usage"),
    Failure("nonsense", 2, "usage"),
    Failure("step nonsense", 2, "usage"),
    Failure("step", 2, "usage"),
    Failure("memory", 2, "usage"),
    Failure("memory set k v --if-absent --if-version 1", 2, "usage"),
    Failure("memory set k {nonsense --as-json", 2, "usage"),
    Failure("memory set k @nowhere", 2, "usage"),
    Failure("complete design --blocked --needs-review", 2, "usage", mine),
    Failure("renew a b --fence 1", 2, "usage"),
    Failure("inbox --new --watch", 2, "usage"),
    Failure("inbox --limit 0", 2, "usage"),
    Failure("log --since yesterday", 2, "usage"),
    Failure("step add design --needs design", 2, "usage"),
    Failure("step add design --priority -1", 2, "usage"),
    Failure("step load nowhere.jsonl", 2, "usage"),
    Failure("step list --state lost", 2, "usage"),
    Failure("artifact upload nowhere.txt", 2, "usage"),
    Failure("wait-for", 2, "usage"),
    Failure("ack", 2, "usage"),
    Failure("completion tcsh", 2, "usage"),
    Failure("init --backend hf", 2, "usage"),
    Failure("init --store hf://bucket", 2, "usage"),
    Failure("init --store gs://bucket --region eu", 2, "usage"),
    Failure("init --store az://container?sig=abc", 2, "usage"),
    Failure("init --access-key only", 2, "usage"),
    Failure("status --store nonsense://x", 2, "usage"),
    Failure("claim design", 3, "held", held),
    Failure("claim design", 3, "wrong_state", designed),
    Failure("complete design", 3, "held", held),
    Failure("complete design", 3, "wrong_state"),
    Failure("complete design --fence 9", 3, "lost_lease", mine),
    Failure("release design", 3, "wrong_state"),
    Failure("renew design", 3, "held", held),
    Failure("reopen design", 3, "held", held),
    Failure("step add design --title other", 3, "refused", declared),
    Failure("memory set build.status x --if-absent", 3, "version_mismatch", remembered),
    Failure("memory set build.status x --if-version 1", 3, "version_mismatch", remembered),
    Failure("memory get nothing", 4, "not_found"),
    Failure("memory delete nothing", 4, "not_found"),
    Failure("memory history nothing", 4, "not_found"),
    Failure("handoff design", 4, "not_found", mine),
    Failure("step show design", 4, "not_found"),
    Failure("ack 1234", 4, "not_found", mail),
    Failure("artifact download nothing", 4, "not_found"),
    Failure("next", 4, "nothing_ready"),
    Failure("wait-for design --declared", 4, "not_found"),
    Failure("wait-for design --timeout 100ms", 5, "timed_out", mine),
    Failure("claim design --wait 100ms", 5, "timed_out", held),
    Failure("next --wait 100ms", 5, "timed_out", declared),
    Failure("wait-for design", 6, "blocked", blocked),
    Failure(f"status {NOWHERE}", 7, "unreachable"),
    Failure("exec design -- true", 103, "held", held),
    Failure("exec design -- ./nothing-here", 102, "usage"),
    Failure("exec design --ttl 1s -- true", 102, "usage"),
    Failure("exec design --bogus -- true", 102, "usage"),
    Failure("exec design", 102, "usage"),
    Failure("exec design --wait 100ms -- true", 105, "timed_out", held),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_failure(folder_world: World, failure: Failure) -> None:
    failure.before(folder_world)
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    done = folder_world.run("a", *failure.arguments.split(), exits=failure.exits, TRACECRAFT_JSON="1", **keys)
    assert done.out == ""
    assert done.error["code"] == failure.code
    assert done.error["message"]
    assert done.error["hint"]
    assert json.loads(done.err.splitlines()[-1])["schema"] == 1


@pytest.mark.parametrize("arguments", ["claim", "claim x --bogus", "nonsense", "memory get nothing", "claim design"])
def test_errors_as_text(folder_world: World, arguments: str) -> None:
    held(folder_world)
    done = folder_world.run("a", *arguments.split(), exits=None)
    assert done.code in (2, 3, 4)
    assert done.out == ""
    assert re.fullmatch(r"(?s)error: .+\n  next: .+\n", done.err), done.err


def test_an_error_is_json_wherever_the_flag_stands(folder_world: World) -> None:
    for arguments in (["claim", "--json", "--bogus"], ["claim", "--bogus", "--json"], ["nonsense", "--json"]):
        assert folder_world.run("a", *arguments, exits=2).error["code"] == "usage"
    after_the_dashes = folder_world.run("a", "exec", "--bogus", "x", "--", "echo", "--json", exits=102)
    assert after_the_dashes.err.startswith("error: ")


def test_held_says_by_whom_since_when_and_until_when(folder_world: World) -> None:
    held(folder_world)
    error = folder_world.run("a", "claim", "design", "--json", exits=3).error
    assert (error["step"], error["holder"], error["fence"]) == ("design", "b", 1)
    assert error["since"] < error["expires_at"]
    assert 3600 < error["expires_in"] <= 3960
    text = folder_world.run("a", "claim", "design", exits=3).err
    assert "held by b since" in text
    assert "runs out at" in text


def test_next_says_why_nothing_is_ready(folder_world: World) -> None:
    def reason() -> Any:
        return folder_world.run("a", "next", "--json", exits=4).error["reason"]

    assert reason() == "all_done"
    declared(folder_world)
    assert reason() == "waiting_on_needs"
    folder_world.open("b").steps.claim("design")
    assert reason() == "all_held"


def test_a_reader_that_goes_away_ends_a_command_quietly(folder_world: World) -> None:
    for number in range(20):
        folder_world.open("a").memory.set(f"key{number}", "x" * 20_000)
    process = folder_world.start("a", "memory", "list", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(60) == -13


def test_a_core_run(world: World) -> None:
    """The primitives once, on every kind of store."""

    def run(agent: str, *arguments: str, exits: int = 0) -> Any:
        done = world.run(agent, *arguments, "--json", exits=exits)
        return one_document(done) if exits == 0 else done.error

    for agent in ("ann", "bob"):
        assert run(agent, "init")["agent"] == agent
    assert run("ann", "step", "add", "design", "--priority", "1")["step"] == "design"
    assert run("ann", "step", "add", "build", "--needs", "design")["needs"] == ["design"]
    assert run("ann", "next")["step"] == "design"
    assert run("bob", "claim", "design", exits=3)["holder"] == "ann"
    assert run("bob", "next", exits=4)["reason"] == "all_held"
    version = run("ann", "memory", "set", "a.b", "1", "--if-absent")["version"]
    assert run("bob", "memory", "set", "a.b", "2", "--if-version", version)["value"] == "2"
    assert run("ann", "memory", "set", "a.b", "3", "--if-version", version, exits=3)["code"] == "version_mismatch"
    assert [v["value"] for v in run("ann", "memory", "history", "a.b")["versions"]] == ["1", "2"]
    sent = run("ann", "send", "bob", "look", "--ack")["id"]
    assert [m["id"] for m in run("bob", "inbox", "--new")["messages"]] == [sent]
    assert run("bob", "inbox", "--new")["messages"] == []
    assert run("bob", "ack", sent[-8:])["acknowledged"] == [sent]
    assert run("ann", "sent")["sent"][0]["state"] == "acknowledged"
    (world.folder("ann") / "f.bin").write_bytes(b"\0\xff")
    assert run("ann", "artifact", "upload", "f.bin", "--step", "design")["size"] == 2
    assert run("bob", "artifact", "download", "f.bin", "--step", "design")["verified"] is True
    assert (world.folder("bob") / "f.bin").read_bytes() == b"\0\xff"
    assert run("ann", "complete", "design", "--note", "done", "--to", "bob")["state"] == "complete"
    assert run("bob", "wait-for", "design")["complete"] == ["design"]
    assert run("bob", "handoff", "design")["handoff"]["note"] == "done"
    assert run("bob", "next")["step"] == "build"
    assert run("bob", "complete", "build", "--blocked")["state"] == "blocked"
    assert run("ann", "wait-for", "build", exits=6)["step"] == "build"
    assert run("ann", "reopen", "build")["state"] == "pending"
    assert world.run("ann", "exec", "build", "--", "sh", "-c", "exit 9", exits=9).out == ""
    assert {step["step"]: step["state"] for step in run("ann", "status")["steps"]} == {
        "design": "complete",
        "build": "pending",
    }
    assert {event["type"] for event in run("ann", "log", "--limit", "0")["events"]} >= {
        "claim", "claim.refused", "complete", "blocked", "reopen", "release", "memory.set", "send", "ack",
    }  # fmt: skip
    assert run("ann", "doctor")["healthy"] is True


def one_document(done: Result) -> dict[str, Any]:
    """The one JSON document on standard output."""
    assert done.out.endswith("\n")
    assert done.out.count("\n") == 1
    document = done.json
    assert isinstance(document, dict)
    assert next(iter(document)) == "schema"
    assert document["schema"] == 1
    return document
