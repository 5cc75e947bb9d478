"""What is logged stands in the store: once, in order, without secrets; with what a run is and how it ended."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.runs.recorder.recording import RUN, SECONDS, entries, fragments, new_run, numbers, waiting, writers
from tests.support.processes import wait_until
from tests.support.world import World
from tracecraft.project import Project
from tracecraft.records import commit, read
from tracecraft.runs.fragments import Log
from tracecraft.runs.log import Artifact, Input, Known, Lost, Metrics, Note, Output, Params, Text
from tracecraft.runs.meta import Resumed, RunMeta
from tracecraft.runs.reading import read_run
from tracecraft.runs.recorder import Recorder, sender
from tracecraft.runs.recorder.encoding import LONGEST_VALUE

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.fixture(params=["folder", "ministack"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    if request.param == "folder":
        return World.in_folder(tmp_path).open()
    world = request.getfixturevalue("world_in_bucket")
    assert isinstance(world, World)
    return world.open()


@pytest.fixture
def local(tmp_path: Path) -> Project:
    return World.in_folder(tmp_path).open()


def started(project: Project, **fields: Any) -> Recorder:
    return Recorder.open(project, RUN, via="sdk", agent="researcher", meta=new_run(), **fields)


def note(recorder: Recorder, number: int) -> None:
    recorder.log(Note(at=time.time(), text=str(number)))


def ended(status: str = "completed") -> RunMeta:
    return new_run(status=status, ended_at="2026-11-25T12:00:00+00:00")


def the_line(project: Project, line: Known) -> Any:
    """The line as it is read back."""
    recorder = started(project)
    recorder.log(line)
    assert recorder.close(SECONDS)
    return [found.line for found in Log(project, RUN).in_order()][-1]


def test_what_is_logged_is_read_back_in_order(project: Project) -> None:
    recorder = started(project)
    for number in range(1000):
        note(recorder, number)
    assert recorder.close(SECONDS, meta=ended())

    assert numbers(project) == list(range(1000))
    assert [(line.id, line.via, line.agent, line.pid) for line in writers(project)] == [
        (1, "sdk", "researcher", os.getpid())
    ]
    view = read_run(project, RUN)
    assert (view.status, view.summary.notes) == ("completed", 1000)
    assert [(entry.ended, entry.head.status, entry.summary.notes) for entry in entries(project)] == [
        (True, "completed", 1000)
    ]
    assert waiting(project) == []


def test_lines_reach_the_store_while_nobody_waits(project: Project) -> None:
    recorder = started(project)
    note(recorder, 1)
    assert wait_until(lambda: numbers(project) == [1], seconds=SECONDS)
    note(recorder, 2)
    assert wait_until(lambda: numbers(project) == [1, 2], seconds=SECONDS)
    assert wait_until(lambda: [entry.head.status for entry in entries(project)] == ["running"], seconds=SECONDS)
    recorder.close(SECONDS)


def test_after_a_flush_the_store_has_everything(project: Project) -> None:
    recorder = started(project)
    for number in range(5):
        note(recorder, number)
        assert recorder.flush(SECONDS)
        assert numbers(project) == list(range(number + 1))
    recorder.close(SECONDS)


def test_lines_of_many_threads_are_all_there(local: Project) -> None:
    recorder = started(local)

    def work(first: int) -> None:
        for number in range(first, first + 2000):
            note(recorder, number)

    threads = [threading.Thread(target=work, args=[first]) for first in range(0, 16000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.close(SECONDS)
    assert sorted(numbers(local)) == list(range(16000))


def test_small_fragments_become_one(project: Project) -> None:
    recorder = started(project)
    for number in range(sender.GATHERED + 3):
        note(recorder, number)
        assert recorder.flush(SECONDS)
    assert len(fragments(project)) <= 5
    assert recorder.close(SECONDS)
    assert len(fragments(project)) == 1
    assert numbers(project) == list(range(sender.GATHERED + 3))


def test_small_fragments_between_large_ones_keep_every_line(project: Project) -> None:
    recorder = started(project)
    for number in range(12):
        recorder.log(Note(text=f"{number}".rjust(200_000 if number % 3 == 2 else 1)))
        assert recorder.flush(SECONDS)
    assert recorder.close(SECONDS)
    assert numbers(project) == list(range(12))
    assert len(fragments(project)) <= 5


def test_a_writer_shows_signs_of_life(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "BEAT_EVERY", 0.05)
    recorder = started(local)
    assert wait_until(lambda: [entry.rev > 3 for entry in entries(local)] == [True], seconds=SECONDS)
    recorder.close(SECONDS)


def test_what_is_logged_after_the_end_is_not_lost_silently(local: Project, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = started(local)
    assert recorder.close(SECONDS)
    note(recorder, 1)
    note(recorder, 2)
    assert recorder.close(SECONDS)
    assert recorder.flush(SECONDS)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"{RUN} has ended" in told


def test_every_line_up_to_the_end_is_kept_while_threads_go_on(
    local: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = started(local)
    stop = threading.Event()
    before = iter(range(10**9))

    def work() -> None:
        for number in before:
            note(recorder, number)
            if stop.wait(0.0005):
                return

    thread = threading.Thread(target=work)
    thread.start()
    assert wait_until(lambda: recorder.flush(SECONDS) and len(numbers(local)) > 10, seconds=SECONDS)
    assert recorder.close(SECONDS)
    assert wait_until(lambda: "has ended" in capsys.readouterr().err, seconds=SECONDS)
    stop.set()
    thread.join()
    assert numbers(local) == list(range(len(numbers(local))))


# The run's record


def test_a_run_ends_once(local: Project) -> None:
    recorder = started(local)
    assert recorder.flush(SECONDS)
    assert wait_until(lambda: read(local.store, local.layout.run_meta(RUN), RunMeta) is not None, seconds=SECONDS)
    stored = read(local.store, local.layout.run_meta(RUN), RunMeta)
    assert stored is not None
    commit(local.store, stored.key, msgspec.structs.replace(stored.record, status="cancelled"), stored)
    assert recorder.close(SECONDS, meta=ended())
    assert read_run(local, RUN).status == "cancelled"


def test_a_run_that_was_resumed_is_not_ended_by_who_had_it_before(local: Project) -> None:
    recorder = started(local)
    assert recorder.flush(SECONDS)
    assert wait_until(lambda: read(local.store, local.layout.run_meta(RUN), RunMeta) is not None, seconds=SECONDS)
    stored = read(local.store, local.layout.run_meta(RUN), RunMeta)
    assert stored is not None
    commit(local.store, stored.key, msgspec.structs.replace(stored.record, resumed=[Resumed(writer="other")]), stored)
    assert recorder.close(SECONDS, meta=ended())
    assert read_run(local, RUN).meta.status == "running"


def test_a_second_writer_changes_nothing_of_the_run(local: Project) -> None:
    assert started(local).close(SECONDS, meta=ended("failed"))
    assert Recorder.open(local, RUN, via="cli").close(SECONDS)
    assert {(entry.ended, entry.head.status) for entry in entries(local)} == {(True, "failed")}
    assert {line.via for line in writers(local)} == {"sdk", "cli"}


def test_nothing_more_is_written_into_a_run_that_was_deleted(
    local: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(local).close(SECONDS, meta=ended())
    stored = read(local.store, local.layout.run_meta(RUN), RunMeta)
    assert stored is not None
    commit(local.store, stored.key, msgspec.structs.replace(stored.record, deleted_at="2026-11-25"), stored)
    assert Recorder.open(local, RUN, via="cli").close(SECONDS)
    assert "was deleted" in capsys.readouterr().err
    assert waiting(local) == []


# What JSON cannot hold


class Stubborn:
    def __str__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"a": [1, None, True, "x"]}, {"a": [1, None, True, "x"]}),
        (Path("/x/y"), "/x/y"),
        ({1: "one", None: 2, (1, 2): 3}, {"1": "one", "None": 2, "(1, 2)": 3}),
        ([2**80, float("inf")], [2**80, None]),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        (Stubborn(), "<Stubborn>"),
        ({"deep": Stubborn}, {"deep": str(Stubborn)}),
    ],
    ids=repr,
)
def test_what_json_cannot_hold_becomes_text(local: Project, value: object, stored: object) -> None:
    assert the_line(local, Input(value=value)).value == stored


def test_a_value_that_contains_itself_ends_somewhere(local: Project) -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    assert "…" in str(the_line(local, Output(value=value)).value)


def test_numbers_that_are_none_are_read_as_such_and_leave_sums_alone(local: Project) -> None:
    recorder = started(local)
    recorder.log(Metrics(values={"loss": 1.0}))
    recorder.log(Metrics(values={"loss": math.nan, "other": 2.0}))
    assert recorder.close(SECONDS)
    last = [found.line for found in Log(local, RUN).in_order()][-1]
    assert isinstance(last, Metrics)
    assert math.isnan(last.values["loss"])
    for summary in (read_run(local, RUN).summary, entries(local)[0].summary):
        assert (summary.metrics["loss"].last, summary.metrics["other"].last) == (1.0, 2.0)


def test_a_value_that_is_too_large_is_cut(local: Project) -> None:
    line = the_line(local, Output(value=["x" * LONGEST_VALUE] * 2))
    assert len(line.value) == LONGEST_VALUE
    assert line.cut == len(msgspec.json.encode(["x" * LONGEST_VALUE] * 2)) - LONGEST_VALUE


@pytest.mark.parametrize("kind", [Note, Text])
def test_a_text_that_is_too_long_is_cut(local: Project, kind: type[Note] | type[Text]) -> None:
    assert len(the_line(local, kind(text="x" * 2 * LONGEST_VALUE)).text) == LONGEST_VALUE + 1


def test_params_that_are_too_large_are_cut(local: Project) -> None:
    values = the_line(local, Params(values={"a": "x" * LONGEST_VALUE, "b": 1})).values
    assert len(values["a"]) < LONGEST_VALUE
    assert values["b"] == 1


def test_a_line_that_is_too_large_is_a_lost_one(local: Project) -> None:
    line = the_line(local, Artifact(name="x", files=[("p" * 100_000, "", 0)] * 50))
    assert isinstance(line, Lost)
    assert line.count == 1


# Secrets


def stored_bytes(project: Project) -> Iterator[bytes]:
    for info in project.store.list(""):
        yield project.store.get(info.key).data


def test_secrets_do_not_leave_the_machine(local: Project) -> None:
    meta = new_run()
    meta.captured.command = ["train", f"--header=Bearer {SECRET}"]
    recorder = Recorder.open(local, RUN, via="sdk", meta=meta)
    recorder.log(Note(at=1.0, text=f"the token is {SECRET}"))
    recorder.log(Params(values={"token": SECRET}))
    recorder.flush(SECONDS)
    assert recorder.close(SECONDS, meta=new_run(status="failed", error=f"denied: {SECRET}"))
    assert not any(SECRET.encode() in data for data in stored_bytes(local))
    assert "[REDACTED" in read_run(local, RUN).meta.error


def test_secrets_stay_where_that_is_asked_for(local: Project) -> None:
    recorder = started(local, redact=False)
    recorder.log(Note(text=SECRET))
    assert recorder.close(SECONDS)
    assert any(SECRET.encode() in data for data in stored_bytes(local))


def test_what_waits_on_disk_is_for_its_owner_alone(local: Project) -> None:
    recorder = started(local)
    spool = waiting(local)[0]
    assert spool.stat().st_mode & 0o777 == 0o600
    assert spool.parent.stat().st_mode & 0o777 == 0o700
    recorder.close(SECONDS)
