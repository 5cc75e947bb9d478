"""doctor: each thing it can find, the command it names for it, and what it repairs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.primitives.team import AgingStore, Team
from tests.support.processes import free_port
from tests.support.servers import Endpoint
from tests.support.world import World
from tracecraft.doctor import Finding, examine
from tracecraft.errors import Conflict, NotFound
from tracecraft.localstate import LocalState
from tracecraft.project import Project
from tracecraft.store import Info


def findings(project: Project, *, repair: bool = False) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in examine(project, agent=project.has_agent, repair=repair):
        found.setdefault(finding.check, []).append(finding)
    return found


def only(found: Sequence[Finding]) -> Finding:
    (finding,) = found
    return finding


def test_all_is_well(world: World) -> None:
    ann = world.open("ann")
    ann.agents.register()
    ann.steps.claim("s")
    ann.steps.complete("s")
    ann.memory.set("k", 1)
    found = findings(ann)
    assert {check: [f.verdict for f in fs] for check, fs in found.items()} == {
        check: ["ok"] for check in ("store", "promises", "agent", "clock", "claims", "views", "history", "records")
    }
    assert all(not f.next for fs in found.values() for f in fs)
    assert list(ann.store.list("demo/_probe/")) == []


def test_an_agent_nobody_registered(team: Team) -> None:
    finding = only(findings(team.agent("ann"))["agent"])
    assert (finding.verdict, finding.next) == ("warning", "tracecraft init")


def test_without_an_agent_it_looks_at_the_rest(team: Team) -> None:
    team.agent("ann").steps.claim("s")
    found = findings(team.agent(""))
    assert "agent" not in found
    assert only(found["claims"]).verdict == "ok"


class SlowClockStore(AgingStore):
    """A store whose clock is an hour behind."""

    def head(self, key: str) -> Info:
        info = super().head(key)
        return info._replace(modified=info.modified - 3600)


def test_a_clock_that_is_off(tmp_path: Path) -> None:
    store = SlowClockStore()
    ann = Project(store, "demo", "ann", local=LocalState(store.url, "demo", tmp_path))
    ann.agents.register()
    finding = only(findings(ann)["clock"])
    assert finding.verdict == "warning"
    assert "1h ahead of the store's" in finding.message


class UnsafeStore(AgingStore):
    """A store that looks before it writes: two can see the same and both write."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        try:
            there: str | None = self.head(key).etag
        except NotFound:
            there = None
        if (if_absent and there is not None) or (if_match is not None and there != if_match):
            raise Conflict(key)
        if if_absent or if_match is not None:
            time.sleep(0.05)
        return super().put(key, data)


def test_a_store_whose_conditions_do_not_hold_in_a_race(tmp_path: Path) -> None:
    store = UnsafeStore()
    ann = Project(store, "demo", "ann", local=LocalState(store.url, "demo", tmp_path))
    finding = only(findings(ann)["promises"])
    assert (finding.verdict, finding.next) == ("problem", "use another store")
    assert "two of 16 racing" in finding.message


def test_a_store_that_does_not_answer(tmp_path: Path) -> None:
    nowhere = Endpoint("nowhere", f"http://127.0.0.1:{free_port()}", "test", "test")
    found = findings(World.in_bucket(tmp_path, nowhere, "bucket").open("ann"))
    finding = only(found["store"])
    assert list(found) == ["store"]
    assert finding.verdict == "problem"
    assert finding.next


def test_a_lease_that_ran_out(team: Team) -> None:
    team.agent("gone").steps.claim("s")
    team.agent("busy").steps.claim("t")
    team.silence("gone")
    finding = only(findings(team.agent("ann"))["claims"])
    assert (finding.verdict, finding.next) == ("warning", "tracecraft claim s")
    assert "the lease of gone has run out" in finding.message


def test_a_claim_of_0_2_whose_agent_is_silent(team: Team) -> None:
    ann = team.agent("ann")
    team.store.plant(ann.layout.claim("s"), {"agent": "old", "claimed_at": "2026-05-01T10:00:00+00:00"})
    team.store.plant(ann.layout.agent("old"), {"id": "old", "status": "active"})
    assert only(findings(ann)["claims"]).verdict == "ok"
    team.store.age(ann.layout.agent("old"), 301)
    finding = only(findings(ann)["claims"])
    assert (finding.verdict, finding.next) == ("warning", "tracecraft claim s --steal")


