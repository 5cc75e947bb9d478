"""Agents that claim, end, free and take over steps and swap memory side by side, while the store answers badly and
agents die: whatever each of them was told can be explained by one order of what they did.

A bucket is reached through a proxy that loses answers before and after they took effect, delays them for longer than
anybody waits, and lies. A folder has no such weather. On both, agents are killed and started again, and a third of
them have clocks that are an hour wrong.
"""

from __future__ import annotations

from pathlib import Path

from tests.linear.agent import Load
from tests.linear.run import Plan, Run, judge, run
from tests.linear.weather import Weather
from tests.support.proxy import Proxy
from tests.support.s3 import Endpoint
from tests.support.scale import FULL, Figures, measured
from tests.support.world import World

SEED = 20261125


def planned(full: int, *, mixed: bool = True) -> Plan:
    """So many operations; in `make test` some five hundred, spread over the time that leases need to run out."""
    if FULL:
        return Plan(full, seed=SEED, kill_every=2.0, load=Load(agents=12, share=12, naps=0.05, mixed=mixed))
    return Plan(500, seed=SEED, kill_every=2.0, pace=0.7, load=Load(agents=6, share=7, naps=0.1, mixed=mixed))


def test_histories_on_a_folder(folder_world: World, tmp_path: Path) -> None:
    with measured("linearizable histories", "folder") as figures:
        result = run(folder_world, tmp_path / "history", planned(50_000))
        hold_up(result, tmp_path, figures)


def test_histories_on_s3(s3_endpoint: Endpoint, bucket: str, tmp_path: Path) -> None:
    World.in_bucket(tmp_path, s3_endpoint, bucket).run("setup", "init", "--agent", "setup")
    # Ceph acknowledges a write without condition that lost a race against a swap, and drops it.
    plan = planned(25_000, mixed=s3_endpoint.name != "ceph")
    with measured("linearizable histories", s3_endpoint.name) as figures, Proxy(s3_endpoint.url) as proxy:
        weather = Weather(proxy, SEED)
        world = World.in_bucket(tmp_path, s3_endpoint, bucket, through=proxy.url)
        result = run(world, tmp_path / "history", plan, proxy=proxy)
        hold_up(result.with_repeats(weather), tmp_path, figures)
        figures.update(weather.faults)
        assert any(weather.faults.values())


def hold_up(result: Run, folder: Path, figures: Figures) -> None:
    """The history of every object must be linearizable, and no lease be taken too early."""
    judgement = judge(result.history)
    print(f"seed {SEED}: {judgement.operations} operations, {result.kills} kills, histories in {folder}")
    for subject, account in judgement.wrong.items():
        (folder / f"{subject}.txt").write_text(account + "\n")
        print(account)
    assert not judgement.wrong
    assert not judgement.undecided
    assert judgement.takeovers
    assert result.kills
    figures |= {
        "seed": SEED,
        "operations": judgement.operations,
        "objects": judgement.objects,
        "kills": result.kills,
        "in doubt": judgement.in_doubt,
        "sent again": judgement.repeated,
        "taken over": judgement.takeovers,
        "violations": len(judgement.wrong),
        "undecided": len(judgement.undecided),
    }
