"""A store that loses answers, is away, or refuses: what is recorded waits, and stands in the store once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.runs.recorder.recording import (
    RUN,
    SECONDS,
    ended,
    entries,
    heard,
    killed,
    new_run,
    numbers,
    program,
    waiting,
)
from tests.runs.recorder.test_recording import note, started
from tests.support.processes import wait_until
from tests.support.proxy import Answer, Drop, Half, Hang, Match, Proxy
from tests.support.world import World
from tracecraft.runs.reading import read_run
from tracecraft.runs.recorder import Recorder
from tracecraft.runs.recorder.recovery import recover

FRAGMENT = Match("PUT", key="/log/")


@pytest.mark.parametrize("fault", [Drop(), Drop(applied=True), Answer(500, applied=True), Answer(503), Half()], ids=str)
def test_a_lost_answer_makes_no_line_count_twice(world: World, proxy: Proxy, fault: Drop | Answer | Half) -> None:
    for match in (FRAGMENT, Match("PUT", key="/meta.json"), Match("PUT", key="/_index/"), Match("DELETE", key="/log/")):
        proxy.fault(match, fault)
    project = world.open()
    recorder = started(project)
    for number in range(5):
        note(recorder, number)
        assert recorder.flush(SECONDS)
    assert recorder.close(SECONDS, meta=new_run(status="completed"))
    assert numbers(project) == list(range(5))
    assert read_run(project, RUN).status == "completed"
    assert [entry.summary.notes for entry in entries(project)] == [5]


def test_a_store_that_is_away_is_said_once_and_what_waits_is_sent(
    world: World, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    project = world.open()
    proxy.down = True
    recorder = started(project)
    for number in range(1000):
        note(recorder, number)
    assert not recorder.flush(0.2)
    assert wait_until(lambda: recorder._writing.courier.away, seconds=SECONDS)
    assert not recorder.close(0.2, meta=new_run(status="completed"))
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert str(waiting(project)[0]) in told
    proxy.down = False
    assert wait_until(lambda: recorder.close(1.0), seconds=SECONDS)
    assert numbers(project) == list(range(1000))
    assert read_run(project, RUN).status == "completed"
    assert waiting(project) == []


def test_nobody_waits_for_ever_once_a_recorder_is_closed(world: World, proxy: Proxy) -> None:
    proxy.down = True
    recorder = started(world.open())
    note(recorder, 1)
    assert not recorder.close(0.0)
    assert not recorder.flush(0.1)
    assert b'"text":"1"' in waiting(world.open())[0].read_bytes()
    proxy.down = False
    assert recorder.flush(SECONDS)
    assert wait_until(lambda: recorder.close(1.0), seconds=SECONDS)
    assert recorder.flush(SECONDS)


def test_a_process_with_many_runs_ends_soon_though_the_store_is_away(world: World, proxy: Proxy) -> None:
    proxy.down = True
    process = program(
        world,
        """
recorders = [Recorder.open(project, f"probe-{number:08x}", via="sdk") for number in range(40)]
for number, recorder in enumerate(recorders): note(number)
""",
        opens=False,
    )
    assert ended(process).count("waits in") == 40
    assert len(waiting(world.open("writer"))) == 40
    proxy.down = False
    assert recover(world.open("writer")).sent == 40
    assert numbers(world.open("writer"), f"probe-{39:08x}") == [39]


def test_memory_is_bounded_though_the_store_is_away(world: World, proxy: Proxy) -> None:
    proxy.down = True
    process = program(
        world,
        """
import resource
MIB = 1 << 20 if sys.platform == "darwin" else 1 << 10
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MIB
before = peak()
for number in range(300): recorder.log(Note(text=200_000 * "x"))
recorder.close(0.0)
assert peak() - before < 50, (before, peak())
os._exit(0)
""",
    )
    ended(process)
    assert waiting(world.open("writer"))[0].stat().st_size > 60_000_000


def test_a_store_that_refuses_raises_nothing(world: World, proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    rule = proxy.fault(Match(), Answer(403), times=None)
    project = world.open()
    recorder = started(project)
    note(recorder, 1)
    assert not recorder.close(0.5)
    assert wait_until(lambda: rule.fired > 1, seconds=SECONDS)
    assert capsys.readouterr().err.count("\n") == 1
    proxy.fault(Match(), Answer(403), times=0)
    rule.times = 0
    assert wait_until(lambda: recorder.close(1.0), seconds=SECONDS)
    assert numbers(project) == [1]


def test_what_waited_when_its_process_ended_is_sent_by_another(world: World, proxy: Proxy) -> None:
    proxy.down = True
    process = program(
        world,
        """
