"""Agents with this program and agents with the published 0.2.5 work in one project, in both directions."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.interop.conftest import Peer
from tests.races.judge import stored_json
from tests.support.processes import wait_until
from tests.support.proxy import Match, Proxy
from tests.support.scale import size
from tests.support.world import World, finish


def test_claims_exclude_each_other(world: World, peer: Peer) -> None:
    world.run("ours", "claim", "first")
    assert "already claimed by ours" in peer.run("theirs", "claim", "first", exits=1).err

    peer.run("theirs", "claim", "Second.Step")
    held = world.run("ours", "claim", "Second.Step", "--json", exits=3)
    assert (held.error["code"], held.error["holder"]) == ("held", "theirs")
    assert held.error["expires_at"] is None, "agents of 0.2.x do not beat, so their claims do not run out"
    world.run("ours", "complete", "Second.Step", exits=3)


def test_races_between_both_have_one_winner(world: World, peer: Peer) -> None:
    """The proxy holds the conditional writes of all until every racer's is there."""
    with Proxy(peer.endpoint.url) as proxy:
        bucket = peer.bucket
        faulty = World(world.root, world.url.replace(peer.endpoint.url, proxy.url), variables=world.variables)
        through = Peer(peer.program, world.root / "raced", peer.endpoint.at(proxy.url), bucket, peer.project)
        through.root.mkdir()
        for n in range(2):
            through.init(f"theirs-{n}")
        for number in range(size(40, 4)):
            step = f"race-{number}"
            proxy.hold(Match("PUT", key=f"{step}/claim.json", conditional=True), 5, timeout=8)
            ours = [faulty.start(f"ours-{n}", "claim", step) for n in range(3)]
            theirs = [through.start(f"theirs-{n}", "claim", step) for n in range(2)]
            results = dict(
                zip(["ours-0", "ours-1", "ours-2", "theirs-0", "theirs-1"], finish(ours + theirs), strict=True)
            )
            winners = [agent for agent, result in results.items() if result.code == 0]
            assert winners == [stored_json(world, f"steps/{step}/claim.json")["agent"]]
            assert all(
                result.code == (3 if agent.startswith("ours") else 1)
                for agent, result in results.items()
                if agent not in winners
            ), results


def test_a_step_goes_from_them_to_us(world: World, peer: Peer) -> None:
    peer.run("theirs", "claim", "design")
    assert world.run("ours", "step-status", "design", "--json").json["agent"] == "theirs"
    peer.run("theirs", "complete", "design", "--note", "see docs", "--to", "ours", "--next-action", "build it")
    shown = world.run("ours", "handoff", "design", "--json").json["handoff"]
    assert (shown["from_agent"], shown["note"], shown["next_action"]) == ("theirs", "see docs", "build it")
    assert world.run("ours", "step-status", "design", "--json").json["state"] == "complete"
    world.run("ours", "wait-for", "design", "--timeout", "30")
    world.run("ours", "claim", "design", exits=3)
    world.run("ours", "reopen", "design")
    assert world.run("ours", "claim", "design", "--json").json["handoff"]["note"] == "see docs"


def test_a_step_goes_from_us_to_them(world: World, peer: Peer) -> None:
    world.run("ours", "claim", "build")
    assert "build: in_progress (agent: ours)" in peer.run("theirs", "step-status", "build").out
    world.run("ours", "complete", "build", "--note", "in dist/", "--to", "theirs")
    assert "build: complete (agent: ours)" in peer.run("theirs", "step-status", "build").out
    peer.run("theirs", "wait-for", "build", "--timeout", "30")
    handoff = stored_json(world, "steps/build/handoff.json")
    assert {name: handoff[name] for name in ("schema", "from_agent", "next_agent", "state", "note")} == {
        "schema": 2,
        "from_agent": "ours",
        "next_agent": "theirs",
        "state": "complete",
        "note": "in dist/",
    }


