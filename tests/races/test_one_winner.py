"""Of all who race for one step, exactly one wins, and all others are told who.

Cold processes on few cores queue rather than race. So on S3 the proxy holds the conditional writes of all racers until
every one of them is there; on a folder, workers that are warm start together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.races.jobs import WON, Outcome, claim, open_trusting, open_unlocked
from tests.races.judge import complaints
from tests.support.fleet import Fleet
from tests.support.proxy import Proxy, Request
from tests.support.s3 import Endpoint, make_bucket
from tests.support.scale import measured, size
from tests.support.world import Result, World, finish

RACERS = (2, 3, 2, 50, 4, 2, 5, 3, 16, 2, 2, 3, 8, 2, 3, 20, 2, 4, 6, 2)
"""Most claims are contested by few, some by many."""

HELD_SECONDS = 8.0
"""Less than the 10 s after which a client gives a request up."""

UNSAFE_ROUNDS = 400
"""Races after which a store that lets several win must have been found out."""


@dataclass(frozen=True)
class Deciding:
    """Matches the writes of a step's claim under one kind of condition."""

    step: str
    condition: str

    def __call__(self, request: Request) -> bool:
        about = request.method == "PUT" and request.key.endswith(f"steps/{self.step}/claim.json")
        return about and self.condition in request.headers


def field_sizes(races: int) -> Iterator[int]:
    return islice(cycle(RACERS), races)


def released(world: World, step: str) -> None:
    """A step that was claimed and given back: whoever claims it next swaps."""
    project = world.open("earlier")
    project.steps.claim(step)
    project.steps.release(step)


def test_command_lines_on_s3(s3_endpoint: Endpoint, bucket: str, tmp_path: Path) -> None:
    races = size(400, 20)
    direct = World.in_bucket(tmp_path, s3_endpoint, bucket)
    direct.run("earlier", "init", "--agent", "earlier")
    with measured("one winner, command lines", s3_endpoint.name) as figures, Proxy(s3_endpoint.url) as proxy:
        world = World.in_bucket(tmp_path, s3_endpoint, bucket, through=proxy.url)
        together = processes = 0
        for number, racers in enumerate(field_sizes(races)):
            step, again = f"step-{number}", number % 2 == 1
            if again:
                released(direct, step)
            # A claim that finds a history first tries a create, which is refused, and then swaps: only that decides.
            condition = "if-match" if again else "if-none-match"
            gate = proxy.hold(Deciding(step, condition), racers, timeout=HELD_SECONDS)
            started = [world.start(f"r{n}", "claim", step, "--json") for n in range(racers)]
            outcomes = [told(f"r{n}", step, result) for n, result in enumerate(finish(started))]
            assert not complaints(direct, step, outcomes, fence=2 if again else 1)
            together += gate.complete
            processes += racers
            proxy.clear()
        assert together
        figures |= {"races": races, "processes": processes, "races with all writes held together": together}


def test_workers_on_a_folder(folder_world: World, fleet: Fleet) -> None:
    races = size(400, 80)
    with measured("one winner, workers", "folder") as figures:
        for number, racers in enumerate(field_sizes(races)):
            step, again = f"step-{number}", number % 2 == 1
            if again:
                released(folder_world, step)
            outcomes = fleet.run(claim, [(folder_world, f"r{n}", step) for n in range(racers)])
            assert not complaints(folder_world, step, outcomes, fence=2 if again else 1)
        figures |= {"races": races, "claims": sum(field_sizes(races))}


def test_cold_command_lines_on_a_folder(folder_world: World) -> None:
    races = size(40, 3)
    with measured("one winner, cold command lines", "folder") as figures:
        for number in range(races):
            step = f"step-{number}"
            started = [folder_world.start(f"r{n}", "claim", step, "--json") for n in range(10)]
            outcomes = [told(f"r{n}", step, result) for n, result in enumerate(finish(started))]
            assert not complaints(folder_world, step, outcomes)
        figures |= {"races": races, "processes": 10 * races}


@pytest.mark.parametrize("server", ["s3rver", "moto"])
def test_the_race_finds_a_server_out(server: str, fleet: Fleet, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A control: what passes above is no proof unless it fails on a server that lets several win."""
    endpoint = request.getfixturevalue(f"{server}_endpoint")
    make_bucket(endpoint, "races-with-several-winners")
    direct = World.in_bucket(tmp_path, endpoint, "races-with-several-winners")
    with Proxy(endpoint.url) as proxy:
        world = World.in_bucket(tmp_path, endpoint, "races-with-several-winners", through=proxy.url)
        for number in range(UNSAFE_ROUNDS):
            step = f"step-{number}"
            proxy.hold(Deciding(step, "if-none-match"), 12, timeout=HELD_SECONDS)
            outcomes = fleet.run(claim, [(world, f"r{n}", step, open_trusting) for n in range(16)])
            if sum(outcome.said == WON for outcome in outcomes) > 1:
                assert any("won" in complaint for complaint in complaints(direct, step, outcomes))
                return
    pytest.fail(f"{UNSAFE_ROUNDS} races on {server}, and never two winners")


def test_the_race_finds_a_folder_without_locks_out(folder_world: World, fleet: Fleet) -> None:
    """The control for the folder: the same race, swaps without the lock that decides them."""
    for number in range(UNSAFE_ROUNDS):
        step = f"step-{number}"
        released(folder_world, step)
        outcomes = fleet.run(claim, [(folder_world, f"r{n}", step, open_unlocked) for n in range(16)])
        if sum(outcome.said == WON for outcome in outcomes) > 1:
            assert complaints(folder_world, step, outcomes, fence=2)
            return
    pytest.fail(f"{UNSAFE_ROUNDS} races without locks, and never two winners")


@pytest.mark.parametrize("server", ["s3rver"])
def test_claims_are_refused_where_several_could_win(
    server: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    endpoint = request.getfixturevalue(f"{server}_endpoint")
    make_bucket(endpoint, "claims-refused")
    world = World.in_bucket(tmp_path, endpoint, "claims-refused")
    refused = world.run("one", "claim", "build", "--json", exits=7)
    assert refused.error["code"] == "unsafe_store"
    assert world.run("one", "step-status", "build", "--json").json["state"] == "pending"
    said = world.run("one", "init", "--agent", "one").out
    assert "refused" in said
    world.run("one", "claim", "build", exits=7)

    world.run("one", "init", "--agent", "one", "--best-effort")
    accepted = world.run("one", "claim", "build")
    assert "best effort" in accepted.err
    assert world.run("one", "claim", "build", "--json").json["how"] == "already_yours"


def told(agent: str, step: str, result: Result) -> Outcome:
    """What a command line made known: its exit code and its document must agree."""
    if result.code == 0:
        document = json.loads(result.out)
        return Outcome(agent, WON, document["step"], document["agent"])
    error = result.error
    code = error["code"] if (result.code == 3) == (error["code"] == "held") else f"{error['code']}, exit {result.code}"
    return Outcome(agent, code, step, error.get("holder"))
