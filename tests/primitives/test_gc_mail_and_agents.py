"""gc on mail and agents: what was read and who is gone may go, nothing else; and `sent` keeps telling the truth."""

from __future__ import annotations

import time

import pytest

from tests.primitives.team import Team
from tracecraft import goneagents, oldmail
from tracecraft.errors import Unreachable
from tracecraft.gc import DAY, Limits
from tracecraft.layout import BROADCAST
from tracecraft.project import Project
from tracecraft.tally import Tally


def later(days: float = 40) -> float:
    return time.time() + days * DAY


def read_all(project: Project) -> None:
    for _ in project.mailbox.new():
        pass


def mail(team: Team, part: str = "/messages/") -> list[str]:
    """Keys of mail, without the read positions."""
    with team.store._lock:
        return sorted(key for key in team.store._objects if part in key and "_reader" not in key)


def collect(project: Project, now: float | None = None) -> Tally:
    return project.gc.collect(only=["messages"], now=now or later())["messages"]


def agents_gone(project: Project, now: float | None = None) -> Tally:
    return project.gc.collect(only=["agents"], now=now or later())["agents"]


def states(project: Project) -> list[str]:
    return [receipt.state for receipt in project.mailbox.sent()]


def test_a_message_goes_once_it_is_old_and_read_with_its_copy_and_receipt(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    first = ann.mailbox.send("bob", "read and acknowledged", ack=True)
    ann.mailbox.send("bob", "read")
    read_all(bob)
    bob.mailbox.ack([first.id])
    unread = ann.mailbox.send("bob", "unread")
    assert collect(ann, later(29)).objects == 0
    told = ann.gc.survey(only=["messages"], now=later())["messages"]
    assert len(mail(team)) == 7
    done = collect(ann)
    assert done.counts == told.counts == {"messages": 2, "copies": 2, "acks": 1}
    assert (done.objects, done.kept) == (5, {"unread": 1})
    assert mail(team) == [f"demo/messages/ann/_sent/{unread.id}.json", f"demo/messages/bob/{unread.id}.json"]
    assert states(ann) == ["stored"]
    assert [letter.id for batch in bob.mailbox.new() for letter in batch] == [unread.id]


def test_mail_of_a_reader_without_a_position_of_ours_stays(team: Team) -> None:
    """0.2.x keeps its position elsewhere, and a broken position tells nothing."""
    ann = team.agent("ann")
    for name, key in (("old", "_cursor"), ("odd", "_reader")):
        letter = ann.mailbox.send(name, "hello")
        seen = {"direct": {"watermark": f"messages/{name}/{letter.id}.json", "seen": []}}
        team.store.plant(f"demo/messages/{name}/{key}.json", seen if key == "_cursor" else [1])
    before = mail(team)
    assert collect(ann).objects == 0
    assert mail(team) == before


def test_acknowledged_without_being_shown_by_position_stays(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    bob.mailbox.ack([ann.mailbox.send("bob", "hello").id])
    assert collect(ann).objects == 0
    assert states(ann) == ["acknowledged"]


@pytest.mark.parametrize("deletes", range(6))
def test_stopped_at_any_point_sent_never_calls_a_read_message_deleted(team: Team, deletes: int) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    letters = [ann.mailbox.send(to, "hello", ack=True) for to in ("bob", BROADCAST)]
    read_all(bob)
    bob.mailbox.ack([letter.id for letter in letters])
    read_all(ann)
    original, left = team.store.delete, iter(range(deletes))

    def delete(key: str) -> None:
        if next(left, None) is None:
            raise Unreachable("the store went away")
        original(key)

    team.store.delete = delete  # type: ignore[method-assign]  # a store that fails after so many deletes
    with pytest.raises(Unreachable):
        collect(ann)
    assert set(states(ann)) <= {"acknowledged"}
    team.store.delete = original  # type: ignore[method-assign]  # and works again
    collect(ann)
    assert mail(team) == []


def test_a_broadcast_waits_for_everybody_who_is_about(team: Team) -> None:
    ann, bob, eve = (team.agent(name) for name in ("ann", "bob", "eve"))
    for project in (bob, eve):
        project.agents.register()
    ann.mailbox.send(BROADCAST, "hello")
    read_all(bob)
    limits = Limits(messages=0, agents=DAY)
    done = ann.gc.collect(limits, only=["messages"])["messages"]
    assert (done.objects, done.kept, done.waiting_for) == (0, {"unread": 1}, ["eve"])
    team.store.age(ann.layout.agent("eve"), 2 * DAY)
    done = ann.gc.collect(limits, only=["messages"], now=time.time() + 1)["messages"]
    assert (done.counts["messages"], done.waiting_for) == (1, [])


def test_a_broadcast_waits_for_a_reader_that_never_registered(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    ann.mailbox.send(BROADCAST, "one")
    read_all(bob)
    ann.mailbox.send(BROADCAST, "two")
    team.store.age(next(key for key in mail(team, "/_broadcast/") if key), 1000)
    done = ann.gc.collect(Limits(messages=0), now=time.time() + 1, only=["messages"])["messages"]
    assert (done.counts["messages"], done.waiting_for) == (1, ["bob"])


def test_what_became_of_a_deleted_message_is_told_until_it_is_old(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    first, second = (ann.mailbox.send("bob", "hello", ack=True) for _ in range(2))
    bob.mailbox.ack([second.id])
    bob.mailbox.delete(bob.mailbox.read())
    assert states(ann) == ["deleted", "acknowledged"]
    assert collect(ann, later(29)).objects == 0
    assert states(ann) == ["deleted", "acknowledged"]
    assert collect(ann).counts == {"messages": 0, "copies": 2, "acks": 1}
    assert states(ann) == []
    assert first.id not in "".join(mail(team))


def test_an_agent_that_is_gone_goes_and_may_come_back(team: Team) -> None:
    ann, bob, eve = (team.agent(name) for name in ("ann", "bob", "eve"))
    for project in (ann, bob, eve):
        project.agents.register()
    team.store.age(bob.layout.agent("bob"), 31 * DAY)
    told = ann.gc.survey(only=["agents"], now=time.time())["agents"]
    done = ann.gc.collect(only=["agents"])["agents"]
    assert told.names == done.names == ["bob"]
    assert {presence.name for presence in ann.agents.list()} == {"ann", "eve"}
    hold = bob.steps.claim("s")
    bob.agents.beat_now()
    assert bob.steps.complete("s", fence=hold.fence).state == "complete"


def test_an_agent_that_holds_a_step_or_has_unread_mail_or_acts_stays(team: Team) -> None:
    ann, bob, eve, old = (team.agent(name) for name in ("ann", "bob", "eve", "old"))
    for project in (ann, bob, eve, old):
        project.agents.register()
    bob.steps.claim("s")
    ann.mailbox.send("eve", "unread")
    team.store.plant("demo/steps/t/claim.json", {"agent": "old", "claimed_at": "2020-01-01T00:00:00Z"})
    done = agents_gone(ann)
    assert (done.names, done.kept) == ([], {"holds a step": 2, "unread mail": 1})
    bob.steps.release("s")
    read_all(eve)
    assert agents_gone(ann).names == ["bob", "eve"]
    assert {presence.name for presence in ann.agents.list()} == {"ann", "old"}


def test_nobody_goes_while_a_claim_cannot_be_read(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    bob.agents.register()
    team.store.put("demo/steps/s/claim.json", b"{")
    done = agents_gone(ann)
    assert (done.names, done.kept) == ([], {"a step is broken": 1})


def test_who_read_a_broadcast_stays_as_long_as_it_does(team: Team) -> None:
    """Else `sent` would forget that it was read."""
    ann, bob, eve = (team.agent(name) for name in ("ann", "bob", "eve"))
    for project in (bob, eve):
        project.agents.register()
    ann.mailbox.send(BROADCAST, "hello")
    read_all(bob)
    assert states(ann) == ["read"]
    team.store.age(bob.layout.agent("bob"), 31 * DAY)
    done = ann.gc.collect()["agents"]
    assert (done.names, done.kept) == ([], {"has read broadcasts that stay": 1})
    assert states(ann) == ["read"]
    read_all(eve)
    done = ann.gc.collect(Limits(messages=0))["agents"]
    assert done.names == ["bob"]
    assert states(ann) == []


def test_an_agent_that_comes_back_meanwhile_stays(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    bob.agents.register()
    gone = goneagents.choose(ann, goneagents.look(ann), oldmail.look(ann), [], later())
    assert list(gone.records) == ["bob"]
    bob.agents.register(force=True)
    goneagents.remove(ann, gone)
    assert ann.agents.get("bob") is not None


def test_a_broken_record_of_an_agent_stays(team: Team) -> None:
    ann = team.agent("ann")
    team.store.put("demo/agents/eve.json", b"{")
    done = agents_gone(ann)
    assert (done.names, done.kept) == ([], {"broken": 1})
    assert [error.fields["key"] for error in ann.broken] == ["demo/agents/eve.json"]
