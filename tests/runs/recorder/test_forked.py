"""A forked child is a writer of its own, whatever its parent was doing, on stores that it cannot reach itself too."""

from __future__ import annotations

import pytest

from tests.runs.recorder.recording import SECONDS, ended, entries, numbers, program, waiting, writers
from tests.support.processes import wait_until
from tests.support.world import World
from tracecraft.runs.recorder.recovery import recover

FORKS = """
import multiprocessing
note(0)
recorder.flush(60)
def child(number):
    note(number)
    recorder.flush(60)
    note(number + 1)
children = [multiprocessing.get_context("fork").Process(target=child, args=[number]) for number in (10, 20)]
for process in children: process.start()
for process in children: process.join(60); assert process.exitcode == 0
note(1)
assert recorder.close(60)
"""


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest) -> World:
    found = request.getfixturevalue("folder_world" if request.param == "folder" else "world_in_bucket")
    assert isinstance(found, World)
    return found


def test_children_write_beside_their_parent(place: World) -> None:
    assert ended(program(place, FORKS)) == ""
    project = place.open("writer")
    assert sorted(numbers(project)) == [0, 1, 10, 11, 20, 21]
    assert len({(line.pid, line.process) for line in writers(project)}) == 3
    assert {entry.ended for entry in entries(project)} == {True}
    assert waiting(project) == []


def test_a_child_that_forks_while_threads_log_does_not_hang(place: World) -> None:
    process = program(
        place,
        """
def work():
    while not over.is_set(): note(-1); time.sleep(0.0001)
over = threading.Event()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for number in range(10):
    pid = os.fork()
    if not pid:
        note(number)
        recorder.close(60)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
over.set()
for thread in threads: thread.join()
assert recorder.close(60)
""",
    )
    ended(process)
    assert sorted(number for number in numbers(place.open()) if number >= 0) == list(range(10))


def test_a_living_childs_lines_come_while_it_lives(place: World) -> None:
    process = program(
        place,
        """
recorder.flush(60)
pid = os.fork()
if not pid:
    note(7)
    time.sleep(60)
sys.stdin.readline()
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
""",
    )
    project = place.open("writer")
    assert wait_until(lambda: numbers(project) == [7], seconds=SECONDS)
    process.communicate("\n", timeout=SECONDS)
    recover(project)
    assert numbers(project) == [7]
    assert waiting(project) == []


def test_a_child_writes_nothing_into_a_run_that_its_parent_ended(folder_world: World) -> None:
    process = program(
        folder_world,
        """
note(0)
assert recorder.close(60)
pid = os.fork()
if not pid:
    note(1)
    recorder.close(60)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
    )
    assert "has ended" in ended(process)
    assert numbers(folder_world.open()) == [0]


def test_a_child_does_not_keep_its_dead_parents_lines_from_being_sent(folder_world: World) -> None:
    process = program(
        folder_world,
        """
note(0)
recorder.flush(60)
if not os.fork():
    sys.stdout.close(); sys.stderr.close(); os.close(0); os.close(1); os.close(2)
    time.sleep(5)
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
""",
    )
    process.wait(SECONDS)
    project = folder_world.open("writer")
    assert recover(project).sent == 1
    assert waiting(project) == []
