"""Many processes at one memory key: no increment is lost, and no version is missing from the history."""

from __future__ import annotations

from collections import Counter

from tests.races.jobs import WON, count_up, delete, set_blindly
from tests.races.judge import listed
from tests.support.fleet import Fleet
from tests.support.scale import measured, size
from tests.support.world import World

WORKERS = 50


def test_every_increment_counts(world: World, place: str, fleet: Fleet) -> None:
    times = size(20, 2)
    with measured("memory, increments", place) as figures:
        fleet.run(count_up, [(world, f"w{n}", "total", times) for n in range(WORKERS)])
        figures |= {"processes": WORKERS, "increments": WORKERS * times}
    memory = world.open().memory
    assert memory.get("total").value == WORKERS * times
    versions = memory.history("total")
    assert sorted(version.value for version in versions) == list(range(1, WORKERS * times + 1))
    assert len(listed(world, "memory/_history/total/")) == WORKERS * times


def test_blind_sets_lose_no_version(world: World, place: str, fleet: Fleet) -> None:
    times = size(20, 2)
    with measured("memory, blind sets", place) as figures:
        fleet.run(set_blindly, [(world, f"w{n}", "last", times) for n in range(WORKERS)])
        figures |= {"processes": WORKERS, "sets": WORKERS * times}
    memory = world.open().memory
    expected = Counter(f"w{n} {time}" for n in range(WORKERS) for time in range(times))
    assert Counter(version.value for version in memory.history("last")) == expected
    assert memory.get("last").value in expected


def test_one_of_all_who_delete_a_value_does(world: World, fleet: Fleet) -> None:
    memory = world.open().memory
    for number in range(size(50)):
        key = f"k{number}"
        memory.set(key, "value")
        outcomes = fleet.run(delete, [(world, f"w{n}", key) for n in range(8)])
        assert Counter(outcomes) == {WON: 1, "not_found": 7}
        assert [version.deleted for version in memory.history(key)] == [False, True]