def test_blocked_and_reviewed_steps(world: World, peer: Peer) -> None:
    peer.run("theirs", "claim", "one")
    peer.run("theirs", "complete", "one", "--blocked", "--note", "no key")
    world.run("ours", "wait-for", "one", exits=6)
    assert world.run("ours", "claim", "one", "--json").json["handoff"]["note"] == "no key"

    world.run("ours", "claim", "two")
    world.run("ours", "complete", "two", "--blocked")
    assert "is blocked" in peer.run("theirs", "wait-for", "two", exits=1).err

    peer.run("theirs", "claim", "three")
    peer.run("theirs", "complete", "three", "--needs-review")
    assert world.run("ours", "step-status", "three", "--json").json["state"] == "needs_review"
    world.run("ours", "claim", "three")
    world.run("ours", "complete", "three")
    assert "three: complete (agent: ours)" in peer.run("theirs", "step-status", "three").out


def test_force_counts_in_both_directions(world: World, peer: Peer) -> None:
    """0.2.x writes no claim when it forces, only a newer status: it counts, and so does ours after it."""
    world.run("ours", "claim", "build")
    peer.run("theirs", "complete", "build", "--note", "forced", "--force")
    state = world.run("ours", "step-status", "build", "--json").json
    assert (state["state"], state["agent"]) == ("complete", "theirs")
    world.run("ours", "complete", "build", exits=3)
    world.run("ours", "claim", "build", exits=3)
    world.run("ours", "reopen", "build")
    assert world.run("ours", "claim", "build", "--json").json["handoff"]["note"] == "forced"
    assert "build: in_progress (agent: ours)" in peer.run("theirs", "step-status", "build").out

    peer.run("theirs", "claim", "test")
    world.run("ours", "complete", "test", "--force", "--note", "ours now")
    assert "test: complete (agent: ours)" in peer.run("theirs", "step-status", "test").out
    assert stored_json(world, "steps/test/claim.json")["fence"] == 1

    peer.run("theirs", "claim", "ship")
    assert world.run("ours", "claim", "ship", "--steal", "--json").json["fence"] == 1
    assert "claimed by 'ours'" in peer.run("theirs", "complete", "ship", exits=1).err


def test_messages_go_both_ways(world: World, peer: Peer) -> None:
    peer.run("theirs", "send", "ours", "from them", "--step", "build")
    peer.run("theirs", "send", "_broadcast", "from them to all")
    new = world.run("ours", "inbox", "--new", "--json").json["messages"]
    assert [(m["from"], m["message"], m.get("step")) for m in new] == [
        ("theirs", "from them", "build"),
        ("theirs", "from them to all", None),
    ]
    assert world.run("ours", "inbox", "--new", "--json").json["messages"] == []

    world.run("ours", "send", "theirs", "from us", "--step", "build", "--ack")
    world.run("ours", "broadcast", "from us to all")
    shown = peer.run("theirs", "inbox", "--new").out
    assert re.search(r"\(direct\) ours \[step build\]: from us$", shown, re.M)
    assert re.search(r"\(broadcast\) ours: from us to all$", shown, re.M)
    assert "No new messages" in peer.run("theirs", "inbox", "--new").out


def test_an_agent_that_changes_over_is_not_shown_its_mail_again(world: World, peer: Peer) -> None:
    """Our read position begins where the cursor of 0.2.x ends."""
    peer.init("mover")
    world.run("ours", "send", "mover", "read there")
    world.run("ours", "broadcast", "read there by all")
    assert "read there" in peer.run("mover", "inbox", "--new").out
    world.run("ours", "send", "mover", "not yet read")
    new = world.run("mover", "inbox", "--new", "--json").json["messages"]
    assert [m["message"] for m in new] == ["not yet read"]
    assert world.run("mover", "inbox", "--new", "--json").json["messages"] == []


def test_memory_goes_both_ways(world: World, peer: Peer) -> None:
    peer.run("theirs", "memory", "set", "build.status", "red")
    entry = world.run("ours", "memory", "get", "build.status", "--with-meta").json
    assert (entry["value"], entry["set_by"]) == ("red", "theirs")
    world.run("ours", "memory", "set", "build.status", "green", "--if-version", entry["version"])
    assert peer.run("theirs", "memory", "get", "build.status").out == "green\n"
    peer.run("theirs", "memory", "set", "build.status", "blue")
    world.run("ours", "memory", "set", "build.status", "late", "--if-version", entry["version"], exits=3)

    ours = world.run("ours", "memory", "history", "build.status", "--json").json["versions"]
    assert [(v["set_by"], v["value"]) for v in ours] == [("theirs", "red"), ("ours", "green"), ("theirs", "blue")]
    theirs = peer.run("theirs", "memory", "history", "build.status").out.splitlines()
    assert [line.partition("] ")[2] for line in theirs] == ["theirs: red", "ours: green", "theirs: blue"]
    assert peer.run("theirs", "memory", "list", "build").out.split() == ["build.status"]
    assert [k["key"] for k in world.run("ours", "memory", "list", "--json").json["keys"]] == ["build.status"]


