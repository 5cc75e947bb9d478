"""Files that a run keeps: as they were when they were logged, each content once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.runs.recorder.recording import RUN, SECONDS, heard, killed, program
from tests.runs.recorder.test_recording import started
from tests.support.processes import wait_until
from tests.support.proxy import Drop, Match, Proxy
from tests.support.world import World
from tracecraft.errors import UsageError
from tracecraft.project import Project
from tracecraft.runs.reading import read_run
from tracecraft.runs.recorder import Recorder
from tracecraft.runs.recorder.recovery import recover


def content(project: Project, sha256: str) -> bytes:
    return project.store.get(project.layout.blob(sha256)).data


def users(project: Project, sha256: str) -> list[str]:
    prefix = project.layout.blob_users(sha256)
    return [info.key.removeprefix(prefix) for info in project.store.list(prefix)]


@pytest.fixture(params=["folder", "bucket"])
def project(request: pytest.FixtureRequest) -> Project:
    world = request.getfixturevalue("folder_world" if request.param == "folder" else "world_in_bucket")
    assert isinstance(world, World)
    return world.open()


def test_a_file_is_kept_as_it_was(project: Project, tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights" * 100_000)
    recorder = started(project)
    line = recorder.log_artifact("model", model, span="00000000000000aa")
    model.write_bytes(b"changed")
    assert line is not None
    assert recorder.flush(SECONDS)
    assert content(project, line.sha256) == b"weights" * 100_000
    assert line.sha256 == hashlib.sha256(b"weights" * 100_000).hexdigest()
    assert users(project, line.sha256) == [RUN]
    assert recorder.close(SECONDS)
    assert read_run(project, RUN).summary.artifacts == 1
    assert list((project.local.folder / "runs").iterdir()) == []


def test_the_same_content_is_stored_once(world: World, proxy: Proxy, tmp_path: Path) -> None:
    project = world.open()
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"same")
    recorder = started(project)
    assert recorder.log_artifact("a", tmp_path / "a")
    assert recorder.flush(SECONDS)
    assert recorder.log_artifact("b", tmp_path / "b")
    other = Recorder.open(project, "other-0000abcd", via="sdk")
    assert other.log_artifact("b", tmp_path / "b")
    assert recorder.close(SECONDS)
    assert other.close(SECONDS)
    assert len([request for request in proxy.requests if request.method == "PUT" and "/data" in request.key]) == 1
    assert users(project, hashlib.sha256(b"same").hexdigest()) == ["other-0000abcd", RUN]


def test_a_folder_is_kept_file_by_file(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    (folder / "link").symlink_to("/etc/passwd")
    recorder = started(project)
    line = recorder.log_artifact("results", folder)
    assert recorder.close(SECONDS)
    assert line is not None
    assert [(path, size) for path, _, size in line.files] == [("b.txt", 1), ("deep/a.txt", 1)]
    assert [content(project, sha256) for _, sha256, _ in line.files] == [b"b", b"a"]


def test_what_is_neither_file_nor_folder_is_refused(project: Project, tmp_path: Path) -> None:
    recorder = started(project)
    with pytest.raises(UsageError):
        recorder.log_artifact("x", tmp_path / "missing")
    assert recorder.close(SECONDS)


def test_a_file_that_cannot_be_copied_is_counted_as_lost(
    folder_world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = folder_world.open()
    project.local.folder.mkdir(parents=True)
    (project.local.folder / "runs").write_text("a file where a folder should be")
    (tmp_path / "x").write_bytes(b"x")
    recorder = started(project)
    assert recorder.log_artifact("x", tmp_path / "x") is None
    assert recorder.close(SECONDS)
    assert "is not recorded" in capsys.readouterr().err
    assert read_run(project, RUN).summary.lost == 1


def test_a_lost_answer_does_no_harm(world: World, proxy: Proxy, tmp_path: Path) -> None:
    rule = proxy.fault(Match("PUT", key="_blobs/"), Drop(applied=True), times=4)
    (tmp_path / "x").write_bytes(b"x" * 100)
    project = world.open()
    recorder = started(project)
    line = recorder.log_artifact("x", tmp_path / "x")
    assert recorder.close(SECONDS)
    assert rule.fired
    assert line is not None
    assert content(project, line.sha256) == b"x" * 100


def test_files_of_a_killed_process_are_sent(world: World, proxy: Proxy) -> None:
    proxy.fault(Match("PUT", key="/data"), Drop(), times=None).times = 50
    process = program(
        world,
        """
open("x", "w").write("precious")
recorder.log_artifact("x", "x")
recorder.flush(0.5)
say("on")
time.sleep(60)
""",
    )
    heard(process, "on")
    killed(process)
    project = world.open("writer")
    assert wait_until(lambda: recover(project).left == 0, seconds=SECONDS)
    assert content(project, hashlib.sha256(b"precious").hexdigest()) == b"precious"
