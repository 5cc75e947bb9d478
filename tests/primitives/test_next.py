"""`next`, the work queue: what is handed out in which order, to whom, and why nothing is."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests.primitives.team import Team
from tests.support.world import World
from tracecraft.errors import NothingReady, TimedOut, UsageError
from tracecraft.project import Project
from tracecraft.specs import make_spec

RACERS = 20


def taken(project: Project, times: int) -> list[str]:
    return [project.steps.next(another=True).step for _ in range(times)]


def why_nothing(project: Project, *tags: str) -> dict[str, object]:
    with pytest.raises(NothingReady) as nothing:
        project.steps.next(tags=tags)
    assert nothing.value.exit_code == 4
    return nothing.value.fields


def test_priority_comes_before_declaration(team: Team) -> None:
    me = team.agent("me")
    for step, priority in (("z-later", 2), ("low", 5), ("a-later", 2), ("urgent", 0), ("soon", 1)):
        me.steps.add(step, priority=priority)
    assert taken(me, 5) == ["urgent", "soon", "z-later", "a-later", "low"]


def test_steps_loaded_together_keep_their_order(team: Team) -> None:
    me = team.agent("me")
    names = ["c", "a", "d", "b"]
    me.steps.load([(name, make_spec()) for name in names])
    assert taken(me, 4) == names


def test_a_step_declared_anew_keeps_its_place(team: Team) -> None:
    me = team.agent("me")
    me.steps.add("first")
    me.steps.add("second")
    me.steps.add("first", title="better", replace=True)
    assert taken(me, 2) == ["first", "second"]


def test_a_step_waits_for_all_its_needs(team: Team) -> None:
    me, other = team.agent("me"), team.agent("other")
    me.steps.add("build", priority=1, needs=["design", "review"])
    me.steps.add("design")
    me.steps.add("review")
    for step in ("design", "review"):
        assert other.steps.next().step == step
        other.steps.complete(step)
    assert me.steps.next().step == "build"


@pytest.mark.parametrize("outcome", ["blocked", "needs_review"])
def test_a_need_that_ended_otherwise_than_complete_is_not_met(team: Team, outcome: str) -> None:
    me = team.agent("me")
    me.steps.add("design")
    me.steps.add("build", needs=["design"])
    me.steps.next()
    me.steps.complete("design", outcome="blocked" if outcome == "blocked" else "needs_review")
    told = why_nothing(me)
    assert told["reason"] == "waiting_on_needs"
    assert told["waiting"] == {"build": ["design"]}
    assert told["stuck"] == {"design": outcome}


def test_a_reopened_need_is_not_met_any_more(team: Team) -> None:
    me = team.agent("me")
    me.steps.add("design")
    me.steps.add("build", needs=["design"])
    me.steps.next()
    me.steps.complete("design")
    me.steps.reopen("design")
    assert me.steps.next().step == "design"


def test_claim_never_looks_at_needs(team: Team) -> None:
    me = team.agent("me")
    me.steps.add("build", needs=["design"])
    assert me.steps.claim("build").fence == 1


def test_all_tags_asked_for_must_be_there(team: Team) -> None:
    me = team.agent("me")
    me.steps.add("docs", tags=["write"])
    me.steps.add("test", tags=["code", "slow"])
    me.steps.add("fix", tags=["code"])
    assert me.steps.next(tags=["code"], another=True).step == "test"
    assert why_nothing(me, "code", "write")["reason"] == "all_done"
    assert me.steps.next(tags=["code"], another=True).step == "fix"


def test_what_an_agent_has_from_next_it_gets_again(team: Team) -> None:
    me = team.agent("me")
    me.steps.add("a")
    me.steps.add("b")
    first = me.steps.next()
    again = me.steps.next()
    assert (first.how, first.step) == ("claimed", "a")
    assert (again.how, again.step, again.fence) == ("resumed", "a", first.fence)
    other = me.steps.next(another=True)
    assert (other.how, other.step) == ("claimed", "b")


def test_what_an_agent_claimed_by_name_is_not_handed_out_to_it(team: Team) -> None:
    me = team.agent("me")
    me.steps.add("a")
    me.steps.add("b")
    me.steps.claim("a")
    assert me.steps.next().step == "b"


def test_what_a_process_works_on_is_not_handed_out_to_its_sibling(team: Team) -> None:
    """An agent got the step from `next` and runs it with `exec`; a second worker of that name asks for work."""
    me = team.agent("me")
    me.steps.add("a")
    me.steps.add("b")
    me.steps.next()
    me.steps.claim("a", alive="self")
    assert me.steps.next().step == "b"


def test_what_a_killed_process_left_is_handed_out_to_its_agent_again(team: Team) -> None:
    me = team.agent("me")
    me.steps.add("a")
    me.steps.next()
    me.steps.claim("a", alive="self")
    assert why_nothing(me)["reason"] == "all_held"
    team.store.age(me.layout.claim("a"))
    hold = me.steps.next()
    assert (hold.step, hold.how, hold.fence) == ("a", "taken_over", 2)


def test_everything_done(team: Team) -> None:
    me = team.agent("me")
    assert why_nothing(me) == {"reason": "all_done", "steps": 0}
    me.steps.add("a")
    me.steps.next()
    me.steps.complete("a")
    assert why_nothing(me) == {"reason": "all_done", "steps": 1}


def test_everything_held(team: Team) -> None:
    me, other = team.agent("me"), team.agent("other")
    me.steps.add("a")
    me.steps.add("b", needs=["a"])
    other.steps.next(ttl=600)
    told = why_nothing(me)
    assert told["reason"] == "all_held"
    assert told["held"] == {"a": "other"}
    assert told["waiting"] == {"b": ["a"]}
    assert told["earliest_expiry"]


def test_a_cycle_is_refused_when_it_is_declared(team: Team) -> None:
    me = team.agent("me")
    me.steps.add("a", needs=["b"])
    me.steps.add("b", needs=["c"])
    with pytest.raises(UsageError, match="need each other"):
        me.steps.add("c", needs=["a"])
    with pytest.raises(UsageError, match="need each other"):
        me.steps.add("d", needs=["d"])
    assert "c" not in me.steps.board().specs


def test_a_cycle_made_by_two_at_once_is_named(team: Team) -> None:
    me = team.agent("me")
    team.store.plant(me.layout.spec("a"), {"needs": ["b"]})
    team.store.plant(me.layout.spec("b"), {"needs": ["a"]})
    told = why_nothing(me)
    assert told["reason"] == "waiting_on_needs"
    cycle = told["cycle"]
    assert isinstance(cycle, list)
    assert set(cycle) == {"a", "b"}


def test_a_lease_that_ran_out_is_handed_out_after_what_is_ready(team: Team) -> None:
    me, gone = team.agent("me"), team.agent("gone")
    me.steps.add("abandoned", priority=0)
    me.steps.add("ready", priority=9)
    gone.steps.next()
    team.silence("gone")
    assert me.steps.next().step == "ready"
    taken_over = me.steps.next(another=True)
    assert (taken_over.step, taken_over.how, taken_over.previous, taken_over.fence) == (
        "abandoned",
        "taken_over",
        "gone",
        2,
    )


def test_a_step_nobody_declared_is_handed_out_once_it_was_given_back(team: Team) -> None:
    other = team.agent("other")
    other.steps.claim("improvised")
    other.steps.release("improvised", note="over to you")
    hold = team.agent("me").steps.next()
    assert (hold.step, hold.note) == ("improvised", "over to you")


def test_waiting_ends_with_the_time_given(team: Team) -> None:
    team.agent("other").steps.claim("a")
    with pytest.raises(TimedOut, match="nothing is ready, 1 held: a") as late:
        team.agent("me").steps.next(wait=0.1)
    assert (late.value.exit_code, late.value.fields["reason"]) == (5, "all_held")


def _race(world: World, agent: str, barrier: Barrier, results: multiprocessing.Queue[tuple[str, str]]) -> None:
    project = world.open(agent)
    barrier.wait(120)
    try:
        results.put((agent, project.steps.next().step))
    except NothingReady as nothing:
        results.put((agent, f"nothing: {nothing.fields['reason']}"))


@pytest.mark.parametrize("ready", [20, 5])
def test_racers_get_different_steps(tmp_path: Path, ready: int) -> None:
    world = World.in_folder(tmp_path)
    project = world.open()
    project.steps.load([(f"s{number:02}", make_spec()) for number in range(ready)])
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(RACERS)
    results: multiprocessing.Queue[tuple[str, str]] = context.Queue()
    racers = [context.Process(target=_race, args=(world, f"agent-{n}", barrier, results)) for n in range(RACERS)]
    for racer in racers:
        racer.start()
    got = dict(results.get(timeout=150) for _ in racers)
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    outcomes = Counter(got.values())
    assert outcomes.pop("nothing: all_held", 0) == RACERS - ready
    assert outcomes == {f"s{number:02}": 1 for number in range(ready)}
    views = project.steps.board().views
    held = {agent: step for agent, step in got.items() if not step.startswith("nothing")}
    assert all(views[step].held_by(agent) for agent, step in held.items())
