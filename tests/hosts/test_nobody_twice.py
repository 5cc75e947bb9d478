"""Workers on three hosts that are cut off and come back at random: every step is done, and no work counts twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.hosts.site import Site
from tests.support.hosts import Host
from tests.support.processes import wait_until
from tests.support.proxy import Match
from tests.support.scale import FULL, measured, size
from tests.support.world import finish
from tracecraft.specs import make_spec

ROOT = Path(__file__).parents[2]
SECONDS = 1200.0 if FULL else 240.0
LONGEST_CUT = float(size(12, 4))
"""Seconds. A lease of 5 s is taken over after 7."""


def start_worker(here: Site, host: Host, log: Path) -> subprocess.Popen[str]:
    world = here.on(host)
    command = [sys.executable, "-m", "tests.hosts.working", str(log), str(SECONDS)]
    return subprocess.Popen(
        [*host.enter, "env", "-C", str(world.folder(host.name)), *command],
        env=world.environment(host.name, PYTHONPATH=str(ROOT)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def trouble(hosts: Sequence[Host], chance: random.Random, workers: Sequence[subprocess.Popen[str]]) -> int:
    """Cut one host off after another, for as long as chance will have it, until all workers have ended; how often."""

    def over() -> bool:
        return all(worker.poll() is not None for worker in workers)

    cuts = 0
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and not wait_until(over, seconds=chance.uniform(0.2, 2.0)):
        host = chance.choice(hosts)
        chance.choice([host.cut, host.unplug])()
        wait_until(over, seconds=chance.uniform(0.2, LONGEST_CUT))
        host.heal()
        cuts += 1
    return cuts


def test_nobody_works_twice(here: Site, hosts: Sequence[Host], tmp_path: Path) -> None:
    steps = [f"step-{n}" for n in range(size(80, 5))]
    project = here.direct.open("planner")
    project.steps.load([(step, make_spec()) for step in steps])
    logs = {host.name: tmp_path / f"{host.name}.log" for host in hosts}

    cut = threading.Event()

    def cut_first() -> None:
        hosts[0].cut()
        cut.set()

    # The first host is cut off as it puts its first effect down, and is away until somebody else has that step.
    working = Match("PUT", key="memory/effect/", client=hosts[0].address)
    here.proxy.on_request(1, cut_first, working, at="forwarded")
    with measured("hosts: nobody works twice", here.server) as figures:
        workers = [start_worker(here, host, logs[host.name]) for host in hosts]
        assert cut.wait(SECONDS)
        lost = next(filter(working, here.proxy.requests)).key.rpartition("/")[2].removesuffix(".json")
        assert wait_until(lambda: project.steps.view(lost).fence > 1, seconds=SECONDS, every=0.3)
        hosts[0].heal()

        cuts = 1 + trouble(hosts, random.Random(11), workers)
        for ended_so in finish(workers):
            assert ended_so.code == 0, ended_so

        ended = [json.loads(line) for log in logs.values() if log.exists() for line in log.read_text().splitlines()]
        for step in steps:
            view = project.steps.view(step)
            assert view.state == "complete"
            assert [fence for name, fence, code in ended if name == step and code == 0] == [view.fence]
            # The history is in the order in which its entries arrived; that of a host cut off arrives late.
            fences = [int(str(e.value).split()[0]) for e in project.memory.history(f"effect.{step}")]
            assert len(fences) == len(set(fences)), (step, fences)
            assert max(fences) == view.fence
            assert str(project.memory.get(f"effect.{step}").value).startswith(f"{view.fence} ")
        refused = [entry for entry in ended if entry[2] != 0]
        assert all(code == 3 for _, _, code in refused)
        assert lost in [step for step, _, _ in refused]
        figures |= {"steps": len(steps), "cuts": cuts, "late completions refused": len(refused)}
