"""The fold of events gives what the store holds; where events are missing, that is told, and the store is believed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.primitives.team import AgingStore, Team
from tests.replay.acts import AGENTS, Act, do, histories
from tracecraft.errors import Held
from tracecraft.localstate import LocalState
from tracecraft.project import Project
from tracecraft.replay.facts import read_facts
from tracecraft.replay.history import read_history, turns_of
from tracecraft.replay.state import State, empty
from tracecraft.replay.stored import state_of
from tracecraft.store import Store
from tracecraft.store.folder import FolderStore
from tracecraft.timeline import Filter

KINDS = ("memory", "folder")


@contextmanager
def played(kind: str, history: Sequence[Act]) -> Iterator[dict[str, Project]]:
    """A project in which all of this happened, as each of its agents sees it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store: Store = AgingStore() if kind == "memory" else FolderStore(root / "store")
        projects = {
            name: Project(store, "demo", name, local=LocalState(store.url, "demo", root / name)) for name in AGENTS
        }
        for project in projects.values():
            project.agents.register()
        for act in history:
            do(act, projects[act.agent], root)
        yield projects


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(history=histories)
def test_the_fold_of_all_events_is_what_the_store_holds(kind: str, history: list[Act]) -> None:
    with played(kind, history) as projects:
        project = projects["ann"]
        turns, state = turns_of(read_facts(project))
        stored = state_of(project)
        assert state == without_silent_renewals(stored, state)
        assert [gap for turn in turns for gap in turn.gaps] == []
        assert read_history(project).all_gaps() == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, lost=st.sets(st.integers(0, 80), min_size=1, max_size=4))
def test_lost_events_are_told_or_change_nothing(history: list[Act], lost: set[int]) -> None:
    with played("memory", history) as projects:
        project = projects["ann"]
        keys = [info.key for info in project.store.list(project.layout.events())]
        for index in lost:
            project.store.delete(keys[index % len(keys)])
        _, state = turns_of(read_facts(project))
        stored, read = state_of(project), read_history(project)
        assert read.state_at() == stored
        told = without_silent_renewals(stored, state)
        assert all(state[section] == told[section] for section in told if section != "agents") or read.all_gaps()


def without_silent_renewals(stored: State, state: State) -> State:
    """The store's state without what the processes that keep claims themselves added to `rev`: no event tells that."""

    def told(step: str, claim: dict[str, Any]) -> dict[str, Any]:
        known = state["claims"].get(step)
        silent = known is not None and claim["alive"] == "self" and known["rev"] < claim["rev"]
        return {**claim, "rev": known["rev"]} if known is not None and silent else claim

    return {**stored, "claims": {step: told(step, claim) for step, claim in stored["claims"].items()}}


def test_claims_of_the_published_version_are_a_gap_and_the_stores_state_is_shown(team: Team) -> None:
    ann = team.agent("ann")
    ann.memory.set("k", 1)
    ann.steps.claim("ours")
    team.store.plant("demo/steps/theirs/claim.json", {"agent": "old", "claimed_at": "2026-01-01T00:00:00+00:00"})
    team.store.plant("demo/memory/k.json", {"value": 2, "set_by": "old", "set_at": "2026-01-01T00:00:00+00:00"})
    team.store.plant("demo/messages/ann/1_old_0a0b0c0d.json", {"from": "old", "to": "ann", "message": "hi"})
    history = read_history(ann)
    assert {gap.subject for gap in history.all_gaps()} == {"step theirs", "memory k", "message 1_old_0a0b0c0d"}
    state = history.state_at()
    assert (state["claims"]["theirs"]["agent"], state["memory"]["k"]["value"]) == ("old", 2)
    assert state["claims"]["ours"]["agent"] == "ann"
    ann.steps.claim("theirs", steal=True)
    assert "step theirs" in {gap.subject for gap in read_history(ann).all_gaps()}


def test_a_lost_event_in_the_middle_is_named_though_the_end_is_right(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    for project, act in ((ann, "release"), (bob, "release"), (ann, "complete")):
        project.steps.claim("s")
        getattr(project.steps, act)("s")
    (lost,) = ann.events.timeline(Filter(agent="bob", type="claim"))
    team.store.delete(lost.key)
    (gap,) = read_history(ann).all_gaps()
    assert (gap.subject, gap.why) == ("step s", "release by bob at rev 4 does not follow pending at rev 2")
    assert read_history(ann).state_at()["claims"]["s"]["state"] == "complete"


def test_events_written_late_or_in_one_second_keep_their_order(team: Team) -> None:
    """Times of the store decide across subjects; what certainly follows something stays behind it."""
    ann, bob = team.agent("ann"), team.agent("bob")
    ann.steps.claim("s")
    with pytest.raises(Held):
        bob.steps.claim("s")
    ann.steps.complete("s")
    ann.memory.update("k", lambda _: 1)
    bob.memory.update("k", lambda _: 2)
    ann.mailbox.send("bob", "hello")
    list(bob.mailbox.new())
    bob.mailbox.delete(bob.mailbox.read())
    told = [fact.type for fact in read_facts(ann)]
    state = read_history(ann).state_at()
    for index, entry in enumerate(ann.events.timeline()):
        team.store.age(entry.key, 100.0 + index % 3 * 10)
    assert [fact.type for fact in read_facts(ann)] != told
    again = read_history(ann)
    assert (again.state_at(), again.all_gaps()) == (state, [])
    places = {turn.fact.type: place for place, turn in enumerate(again.turns)}
    assert places["claim"] < places["claim.refused"]
    assert places["claim"] < places["complete"]
    assert places["send"] < places["inbox.read"] < places["inbox.delete"]


def test_the_state_of_a_moment(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("s")
    moment = ann.events.timeline()[-1].modified
    ann.steps.complete("s")
    ann.memory.set("k", 1)
    history = read_history(ann)
    assert history.state_at(moment)["claims"]["s"]["state"] == "in_progress"
    assert history.state_at(moment)["memory"] == {}
    assert history.state_at(moment - 60) == empty()


def test_a_large_value_and_a_deleted_message_are_found_where_they_still_are(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    ann.memory.set("k", "x" * 5000)
    ann.mailbox.send("bob", "look here")
    bob.mailbox.delete(bob.mailbox.read())
    turns = read_history(ann).turns
    assert [turn.changes[-1][2]["value"] for turn in turns if turn.fact.type == "memory.set"] == ["x" * 5000]
    assert [turn.changes[-1][2]["text"] for turn in turns if turn.fact.type == "send"] == ["look here"]


def test_a_broken_event_is_a_gap(team: Team) -> None:
    ann = team.agent("ann")
    ann.memory.set("k", 1)
    (entry,) = ann.events.timeline()
    team.store.put(entry.key, b"{")
    assert {gap.subject for gap in read_history(ann).all_gaps()} == {f"event {entry.key}", "memory k"}
