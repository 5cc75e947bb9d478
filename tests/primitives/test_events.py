"""The timeline: an event for every change and every refusal, in the store's order, filtered and followed."""

from __future__ import annotations

import threading
import time

import pytest

from tests.primitives.team import Team
from tracecraft.errors import Held
from tracecraft.layout import BROADCAST, event_time
from tracecraft.project import Project
from tracecraft.timeline import Filter


def told(project: Project, wanted: Filter | None = None) -> list[tuple[str, str, str]]:
    return [(e.name.type, e.name.agent, e.subject) for e in project.events.timeline(wanted)]


def test_every_change_is_told_in_order(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    ann.steps.add("s")
    ann.steps.claim("s")
    with pytest.raises(Held):
        bob.steps.claim("s")
    ann.steps.renew(["s"])
    ann.steps.complete("s", outcome="blocked")
    bob.steps.reopen("s")
    bob.steps.claim("s")
    ann.steps.claim("s", steal=True)
    ann.steps.release("s")
    bob.memory.set("k", 1)
    bob.memory.delete("k")
    bob.mailbox.send("ann", "hello")
    bob.mailbox.send(BROADCAST, "all")
    assert told(bob) == [
        ("step.add", "ann", "s"),
        ("claim", "ann", "s"),
        ("claim.refused", "bob", "s"),
        ("renew", "ann", "s"),
        ("blocked", "ann", "s"),
        ("reopen", "bob", "s"),
        ("claim", "bob", "s"),
        ("claim.steal", "ann", "s"),
        ("release", "ann", "s"),
        ("memory.set", "bob", "k"),
        ("memory.delete", "bob", "k"),
        ("send", "bob", "ann"),
        ("broadcast", "bob", BROADCAST),
    ]


def test_an_event_names_its_object_fence_and_revision(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("s")
    team.silence("ann")
    team.agent("bob").steps.claim("s")
    (takeover,) = ann.events.timeline(Filter(type="claim.takeover"))
    assert takeover.body is not None
    assert (takeover.body.about, takeover.body.fence, takeover.body.rev) == ("demo/steps/s/claim.json", 2, 2)
    assert takeover.body.extra["previous"] == "ann"


def test_a_refused_ending_is_told_with_its_reason(team: Team) -> None:
    team.agent("ann").steps.claim("s")
    with pytest.raises(Held):
        team.agent("bob").steps.complete("s")
    (refused,) = team.agent("bob").events.timeline(Filter(type="complete.refused"))
    assert refused.body is not None
    assert (refused.body.extra["reason"], refused.body.extra["holder"]) == ("held", "ann")


def test_filters(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    ann.steps.claim("a")
    with pytest.raises(Held):
        bob.steps.claim("a")
    bob.steps.claim("b")
    assert told(ann, Filter(agent="bob")) == [("claim.refused", "bob", "a"), ("claim", "bob", "b")]
    assert told(ann, Filter(type="claim")) == [
        ("claim", "ann", "a"),
        ("claim.refused", "bob", "a"),
        ("claim", "bob", "b"),
    ]
    assert told(ann, Filter(type="claim.refused")) == [("claim.refused", "bob", "a")]
    assert told(ann, Filter(subject="b")) == [("claim", "bob", "b")]
    assert [e.subject for e in ann.events.timeline(limit=1)] == ["b"]


def test_since_and_until_are_of_the_stores_clock(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("a")
    (first,) = ann.events.timeline()
    team.store.age(first.key, 1000)
    ann.steps.claim("b")
    border = first.modified - 500
    assert [e.subject for e in ann.events.timeline(Filter(since=border))] == ["b"]
    assert [e.subject for e in ann.events.timeline(Filter(until=border))] == ["a"]


def test_the_order_is_the_stores_and_not_the_writers(team: Team) -> None:
    ann = team.agent("ann")
    for step in ("a", "b", "c"):
        ann.steps.claim(step)
    last = ann.events.timeline(Filter(subject="c"))[0]
    team.store.age(last.key, 60)
    assert [e.subject for e in ann.events.timeline()] == ["c", "a", "b"]


def test_a_subject_longer_than_a_key_allows_is_whole_in_the_body(team: Team) -> None:
    ann = team.agent("ann")
    key = ".".join(["deep"] * 40)
    ann.memory.set(key, 1)
    (entry,) = ann.events.timeline(Filter(subject=key))
    assert entry.subject == key
    assert len(entry.name.subject) == 64


def test_a_broken_event_is_named_and_shown_as_far_as_its_key_tells(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("s")
    (entry,) = ann.events.timeline()
    team.store.put(entry.key, b"\xff")
    team.store.put(ann.layout.events() + "nonsense.json", b"{}")
    (again,) = ann.events.timeline()
    assert (again.body, again.subject, again.name.type) == (None, "s", "claim")
    assert [error.fields["key"] for error in ann.broken] == [entry.key]


def test_follow_brings_what_was_and_then_what_comes_each_once(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    for number in range(3):
        ann.memory.set(f"before-{number}", number)
    stop = threading.Event()

    def keep_going() -> None:
        for number in range(1000):
            bob.memory.set("during", number)
            bob.mailbox.send("ann", "noise")
            if stop.wait(0.02):
                return

    following = ann.events.follow(Filter(type="memory.set"), limit=2)
    assert [entry.subject for entry in next(following)] == ["before-1", "before-2"]
    going = threading.Thread(target=keep_going)
    going.start()
    try:
        seen = [entry for _ in range(5) for entry in next(following)]
    finally:
        stop.set()
        going.join()
    assert seen
    assert {(entry.name.type, entry.subject) for entry in seen} == {("memory.set", "during")}
    assert len({entry.key for entry in seen}) == len(seen)


def test_a_follower_whose_own_clock_is_an_hour_ahead_misses_nothing(team: Team) -> None:
    """For it the store and everybody else are an hour behind."""
    ann = team.agent("ann")

    def plant(subject: str) -> None:
        key = f"{ann.layout.events()}{event_time(time.time_ns() - 3600 * 10**9)}~memory.set~bob~{subject}~0a1b2c3d.json"
        team.store.plant(key, {"type": "memory.set", "agent": "bob", "subject": subject, "at": ""})
        team.store.age(key, 3600)

    plant("before")
    following = ann.events.follow()
    assert [entry.subject for entry in next(following)] == ["before"]
    plant("during")
    assert [entry.subject for entry in next(following)] == ["during"]


def test_a_lost_event_changes_no_state(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("s")
    for entry in ann.events.timeline():
        team.store.delete(entry.key)
    assert ann.events.timeline() == []
    assert ann.steps.view("s").held_by("ann")
