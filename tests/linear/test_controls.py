"""Controls: the same agents on stores that let several win. What passes elsewhere is no proof unless it fails here."""

from __future__ import annotations

from pathlib import Path

from tests.linear.agent import Load
from tests.linear.run import Plan, judge, run
from tests.races.jobs import Opener, open_trusting, open_unlocked
from tests.support.s3 import Endpoint, make_bucket
from tests.support.world import World

TRIES = 20
"""Runs after which a store that lets several win must have been found out."""

CREATES = Load(agents=16, share=1, only="create")
UPDATES = Load(agents=8, share=25, only="update")


def is_found_out(world: World, opener: Opener, load: Load, folder: Path) -> bool:
    """Whether a run of several shows what no single order explains."""
    for number in range(TRIES):
        plan = Plan(400, takeovers=0, seed=number, load=load)
        fresh = World(world.root, world.url, f"try-{number}", world.variables)
        judgement = judge(run(fresh, folder / str(number), plan, opener=opener).history)
        assert not judgement.undecided
        told = "\n".join(judgement.wrong.values())
        if "no order of these" in told:
            print(f"run {number}: {told}")
            return True
    return False


def test_a_server_that_lets_several_win_is_found_out(s3rver_endpoint: Endpoint, tmp_path: Path) -> None:
    make_bucket(s3rver_endpoint, "histories-with-several-winners")
    world = World.in_bucket(tmp_path, s3rver_endpoint, "histories-with-several-winners")
    assert is_found_out(world, open_trusting, CREATES, tmp_path / "history")


def test_a_folder_without_locks_is_found_out(folder_world: World, tmp_path: Path) -> None:
    assert is_found_out(folder_world, open_unlocked, UPDATES, tmp_path / "history"), f"{TRIES} runs without locks"