def test_steps_that_need_each_other(team: Team) -> None:
    ann = team.agent("ann")
    team.store.plant(ann.layout.spec("a"), {"needs": ["b"]})
    team.store.plant(ann.layout.spec("b"), {"needs": ["a"]})
    finding = only(findings(ann)["claims"])
    assert finding.verdict == "problem"
    assert "need each other" in finding.message
    assert "--replace" in finding.next


@pytest.mark.parametrize("view", ["status", "handoff"])
@pytest.mark.parametrize("how", ["missing", "stale"])
def test_views_out_of_step_are_written_anew(team: Team, view: str, how: str) -> None:
    ann = team.agent("ann")
    key = ann.layout.status("s") if view == "status" else ann.layout.handoff("s")
    ann.steps.claim("s")
    ann.steps.complete("s", note="one")
    first = team.store.get(key).data
    ann.steps.reopen("s")
    ann.steps.claim("s")
    ann.steps.complete("s", outcome="needs_review", note="two")
    right = team.store.get(key).data
    team.store.delete(key)
    if how == "stale":
        team.store.put(key, first)
    finding = only(findings(ann)["views"])
    assert (finding.verdict, finding.next) == ("warning", "tracecraft doctor --repair")
    assert "s" in finding.message.rpartition(": ")[2]
    assert only(findings(ann, repair=True)["views"]).verdict == "ok"
    assert team.store.get(key).data == right
    assert only(findings(ann)["views"]).message.endswith("tell what the claims say")


def test_a_status_of_0_2_is_no_stale_view(team: Team) -> None:
    """It counts; repairing must not undo what another program said."""
    ann = team.agent("ann")
    ann.steps.claim("s")
    team.store.plant(ann.layout.status("s"), {"status": "complete", "agent": "old", "started_at": "x"})
    assert only(findings(ann, repair=True)["views"]).message.endswith("tell what the claims say")
    assert (ann.steps.view("s").state, ann.steps.view("s").agent) == ("complete", "old")


def test_a_version_missing_in_the_history(team: Team) -> None:
    ann = team.agent("ann")
    ann.memory.set("k", 1)
    for info in list(team.store.list(ann.layout.memory_history("k"))):
        team.store.delete(info.key)
    finding = only(findings(ann)["history"])
    assert (finding.verdict, finding.next) == ("warning", "tracecraft doctor --repair")
    assert only(findings(ann, repair=True)["history"]).message == "added to the history: k"
    assert only(findings(ann)["history"]).message == "every memory value is in its history"


def test_names_that_differ_only_in_case(team: Team) -> None:
    ann = team.agent("ann")
    for name in ("Bob", "bob"):
        team.store.plant(ann.layout.agent(name), {"id": name})
    finding = only(findings(ann)["names"])
    assert finding.verdict == "warning"
    assert "Bob" in finding.message
    assert "bob" in finding.message


@pytest.mark.parametrize(
    "key", ["agents/x.json", "steps/x/claim.json", "steps/x/status.json", "steps/x/spec.json", "memory/x.json"]
)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_broken_records_are_named(team: Team, key: str, content: bytes) -> None:
    ann = team.agent("ann")
    ann.steps.claim("s")
    team.store.put(f"demo/{key}", content)
    found = findings(ann, repair=True)
    assert {(f.verdict, f"demo/{key}" in f.message) for f in found["records"]} == {("problem", True)}
    assert all(f.next for f in found["records"])
    assert team.store.get(f"demo/{key}").data == content


@pytest.mark.parametrize("leaf", ["status.json", "handoff.json"])
def test_a_broken_view_is_written_anew(team: Team, leaf: str) -> None:
    ann = team.agent("ann")
    ann.steps.claim("s")
    ann.steps.complete("s", note="n")
    key = f"demo/steps/s/{leaf}"
    right = team.store.get(key).data
    team.store.put(key, b"{")
    assert only(findings(ann)["views"]).verdict == "warning"
    findings(ann, repair=True)
    assert team.store.get(key).data == right
    assert only(findings(team.agent("ann"))["records"]).verdict == "ok"
