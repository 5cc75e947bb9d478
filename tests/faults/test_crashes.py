"""Every command that writes, killed with SIGKILL at every request it makes: the store stays whole for everybody else.

Each command is run again and again, killed at its first request, its second, and so on until it survives. Then all
readers pass over what the killed ones left, a second agent goes on with it, and `doctor --repair` puts the views right.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.aftermath import go_on, look_at_everything, repair
from tests.faults.commands import COMMANDS, WHOLE_BOARD, agent_of
from tests.support.faults import Moment
from tests.support.proxy import Proxy
from tests.support.s3 import Endpoint, make_bucket
from tests.support.scale import FULL, keep
from tests.support.shell import Shell
from tests.support.world import World

ROOT = Path(__file__).parents[2]
MOST = 3000
"""No command makes so many requests or system calls."""

DECIDING = (
    "init",
    "claim",
    "steal",
    "release",
    "complete",
    "exec",
    "load",
    "next",
    "swap",
    "inbox-new",
    "upload",
    "gc",
)
"""The commands of which each kind of write is one; `make test` kills the others on a folder only."""

Run = Callable[[World, int, str, str], bool]
"""Runs a case of a command in a world, killed at its n-th request at a moment; says whether it was."""


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with Shell() as process:
        yield process


@pytest.mark.parametrize("name", COMMANDS if FULL else DECIDING)
def test_killed_at_every_request(name: str, ministack_endpoint: Endpoint, shell: Shell, tmp_path: Path) -> None:
    bucket = f"crash-{name}"
    make_bucket(ministack_endpoint, bucket)
    direct = World.in_bucket(tmp_path, ministack_endpoint, bucket)

    def run(world: World, n: int, moment: str, case: str) -> bool:
        line = COMMANDS[name].line(world, case)
        with Proxy(ministack_endpoint.url) as proxy:
            through = World.in_bucket(tmp_path, ministack_endpoint, bucket, through=proxy.url)
            faulty = replace(through, project=world.project)
            return killed_by_proxy(faulty, proxy, n, "before" if moment == "before" else "after", case, line)

    check(name, run, direct, shell, "s3, requests")


@pytest.mark.parametrize("unit", ["write", *(["call"] if FULL else [])])
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_every_write_to_a_folder(name: str, unit: str, shell: Shell, folder_world: World) -> None:
    def run(world: World, n: int, moment: str, case: str) -> bool:
        line = COMMANDS[name].line(world, case)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.dying", unit, str(n), moment, *line],
            cwd=world.folder(agent_of(case)),
            env=world.environment(agent_of(case), PYTHONPATH=str(ROOT)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        return was_killed(name, process)

    check(name, run, folder_world, shell, f"folder, {unit}s")


def check(name: str, run: Run, world: World, shell: Shell, where: str) -> None:
    left: dict[str, list[str]] = {}
    for n, moment in points(name, where):
        case = f"{name}-{n}-{moment}"
        project = case if name in WHOLE_BOARD else world.project
        if project not in left:
            replace(world, project=project).open("setup").probe()
        if not run(replace(world, project=project), n, moment, case):
            break
        left.setdefault(project, []).append(case)
    else:
        pytest.fail(f"{name} never survived")
    assert left, f"{name} was never killed"
    for project, cases in left.items():
        there = replace(world, project=project)
        look_at_everything(shell, there, name, cases)
        for case in cases:
            go_on(shell, there, name, case)
        repair(shell, there)
    keep(f"killed: {name}", where, kills=sum(map(len, left.values())))


def points(name: str, where: str) -> Iterator[tuple[int, str]]:
    """Where to kill. In `make test` the moment alternates, and of the many requests of `gc` two thirds are left out; of
    those with which `init` tries the store out most are."""
    for n in range(1, MOST):
        if name == "init" and n > 5 and n % 20:
            continue
        if name == "gc" and where == "s3, requests" and not FULL and n % 3:
            continue
        if FULL:
            yield from ((n, "before"), (n, "after"))
        else:
            yield n, ("before", "after")[n % 2]


def killed_by_proxy(world: World, proxy: Proxy, n: int, moment: Moment, case: str, line: list[str]) -> bool:
    started = threading.Event()
    processes: list[subprocess.Popen[bytes]] = []

    def kill() -> None:
        started.wait(30)
        processes[0].kill()
        processes[0].wait(30)

    proxy.on_request(n, kill, at=moment)
    processes.append(
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.later", *line],
            cwd=world.folder(agent_of(case)),
            env=world.environment(agent_of(case), PYTHONPATH=str(ROOT)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    )
    started.set()
    return was_killed(case.rpartition("-")[0].rpartition("-")[0], processes[0])


def was_killed(name: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait for a process that is to be killed; one that survives must have done its work."""
    _, err = process.communicate(timeout=120)
    if process.returncode == -signal.SIGKILL:
        return True
    assert process.returncode == (1 if name == "exec-fail" else 0), err.decode()
    return False