for number in range(100): note(number)
recorder.close(0.1, meta=RunMeta(run=meta.run, status="failed", error="no store"))
""",
        agent="here",
    )
    told = ended(process)
    assert told.count("\n") == 1
    project = world.open("here")
    assert recover(project)[:2] == (0, 1)
    assert len(waiting(project)) == 1
    proxy.down = False
    assert recover(project) == (1, 0, "")
    assert numbers(project) == list(range(100))
    view = read_run(project, RUN)
    assert (view.status, view.meta.error) == ("failed", "no store")
    assert [(entry.ended, entry.head.status) for entry in entries(project)] == [(True, "failed")]
    assert waiting(project) == []


def test_the_last_request_of_a_dead_process_may_still_arrive(world: World, proxy: Proxy) -> None:
    process = program(world, "note(0); recorder.flush(60); say('one'); sys.stdin.readline(); note(1)\ntime.sleep(60)")
    heard(process, "one")
    held = proxy.fault(FRAGMENT, Hang(3.0))
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert wait_until(lambda: held.fired == 1, seconds=SECONDS)
    killed(process)

    project = world.open("writer")
    assert recover(project).sent == 1
    assert numbers(project) == [0, 1]
    assert wait_until(
        lambda: any(request.fault and request.upstream == 200 for request in proxy.requests if FRAGMENT(request)),
        seconds=SECONDS,
    )
    assert numbers(project) == [0, 1]


# Disks


def test_a_home_that_cannot_be_written_is_no_reason_to_lose_anything(
    world: World, proxy: Proxy, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project = world.open()
    runs = project.local.folder / "runs"
    runs.parent.mkdir(parents=True, exist_ok=True)
    runs.write_text("a file where a folder should be")
    proxy.down = True
    recorder = started(project)
    for number in range(100):
        note(recorder, number)
    assert wait_until(lambda: recorder._writing.courier.away, seconds=SECONDS)
    assert "memory" in capsys.readouterr().err
    proxy.down = False
    assert recorder.close(SECONDS)
    assert numbers(project) == list(range(100))


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
"""


def test_a_disk_that_is_full_is_no_reason_to_lose_anything(world: World) -> None:
    process = program(world, FULL + "for number in range(20000): note(number)\nassert recorder.close(60)\n")
    ended(process)
    assert numbers(world.open()) == list(range(20000))


def test_what_neither_disk_nor_memory_nor_store_take_is_dropped_and_counted(world: World, proxy: Proxy) -> None:
    proxy.down = True
    process = program(
        world,
        FULL
        + """
for number in range(500): recorder.log(Note(text=f"{number} " + 200_000 * "x"))
say("logged")
sys.stdin.readline()
while not recorder.close(60): pass
""",
    )
    heard(process, "logged")
    proxy.down = False
    _, errors = process.communicate("\n", timeout=SECONDS)
    assert process.returncode == 0, errors
    view = read_run(world.open(), RUN)
    assert not view.gaps
    assert view.summary.lost > 0
    assert view.summary.lost + view.summary.notes == 500


def test_recording_loads_nothing_that_it_does_not_need(world: World) -> None:
    process = program(
        world,
        """
assert "asyncio" not in sys.modules and "tracecraft.sessions.redaction" not in sys.modules, "before anything"
recorder = Recorder.open(project, meta.run, via="sdk", redact=False)
note(1)
assert recorder.close(60)
heavy = {"asyncio", "re2", "ahocorasick_rs", "numpy", "importlib.metadata", "tracecraft.runs.recorder.recovery"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
""",
        opens=False,
    )
    ended(process)


def test_nothing_is_raised_whatever_stderr_is(world: World, proxy: Proxy) -> None:
    proxy.down = True
    process = program(world, "sys.stderr.close(); os.close(2)\nnote(1)\nrecorder.close(0.1)\nsay('over')\nos._exit(0)")
    heard(process, "over")
    process.communicate(timeout=SECONDS)
    assert process.returncode == os.EX_OK


def test_a_recorder_opens_without_a_request(world: World, proxy: Proxy) -> None:
    proxy.down = True
    recorder = Recorder.open(world.open(), RUN, via="cli")
    assert recorder.writer
    assert not recorder.flush(0)
