"""Agents: who is registered, how often heartbeats are written, and names that two would share."""

from __future__ import annotations

import pytest

from tests.primitives.team import Team
from tracecraft.errors import NameTaken, UsageError
from tracecraft.project import Project


def beats(team: Team, agent: str = "ann") -> int:
    """How often the agent's record was written."""
    return team.store.written.count(team.agent(agent).layout.agent(agent))


def let_pass(project: Project, seconds: float) -> None:
    """Let the last heartbeat be so much longer ago, as this machine remembers it."""
    name = f"agent-{project.agent}"
    known = project.local.read(name)
    project.local.write(name, {**known, "at": known["at"] - seconds})


def test_a_registered_agent_is_listed(team: Team) -> None:
    team.agent("ann", place="host:/work").agents.register("designs")
    (presence,) = team.agent("bob").agents.list()
    assert (presence.name, presence.status, presence.record.summary) == ("ann", "active", "designs")
    assert presence.record.place == "host:/work"


def test_what_an_agent_holds_is_in_its_record(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("a", ttl=600)
    record = ann.agents.get("ann")
    assert record is not None
    assert (record.step, record.ttl) == ("a", 600)
    let_pass(ann, 2)
    ann.steps.complete("a")
    record = ann.agents.get("ann")
    assert record is not None
    assert (record.step, record.ttl) == (None, None)


def test_a_silent_agent_is_stale(team: Team) -> None:
    ann = team.agent("ann")
    ann.agents.register()
    team.store.age(ann.layout.agent("ann"), 299)
    assert ann.agents.list()[0].status == "active"
    team.store.age(ann.layout.agent("ann"), 2)
    assert ann.agents.list()[0].status == "stale"


def test_many_commands_write_few_heartbeats(team: Team) -> None:
    ann = team.agent("ann")
    ann.agents.register()
    for number in range(20):
        ann.memory.set("k", number)
        ann.mailbox.send("bob", "hello")
    assert beats(team) == 1
    let_pass(ann, 31)
    for number in range(20):
        ann.memory.set("k", number)
    assert beats(team) == 2


def test_a_short_lease_is_beaten_for_more_often(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("a", ttl=9)
    before = beats(team)
    let_pass(ann, 2)
    ann.memory.set("k", 1)
    assert beats(team) == before
    let_pass(ann, 2)
    ann.memory.set("k", 2)
    assert beats(team) == before + 1


def test_looking_is_no_sign_of_life(team: Team) -> None:
    ann = team.agent("ann")
    ann.memory.set("k", 1)
    team.agent("bob").mailbox.send("ann", "hello")
    let_pass(ann, 3600)
    written = len(team.store.written)
    ann.memory.get("k")
    ann.memory.list()
    ann.steps.board()
    ann.mailbox.read()
    ann.agents.list()
    ann.events.timeline()
    assert len(team.store.written) == written


def test_forgetting_the_local_state_only_costs_a_write(team: Team) -> None:
    ann = team.agent("ann")
    ann.agents.register("designs")
    for path in ann.local.folder.iterdir():
        path.unlink()
    ann.memory.set("k", 1)
    record = ann.agents.get("ann")
    assert record is not None
    assert record.summary == "designs"
    assert beats(team) == 2


# Names


def test_registering_again_keeps_what_was_known(team: Team) -> None:
    ann = team.agent("ann")
    first = ann.agents.register("designs")
    team.store.plant(ann.layout.agent("ann"), {**team.store.json(ann.layout.agent("ann")), "mood": "good"})
    again = ann.agents.register("still designs")
    assert again.started_at == first.started_at
    assert team.store.json(ann.layout.agent("ann"))["mood"] == "good"


def test_a_name_at_work_elsewhere_is_refused(team: Team) -> None:
    team.agent("ann", place="host-a:/work").agents.register()
    elsewhere = team.agent("ann", place="host-b:/work")
    with pytest.raises(NameTaken, match="at work in host-a:/work") as refused:
        elsewhere.agents.register()
    assert (refused.value.exit_code, refused.value.fields["place"]) == (3, "host-a:/work")
    assert elsewhere.agents.register(force=True).place == "host-b:/work"


def test_a_name_whose_worker_is_gone_may_be_taken_up(team: Team) -> None:
    ann = team.agent("ann", place="host-a:/work")
    ann.agents.register()
    team.store.age(ann.layout.agent("ann"), 301)
    assert team.agent("ann", place="host-b:/work").agents.register().place == "host-b:/work"


def test_a_name_that_differs_only_in_case_is_refused(team: Team) -> None:
    team.agent("Ann").agents.register()
    for force in (False, True):
        with pytest.raises(NameTaken, match="already called Ann"):
            team.agent("ann").agents.register(force=force)


@pytest.mark.parametrize("name", ["../x", "a/b", "_x", ".x", "a b", "x" * 65, "ü"])
def test_bad_names_are_refused(team: Team, name: str) -> None:
    with pytest.raises(UsageError):
        team.agent(name).agents.register()
    assert team.store.written == []


def test_a_broken_record_is_named_and_hides_nobody(team: Team) -> None:
    ann = team.agent("ann")
    ann.agents.register()
    team.store.put(ann.layout.agent("broken"), b"[]")
    assert [presence.name for presence in ann.agents.list()] == ["ann"]
    assert [error.fields["key"] for error in ann.broken] == ["demo/agents/broken.json"]