def test_artifacts_go_both_ways(world: World, peer: Peer, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.bin", tmp_path / "ours.bin"
    theirs.write_bytes(bytes(range(256)) * 40_000)
    ours.write_bytes(bytes(reversed(range(256))) * 40_000)
    peer.run("theirs", "artifact", "upload", str(theirs), "--step", "Build.1")
    world.run("ours", "artifact", "upload", str(ours))
    got = world.run("ours", "artifact", "download", "theirs.bin", "--step", "Build.1", "--json").json
    assert (
        Path(got["path"]).resolve() == (world.folder("ours") / "theirs.bin").resolve()
        or not Path(got["path"]).is_absolute()
    )
    assert (world.folder("ours") / "theirs.bin").read_bytes() == theirs.read_bytes()
    assert got["verified"] is False
    peer.run("theirs", "artifact", "download", "ours.bin")
    assert (peer.folder("theirs") / "ours.bin").read_bytes() == ours.read_bytes()
    listed = world.run("ours", "artifact", "list", "--json").json["artifacts"]
    assert {(a["step"], a["name"]) for a in listed} == {("build-1", "theirs.bin"), ("shared", "ours.bin")}
    assert "artifacts/shared/ours.bin" in peer.run("theirs", "artifact", "list").out.split()


def test_agents_and_status_show_all(world: World, peer: Peer) -> None:
    world.run("ours", "claim", "one")
    peer.run("theirs", "claim", "two")
    agents = {a["agent"]: a["status"] for a in world.run("ours", "agents", "--json").json["agents"]}
    assert agents == {"ours": "active", "theirs": "active"}
    assert re.search(r"^ours +active .*^theirs +active", peer.run("theirs", "agents").out, re.M | re.S)

    def step_is_shown() -> bool:
        """An agent's record is written at most once a second, so its step may follow with the next command."""
        world.run("ours", "renew")
        return re.search(r"^ours +active +one", peer.run("theirs", "agents").out, re.M) is not None

    assert wait_until(step_is_shown, seconds=60)

    seen = peer.status("theirs")
    assert {(s["id"], s["status"], s["agent"]) for s in seen["steps"]} == {
        ("one", "in_progress", "ours"),
        ("two", "in_progress", "theirs"),
    }
    assert {a["id"] for a in seen["agents"]} == {"ours", "theirs"}
    document = world.run("ours", "status", "--json").json
    assert {(s["step"], s["state"], s["agent"]) for s in document["steps"]} == {
        ("one", "in_progress", "ours"),
        ("two", "in_progress", "theirs"),
    }
    world.run("ours", "doctor")


def test_their_settings_file_is_understood(world: World, peer: Peer) -> None:
    """In a folder that 0.2.x set up our commands work as they are, as the same agent."""
    folder = peer.init("settled")
    assert json.loads((folder / ".tracecraft.json").read_text())["agent_id"] == "settled"
    nothing = dict.fromkeys(("TRACECRAFT_STORE", "TRACECRAFT_PROJECT", "TRACECRAFT_AGENT"), "")
    there = World(world.root, world.url, variables=nothing)
    there.folder("settled").joinpath(".tracecraft.json").write_text((folder / ".tracecraft.json").read_text())
    hold = there.run("settled", "claim", "build", "--json").json
    assert (hold["agent"], hold["fence"]) == ("settled", 1)
    assert "already claimed by settled" in peer.run("theirs", "claim", "build", exits=1).err


def test_waiting_ends_when_the_other_side_completes(world: World, peer: Peer) -> None:
    waiting = {
        "ours": world.start("ours", "wait-for", "theirs-step"),
        "theirs": peer.start("theirs", "wait-for", "ours-step"),
    }
    peer.run("theirs", "claim", "theirs-step")
    world.run("ours", "claim", "ours-step")
    peer.run("theirs", "complete", "theirs-step")
    world.run("ours", "complete", "ours-step")
    assert [result.code for result in finish(list(waiting.values()))] == [0, 0]
