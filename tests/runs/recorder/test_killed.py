"""A process that dies loses what was in its memory and no more, and what it left is sent by another, once."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from tests.runs.recorder.recording import (
    RUN,
    SECONDS,
    entries,
    heard,
    killed,
    numbers,
    program,
    waiting,
)
from tests.support.processes import wait_until
from tests.support.world import World
from tracecraft.runs.recorder.recovery import recover, recover_in_background

FOREVER = "number = 0\nwhile True: note(number); number += 1; time.sleep(0.0002)"


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.13, 0.31, 0.7])
def test_what_a_killed_process_had_written_is_sent_without_a_gap(folder_world: World, seconds: float) -> None:
    process = program(folder_world, "say('begun')\n" + FOREVER)
    heard(process, "begun")
    time.sleep(seconds)  # any moment will do
    killed(process)
    project = folder_world.open("writer")
    assert recover(project).left == 0
    found = numbers(project)
    assert found == list(range(len(found)))
    assert waiting(project) == []


def test_what_was_on_disk_a_moment_ago_survives(folder_world: World) -> None:
    process = program(folder_world, "for number in range(500): note(number)\nsay('logged')\ntime.sleep(60)")
    heard(process, "logged")
    project = folder_world.open("writer")
    assert wait_until(lambda: b'"499"' in waiting(project)[0].read_bytes(), seconds=SECONDS)
    killed(process)
    assert recover(project).left == 0
    assert numbers(project) == list(range(500))
    assert [(entry.ended, entry.head.status, entry.summary.notes) for entry in entries(project)] == [
        (True, "running", 500)
    ]


def test_a_long_spool_that_was_sent_in_part_is_sent_to_its_end(folder_world: World) -> None:
    process = program(
        folder_world,
        """
for number in range(40000): note(number)
recorder.flush(60)
for number in range(40000, 80000): note(number)
say("logged")
time.sleep(60)
""",
    )
    heard(process, "logged")
    project = folder_world.open("writer")
    assert wait_until(lambda: b'"79999"' in waiting(project)[0].read_bytes()[-1000:], seconds=SECONDS)
    killed(process)
    assert waiting(project)[0].stat().st_size > 4_000_000
    assert recover(project).left == 0
    assert numbers(project) == list(range(80000))
    assert [entry.summary.notes for entry in entries(project)] == [80000]


@pytest.mark.parametrize("moment", ["before", "forwarded", "after"])
@pytest.mark.parametrize("request_number", range(1, 9))
def test_a_process_killed_at_any_request_loses_nothing_that_was_flushed(
    world: World, proxy: object, request_number: int, moment: str
) -> None:
    from tests.support.proxy import Proxy

    assert isinstance(proxy, Proxy)
    process = program(
        world,
        """
sys.stdin.readline()
for number in range(3): note(number); recorder.flush(60); say(f"flushed {number}")
recorder.close(60, meta=RunMeta(run=meta.run, status="completed"))
""",
    )
    proxy.on_request(request_number, process.kill, at=moment)  # type: ignore[arg-type]  # one of the three
    out, errors = process.communicate("\n", timeout=SECONDS)
    assert process.returncode in (0, -signal.SIGKILL), errors
    project = world.open("writer")
    assert recover(project).left == 0
    found = numbers(project)
    assert found == list(range(len(found)))
    assert len(found) >= out.count("flushed")
    assert [entry.ended for entry in entries(project)] == [True]
    assert recover(project).sent == 0


def test_the_spool_of_a_living_process_is_left_alone(folder_world: World) -> None:
    process = program(
        folder_world, "note(0)\nrecorder.flush(60)\nsay('flushed')\nsys.stdin.readline()\nnote(1)\nrecorder.close(60)"
    )
    heard(process, "flushed")
    project = folder_world.open("writer")
    assert recover(project) == (0, 0, "")
    assert len(waiting(project)) == 1
    process.communicate("\n", timeout=SECONDS)
    assert numbers(project) == [0, 1]


def test_several_that_recover_at_once_send_it_once(folder_world: World) -> None:
    code = "for number in range(3000): note(number)\nrecorder.flush(60)\nsay('on')\ntime.sleep(60)"
    process = program(folder_world, code)
    heard(process, "on")
    killed(process)
    recovery = "from tracecraft.runs.recorder.recovery import recover\nprint(recover(project).sent)"
    others = [program(folder_world, recovery, opens=False) for _ in range(3)]
    sent = [int(other.communicate(timeout=SECONDS)[0]) for other in others]
    assert sum(sent) == 1
    assert numbers(folder_world.open()) == list(range(3000))


@pytest.mark.parametrize("torn", [b'{"type":"note","id":5,"te', b"!{", b""])
def test_half_a_line_is_left_out(folder_world: World, torn: bytes) -> None:
    process = program(folder_world, "note(0)\nrecorder.flush(60)\nsay('on')\ntime.sleep(60)")
    heard(process, "on")
    killed(process)
    project = folder_world.open("writer")
    with open(waiting(project)[0], "ab") as spool:
        spool.write(torn)
    assert recover(project).left == 0
    assert numbers(project) == [0]


def test_a_spool_without_a_header_is_removed_and_a_foreign_file_is_left(folder_world: World) -> None:
    project = folder_world.open("writer")
    folder = project.local.folder / "runs"
    folder.mkdir(parents=True)
    (folder / "torn~1.jsonl").write_bytes(b'{"run":')
    (folder / "foreign~2.jsonl").write_bytes(b"something else\n")
    (folder / "newer~3.jsonl").write_bytes(b'{"run":"a","writer":"b","spool":2}\n')
    recovered = recover(project)
    assert (recovered.sent, recovered.left) == (1, 2)
    assert [path.name for path in waiting(project)] == ["foreign~2.jsonl", "newer~3.jsonl"]


def test_nothing_is_started_where_nothing_lies(folder_world: World) -> None:
    assert recover_in_background(folder_world.open()) is None


# Ends that are none


def sent_by_itself(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=SECONDS)
    assert errors == "", errors


def test_a_process_that_ends_without_a_word_is_flushed(folder_world: World) -> None:
    sent_by_itself(program(folder_world, "for number in range(100): note(number)"))
    assert numbers(folder_world.open()) == list(range(100))


def test_a_process_that_fails_is_flushed(folder_world: World) -> None:
    process = program(folder_world, "note(0)\nraise SystemExit(3)")
    sent_by_itself(process)
    assert process.returncode == 3
    assert numbers(folder_world.open()) == [0]


def test_a_process_may_end_while_its_threads_log(folder_world: World) -> None:
    process = program(
        folder_world,
        """
def work():
    number = 0
    while True: note(number); number += 1; time.sleep(0.0002)
for _ in range(4): threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
""",
    )
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert set(errors.splitlines()) <= {
        f"tracecraft: the run {RUN} has ended: what is logged into it now is not recorded"
    }
    assert len(numbers(folder_world.open())) > 0


def test_a_signal_handler_may_log_and_close_at_any_moment(folder_world: World) -> None:
    process = program(
        folder_world,
        """
def stop(*_):
    note(-1)
    os._exit(0 if recorder.close(60) else 9)
signal.signal(signal.SIGTERM, stop)
say("ready")
number = 0
while True: note(number); number += 1; number % 50 or time.sleep(0.001)
""",
    )
    heard(process, "ready")
    time.sleep(0.2)  # any moment will do
    process.terminate()
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    found = numbers(folder_world.open())
    assert found == [*range(len(found) - 1), -1]
