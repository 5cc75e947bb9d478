"""Records as tracecraft 0.2.x writes them: how each reads, and how its claims and statuses live beside ours."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from tests.primitives.team import LONG_AGO, Team
from tests.support.world import World
from tracecraft.errors import Held, WrongState
from tracecraft.project import Project

STEP = "build"
THEN = "2026-05-01T10:00:00+00:00"


def claimed(team: Team, agent: str = "old") -> None:
    """What `claim` of 0.2.x leaves: a claim without fence or lease, and a status after it."""
    names = team.agent(agent).layout
    team.store.plant(names.claim(STEP), {"agent": agent, "claimed_at": THEN})
    team.store.plant(names.status(STEP), {"status": "in_progress", "agent": agent, "started_at": THEN})


def ended(team: Team, status: str, agent: str = "old") -> None:
    """What `complete` of 0.2.x leaves: a status and a handoff; it never touches the claim."""
    names = team.agent(agent).layout
    team.store.plant(
        names.status(STEP),
        {"status": status, "agent": agent, "started_at": THEN, "completed_at": "2026-05-01T11:00:00"},
    )
    team.store.plant(
        names.handoff(STEP),
        {
            "schema": 2,
            "from_agent": agent,
            "from_step": STEP,
            "next_agent": "new",
            "state": status,
            "next_action": "read it",
            "note": "made by 0.2",
            "created_at": "2026-05-01T11:00:00",
            "changed_files": ["a.py"],
        },
    )


@pytest.fixture
def new(team: Team) -> Project:
    return team.agent("new")


def test_a_claim_reads_as_held(team: Team, new: Project) -> None:
    claimed(team)
    view = new.steps.view(STEP)
    assert (view.state, view.agent, view.fence, view.since) == ("in_progress", "old", 0, THEN)
    assert new.steps.board().state(STEP) == "in_progress"


def test_a_claim_never_expires(team: Team, new: Project) -> None:
    claimed(team)
    team.store.age(new.layout.claim(STEP), 1000 * LONG_AGO)
    team.store.age(new.layout.status(STEP), 1000 * LONG_AGO)
    with pytest.raises(Held) as refused:
        new.steps.claim(STEP)
    assert (refused.value.fields["holder"], refused.value.fields["expires_at"]) == ("old", None)


def test_only_stealing_takes_a_claim(team: Team, new: Project) -> None:
    claimed(team)
    hold = new.steps.claim(STEP, steal=True)
    assert (hold.how, hold.fence, hold.previous) == ("stolen", 1, "old")
    assert new.steps.view(STEP).held_by("new")
    assert team.store.json(new.layout.status(STEP))["fence"] == 1


def test_its_own_agent_gets_a_lease_for_its_claim(team: Team) -> None:
    """The agent was upgraded while it worked."""
    claimed(team)
    hold = team.agent("old").steps.claim(STEP)
    assert (hold.how, hold.fence) == ("already_yours", 1)


@pytest.mark.parametrize("status", ["complete", "blocked", "needs_review"])
def test_a_status_after_a_claim_counts_with_its_handoff(team: Team, new: Project, status: str) -> None:
    claimed(team)
    ended(team, status)
    for view in (new.steps.view(STEP), new.steps.board().views[STEP]):
        assert (view.state, view.agent) == (status, "old")
        assert view.handoff is not None
        assert (view.handoff.note, view.handoff.next_action, view.handoff.changed_files) == (
            "made by 0.2",
            "read it",
            ["a.py"],
        )


@pytest.mark.parametrize("status", ["complete", "blocked", "needs_review"])
def test_a_status_without_any_claim_counts(team: Team, new: Project, status: str) -> None:
    ended(team, status)
    assert (new.steps.view(STEP).state, new.steps.view(STEP).agent) == (status, "old")


def test_a_status_of_work_begun_without_any_claim_reads(team: Team, new: Project) -> None:
    team.store.plant(new.layout.status(STEP), {"status": "in_progress", "agent": "old", "started_at": THEN})
    view = new.steps.view(STEP)
    assert (view.state, view.agent, view.since) == ("in_progress", "old", THEN)


def test_a_step_completed_there_is_not_claimed_here(team: Team, new: Project) -> None:
    claimed(team)
    ended(team, "complete")
    with pytest.raises(WrongState):
        new.steps.claim(STEP)
    new.steps.reopen(STEP)
    assert new.steps.claim(STEP).fence == 1


def test_a_step_completed_there_opens_the_barrier(team: Team, new: Project) -> None:
    claimed(team)
    ended(team, "complete")
    assert [view.agent for view in new.steps.wait_for([STEP], timeout=0)] == ["old"]


def test_a_step_completed_there_meets_a_need(team: Team, new: Project) -> None:
    new.steps.add("test", needs=[STEP])
    claimed(team)
    ended(team, "complete")
    assert new.steps.next().step == "test"


@pytest.mark.parametrize("status", ["blocked", "needs_review"])
def test_the_next_writer_takes_the_status_in(team: Team, new: Project, status: str) -> None:
    claimed(team)
    ended(team, status)
    hold = new.steps.claim(STEP)
    assert (hold.how, hold.fence) == ("claimed", 1)
    assert hold.handoff is not None
    assert hold.handoff.note == "made by 0.2"
    assert new.steps.view(STEP).held_by("new")
    new.steps.complete(STEP, note="better")
    assert new.steps.view(STEP).state == "complete"


def test_a_status_that_was_taken_in_does_not_count_again(team: Team, new: Project) -> None:
    """The claimer died between its claim and the view: the old status is still there."""
    claimed(team)
    ended(team, "blocked")
    old_status = team.store.get(new.layout.status(STEP))
    new.steps.claim(STEP)
    team.store._objects[new.layout.status(STEP)] = old_status
    assert new.steps.view(STEP).held_by("new")
    assert new.steps.complete(STEP).state == "complete"


def test_a_status_written_over_a_claim_of_ours_counts(team: Team, new: Project) -> None:
    """0.2.x completes a step without asking who holds it."""
    new.steps.claim(STEP)
    ended(team, "complete")
    assert (new.steps.view(STEP).state, new.steps.view(STEP).agent) == ("complete", "old")
    with pytest.raises(WrongState):
        new.steps.release(STEP)
    new.steps.reopen(STEP)
    assert new.steps.claim(STEP).fence == 2


def test_a_status_older_than_a_change_of_ours_does_not_count(team: Team, new: Project) -> None:
    new.steps.claim(STEP)
    new.steps.complete(STEP, outcome="needs_review", note="not so")
    ended(team, "complete")
    assert new.steps.view(STEP).state == "complete"
    team.store.age(new.layout.status(STEP))
    assert new.steps.view(STEP).state == "needs_review"


def test_a_claim_written_beside_a_status_by_0_2_keeps_fields_nobody_knows(team: Team, new: Project) -> None:
    names = new.layout
    team.store.plant(names.claim(STEP), {"agent": "old", "claimed_at": THEN, "mood": "good"})
    new.steps.claim(STEP, steal=True)
    assert team.store.json(names.claim(STEP))["mood"] == "good"


# Mail


def plant_message(team: Team, to: str, leaf: str, sender: str, text: str) -> str:
    key = team.agent("new").layout.message(to, leaf)
    team.store.plant(key, {"from": sender, "to": to, "message": text, "sent_at": THEN})
    return key.removeprefix("demo/")


def test_messages_read(team: Team, new: Project) -> None:
    plant_message(team, "new", "1777629600000000001_old_aaaa1111", "old", "for you")
    plant_message(team, "_broadcast", "1777629600000000002_old_bbbb2222", "old", "for all")
    plant_message(team, "_broadcast", "1777629600000000003_new_cccc3333", "new", "my own")
    letters = new.mailbox.read()
    assert [(letter.message.sender, letter.message.message, letter.broadcast) for letter in letters] == [
        ("old", "for you", False),
        ("old", "for all", True),
    ]


def test_the_old_read_position_is_honoured_once(team: Team, new: Project) -> None:
    keys = [plant_message(team, "new", f"17776296000000000{n:02}_old_aaaa11{n:02}", "old", f"m{n}") for n in range(6)]
    wide = [
        plant_message(team, "_broadcast", f"17776296000000001{n:02}_old_bbbb11{n:02}", "old", f"b{n}") for n in range(3)
    ]
    cursor = {
        "direct": {"watermark": keys[2], "seen": [keys[4]]},
        "broadcast": {"watermark": None, "seen": [wide[0]]},
    }
    team.store.plant(new.layout.cursor_of_02("new"), cursor)
    before = team.store.get(new.layout.cursor_of_02("new")).data
    assert new.mailbox.unread_count() == 4
    assert shown(new) == ["m3", "m5", "b1", "b2"]
    assert shown(new) == []
    # From now on our own position counts: what the old program reads later hides nothing.
    late = plant_message(team, "new", f"{time.time_ns()}_old_dddd9999", "old", "late")
    cursor["direct"] = {"watermark": late, "seen": []}
    assert team.store.get(new.layout.cursor_of_02("new")).data == before
    team.store.plant(new.layout.cursor_of_02("new"), cursor)
    assert shown(new) == ["late"]


def test_a_broken_read_position_hides_nothing(team: Team, new: Project) -> None:
    plant_message(team, "new", "1777629600000000001_old_aaaa1111", "old", "for you")
    team.store.put(new.layout.cursor_of_02("new"), b"{")
    assert shown(new) == ["for you"]
    assert [error.fields["key"] for error in new.broken]


def shown(project: Project) -> list[str]:
    return [letter.message.message for batch in project.mailbox.new() for letter in batch]


# The rest


def test_an_agent_reads(team: Team, new: Project) -> None:
    record = {"id": "old", "status": "active", "step": STEP, "started_at": THEN, "heartbeat": THEN, "summary": "works"}
    team.store.plant(new.layout.agent("old"), record)
    (presence,) = new.agents.list()
    assert (presence.name, presence.status, presence.record.step, presence.record.summary) == (
        "old",
        "active",
        STEP,
        "works",
    )
    team.store.age(new.layout.agent("old"), 301)
    assert new.agents.list()[0].status == "stale"


def test_memory_reads_and_its_version_can_be_swapped(team: Team, new: Project) -> None:
    team.store.plant(new.layout.memory("build.count"), {"value": 7, "set_by": "old", "set_at": THEN})
    entry = new.memory.get("build.count")
    assert (entry.value, entry.set_by, entry.set_at) == (7, "old", THEN)
    assert new.memory.update("build.count", lambda count: count + 1).value == 8
    assert [version.value for version in new.memory.history("build.count")] == [8]


def test_a_value_of_0_2_that_is_in_its_history_counts_once(team: Team, new: Project) -> None:
    value = {"value": "v", "set_by": "old", "set_at": THEN}
    team.store.plant(new.layout.memory("k"), value)
    team.store.plant(new.layout.memory_version("k", "1777629600000000001_old_aaaa1111"), {"key": "k", **value})
    assert [version.value for version in new.memory.history("k")] == ["v"]


def test_an_artifact_without_a_sum_is_unverified(tmp_path: Path) -> None:
    project = World.in_folder(tmp_path).open("new")
    project.store.put(project.layout.artifact("shared", "plan.md"), b"the plan")
    (listed,) = project.artifacts.list()
    assert (listed.name, listed.size, listed.verified) == ("plan.md", 8, False)
    artifact, path = project.artifacts.download("plan.md", to=tmp_path)
    assert (artifact.verified, artifact.sha256) == (False, "")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == hashlib.sha256(b"the plan").hexdigest()
    assert any("unverified" in notice for notice in project.notices)
