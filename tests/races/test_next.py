"""Workers that ask for the next step at one moment get different steps, or are told that nothing is ready."""

from __future__ import annotations

import pytest

from tests.races.jobs import WON, take_next
from tests.races.judge import stored_json
from tests.support.fleet import Fleet
from tests.support.scale import measured
from tests.support.world import World, finish
from tracecraft.specs import make_spec

RACERS = 50


def declare(world: World, count: int) -> list[str]:
    world.run("planner", "init", "--agent", "planner")
    steps = [f"step-{n}" for n in range(count)]
    world.open("planner").steps.load([(step, make_spec()) for step in steps])
    return steps


@pytest.mark.parametrize("ready", [50, 10])
def test_each_gets_a_step_of_its_own(world: World, place: str, fleet: Fleet, ready: int) -> None:
    steps = declare(world, ready)
    with measured(f"next, {RACERS} racers on {ready} steps", place) as figures:
        outcomes = fleet.run(take_next, [(world, f"r{n}") for n in range(RACERS)])
        won = [outcome for outcome in outcomes if outcome.said == WON]
        assert sorted(outcome.step for outcome in won) == sorted(steps)
        assert [outcome.said for outcome in outcomes if outcome.said != WON] == ["nothing_ready"] * (RACERS - ready)
        for outcome in won:
            stored = stored_json(world, f"steps/{outcome.step}/claim.json")
            assert (stored["agent"], stored["fence"]) == (outcome.agent, 1)
        figures |= {"racers": RACERS, "steps": ready}


def test_command_lines_on_ten_steps(folder_world: World) -> None:
    """Exit 4 for those who get none, with the reason."""
    steps = declare(folder_world, 10)
    results = finish([folder_world.start(f"r{n}", "next", "--json") for n in range(RACERS)])
    assert sorted(result.code for result in results) == [0] * 10 + [4] * 40
    assert sorted(result.json["step"] for result in results if result.code == 0) == sorted(steps)
    assert {result.error["reason"] for result in results if result.code == 4} == {"all_held"}
