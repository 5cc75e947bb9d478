"""How runs end when nobody ends them, and what a store that is away costs: nothing of what was recorded."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runs.programs import begin, only_run, run
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.s3 import make_bucket
from tests.support.servers import Endpoint
from tests.support.world import World

WORKING = """
    import time
    with tracecraft.run("x") as run, run.agent("ann") as ann:
        with ann.step("long"):
            run.log_metric("m", 1)
            {more}
            print("ready", flush=True)
            while True:
                time.sleep(0.05)
"""


def ready(world: World, more: str = "pass") -> int:
    """The pid of a program that works within a step of a run, for as long as it may."""
    process = begin(world, WORKING.format(more=more))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    _processes.append(process)
    return process.pid


_processes: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    yield
    while _processes:
        process = _processes.pop()
        process.kill()
        process.communicate(timeout=60)


def ended_by(number: int) -> int:
    """Send a signal to the program; its exit status."""
    process = _processes[-1]
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    return process.returncode


def test_sigterm_ends_a_run_as_failed_and_the_process_dies_by_it(folder_world: World) -> None:
    ready(folder_world)
    assert ended_by(signal.SIGTERM) == -signal.SIGTERM
    found = only_run(folder_world)
    assert (found.status, found.meta.error, found.metrics) == ("failed", "SIGTERM", {"m": 1})


def test_a_program_that_handles_sigterm_itself_is_left_to_it(folder_world: World) -> None:
    ready(folder_world, "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0))")
    assert ended_by(signal.SIGTERM) == 0
    assert only_run(folder_world).status == "completed"


def test_ctrl_c_cancels_a_run(folder_world: World) -> None:
    ready(folder_world)
    assert ended_by(signal.SIGINT) == -signal.SIGINT
    found = only_run(folder_world)
    assert (found.status, found.metrics) == ("cancelled", {"m": 1})


def test_sigterm_is_handled_by_default_again_after_the_last_run(folder_world: World) -> None:
    program = """
        import signal
        with tracecraft.run("x"):
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    """
    run(folder_world, program)


def test_what_a_killed_process_recorded_is_sent_by_the_next_command(folder_world: World) -> None:
    ready(folder_world, "run.flush(); run.log_metric('late', 2)")
    assert ended_by(signal.SIGKILL) == -signal.SIGKILL
    folder_world.run("a", "run", "list")
    found = only_run(folder_world)
    assert found.metrics in ({"m": 1}, {"m": 1, "late": 2})
    assert found.meta.status == "running"
    assert found.statuses == {}


def test_a_forked_child_is_ended_by_sigterm_alone(folder_world: World) -> None:
    program = """
        import os, signal, time
        from_child, to_parent = os.pipe()
        with tracecraft.run("x") as run:
            pid = os.fork()
            if not pid:
                run.log_metric("child", 1)
                os.write(to_parent, b"!")
                time.sleep(60)
            os.read(from_child, 1)
            os.kill(pid, signal.SIGTERM)
            assert os.waitpid(pid, 0)[1] == signal.SIGTERM
            run.log_metric("parent", 2)
    """
    run(folder_world, program)
    found = only_run(folder_world)
    assert found.status == "completed"
    assert found.metrics == {"child": 1, "parent": 2}


@pytest.fixture
def through_proxy(tmp_path: Path, ministack_endpoint: Endpoint) -> Iterator[tuple[World, Proxy]]:
    name = f"ending-{uuid.uuid4().hex[:12]}"
    make_bucket(ministack_endpoint, name)
    with Proxy(ministack_endpoint.url) as proxy:
        yield World.in_bucket(tmp_path, ministack_endpoint, name, through=proxy.url), proxy


AWAY = """
    with tracecraft.run("x") as run:
        with run.agent("ann") as ann, ann.step("s"):
            run.log_metric("m", 1)
    print("worked")
"""


def test_a_store_that_is_away_loses_nothing_and_breaks_nothing(through_proxy: tuple[World, Proxy]) -> None:
    world, proxy = through_proxy
    proxy.down = True
    result = run(world, AWAY)
    assert result.out == "worked\n"
    assert result.err.count("tracecraft:") in (1, 2)
    assert "waits in" in result.err
    proxy.down = False
    world.run("a", "run", "list")
    found = only_run(world)
    assert (found.status, found.metrics) == ("completed", {"m": 1})


def test_the_next_program_sends_it_too(through_proxy: tuple[World, Proxy]) -> None:
    world, proxy = through_proxy
    proxy.down = True
    run(world, AWAY)
    proxy.down = False
    process = begin(world, "import time\ntracecraft.init()\ntime.sleep(60)")
    _processes.append(process)
    project = world.open()
    entries = project.layout.run_entries()
    assert wait_until(lambda: any(True for _ in project.store.list(entries)), seconds=60)
    assert only_run(world).metrics == {"m": 1}


def test_calls_that_coordinate_do_raise(through_proxy: tuple[World, Proxy]) -> None:
    world, proxy = through_proxy
    proxy.down = True
    program = """
        from tracecraft.errors import StoreError
        with tracecraft.run("x") as run, run.agent("ann") as ann:
            try:
                ann.shared_memory.get("k")
            except StoreError:
                print("raised")
    """
    assert run(world, program).out == "raised\n"
