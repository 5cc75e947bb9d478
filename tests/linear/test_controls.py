"""Controls: the same agents on stores that let several win. What passes elsewhere is no proof unless it fails here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.linear.agent import Load
from tests.linear.run import Plan, judge, run
from tests.races.jobs import Opener, open_trusting, open_unlocked
from tests.support.proxy import Match, Proxy
from tests.support.s3 import make_bucket
from tests.support.world import World

TRIES = 20
"""Runs after which a store that lets several win must have been found out."""

OPERATIONS = 400
CREATES = Load(agents=16, share=1, only="create")
UPDATES = Load(agents=8, share=25, only="update")


def is_found_out(world: World, opener: Opener, load: Load, folder: Path) -> bool:
    """Whether a run of several shows what no single order explains."""
    for number in range(TRIES):
        plan = Plan(OPERATIONS, takeovers=0, seed=number, load=load)
        fresh = World(world.root, world.url, f"try-{number}", world.variables)
        judgement = judge(run(fresh, folder / str(number), plan, opener=opener).history)
        assert not judgement.undecided
        told = "\n".join(judgement.wrong.values())
        if "no order of these" in told:
            print(f"run {number}: {told}")
            return True
    return False


@pytest.mark.parametrize("server", ["s3rver", "moto"])
def test_a_server_that_lets_several_win_is_found_out(
    server: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    endpoint = request.getfixturevalue(f"{server}_endpoint")
    make_bucket(endpoint, "histories-with-several-winners")
    with Proxy(endpoint.url) as proxy:
        let_race(proxy)
        world = World.in_bucket(tmp_path, endpoint, "histories-with-several-winners", through=proxy.url)
        assert is_found_out(world, open_trusting, CREATES, tmp_path / "history"), f"{TRIES} runs on {server}"


def let_race(proxy: Proxy) -> None:
    """Hold the creates of every key until most agents' are there: they meet in the server, not in a queue before it."""
    most = CREATES.agents * 3 // 4
    for number in range(TRIES):
        for round_ in range(OPERATIONS // most + 1):
            match = Match("PUT", key=f"/try-{number}/memory/key-{round_}.json", conditional=True)
            proxy.hold(match, most, timeout=2.0)


def test_a_folder_without_locks_is_found_out(folder_world: World, tmp_path: Path) -> None:
    assert is_found_out(folder_world, open_unlocked, UPDATES, tmp_path / "history"), f"{TRIES} runs without locks"
