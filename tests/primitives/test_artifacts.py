"""Artifacts: checksums, downloads that appear whole or not at all, and names that cannot lead elsewhere."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import pytest

from tests.support.world import World
from tracecraft.errors import Corrupt, Missing, NameTaken, UsageError
from tracecraft.project import Project

CONTENT = b"the plan\x00\xff" * 1000


@pytest.fixture
def project(folder_world: World) -> Project:
    return folder_world.open("ann")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.md"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """An empty folder to download into."""
    folder = tmp_path / "desk"
    folder.mkdir()
    return folder


def test_a_file_comes_back_with_its_checksum(world: World, tmp_path: Path, plan: Path, desk: Path) -> None:
    sent = world.open("ann").artifacts.upload(plan, step="S1.A")
    assert (sent.step, sent.name, sent.size) == ("s1-a", "plan.md", len(CONTENT))
    assert sent.sha256 == hashlib.sha256(CONTENT).hexdigest()
    got, path = world.open("bob").artifacts.download("plan.md", step="s1-a", to=desk)
    assert (path, path.read_bytes()) == (desk / "plan.md", CONTENT)
    assert (got.sha256, got.uploaded_by, got.verified) == (sent.sha256, "ann", True)
    assert os.listdir(desk) == ["plan.md"]


def test_an_empty_file(project: Project, tmp_path: Path, desk: Path) -> None:
    (tmp_path / "empty").touch()
    project.artifacts.upload(tmp_path / "empty")
    got, path = project.artifacts.download("empty", to=desk)
    assert (got.size, got.verified, path.read_bytes()) == (0, True, b"")


def test_list(project: Project, plan: Path) -> None:
    project.artifacts.upload(plan)
    project.artifacts.upload(plan, step="build", name="b.md")
    project.artifacts.upload(plan, step="build", name="a.md")
    listed = [(item.step, item.name, item.verified) for item in project.artifacts.list()]
    assert listed == [("build", "a.md", True), ("build", "b.md", True), ("shared", "plan.md", True)]
    assert [item.name for item in project.artifacts.list(step="build")] == ["a.md", "b.md"]
    assert project.artifacts.list(step="none") == []


def test_progress_is_told_in_bytes(project: Project, plan: Path, desk: Path) -> None:
    told: list[tuple[int, int]] = []
    project.artifacts.upload(plan, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    told.clear()
    project.artifacts.download("plan.md", to=desk, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_a_new_upload_replaces_the_file_and_its_sum(project: Project, plan: Path, desk: Path) -> None:
    project.artifacts.upload(plan)
    plan.write_bytes(b"a better plan")
    project.artifacts.upload(plan)
    got, path = project.artifacts.download("plan.md", to=desk)
    assert (got.verified, path.read_bytes()) == (True, b"a better plan")


def test_a_file_replaced_by_somebody_else_is_unverified(project: Project, plan: Path, desk: Path) -> None:
    project.artifacts.upload(plan)
    project.store.put(project.layout.artifact("shared", "plan.md"), b"replaced without a sum")
    assert [item.verified for item in project.artifacts.list()] == [False]
    got, path = project.artifacts.download("plan.md", to=desk)
    assert (got.verified, got.sha256, path.read_bytes()) == (False, "", b"replaced without a sum")
    assert any("unverified" in notice for notice in project.notices)


def test_a_corrupt_file_leaves_nothing(folder_world: World, project: Project, plan: Path, desk: Path) -> None:
    """A bit flipped on the disk below the store: same time, same size."""
    project.artifacts.upload(plan)
    stored = folder_world.root / "store" / project.layout.artifact("shared", "plan.md")
    status = stored.stat()
    with open(stored, "r+b") as file:
        file.seek(5)
        file.write(b"X")
    os.utime(stored, ns=(status.st_atime_ns, status.st_mtime_ns))
    (desk / "plan.md").write_bytes(b"what was there")
    with pytest.raises(Corrupt, match="sha256 differs"):
        project.artifacts.download("plan.md", to=desk)
    assert os.listdir(desk) == ["plan.md"]
    assert (desk / "plan.md").read_bytes() == b"what was there"


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm"])
def test_an_interrupted_download_leaves_nothing(project: Project, plan: Path, desk: Path, how: str) -> None:
    project.artifacts.upload(plan)
    (desk / "plan.md").write_bytes(b"what was there")

    def interrupt(_done: int, _total: int) -> None:
        os.kill(os.getpid(), signal.SIGINT if how == "ctrl-c" else signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt if how == "ctrl-c" else SystemExit):
        project.artifacts.download("plan.md", to=desk, progress=interrupt)
    assert os.listdir(desk) == ["plan.md"]
    assert (desk / "plan.md").read_bytes() == b"what was there"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_interrupted_upload_leaves_the_old_file(project: Project, plan: Path, desk: Path) -> None:
    project.artifacts.upload(plan)
    plan.write_bytes(b"half a plan")

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project.artifacts.upload(plan, progress=interrupt)
    got, path = project.artifacts.download("plan.md", to=desk)
    assert (got.verified, path.read_bytes()) == (True, CONTENT)


def test_a_symbolic_link_at_the_destination_is_replaced(project: Project, plan: Path, desk: Path) -> None:
    project.artifacts.upload(plan)
    precious = desk.parent / "precious"
    precious.write_text("do not touch")
    (desk / "plan.md").symlink_to(precious)
    (desk / "dangling").symlink_to(desk.parent / "made-by-link")
    for to in (desk / "plan.md", desk / "dangling"):
        _, path = project.artifacts.download("plan.md", to=to)
        assert not path.is_symlink()
        assert path.read_bytes() == CONTENT
    assert precious.read_text() == "do not touch"
    assert not (desk.parent / "made-by-link").exists()


def test_a_link_in_the_store_is_no_artifact(folder_world: World, project: Project, plan: Path, desk: Path) -> None:
    """Somebody who may write to a shared folder plants a link to a file of the reader's."""
    project.artifacts.upload(plan)
    planted = folder_world.root / "store" / project.layout.artifact("shared", "passwords")
    planted.symlink_to("/etc/passwd")
    assert [item.name for item in project.artifacts.list()] == ["plan.md"]
    with pytest.raises(Missing):
        project.artifacts.download("passwords", to=desk)
    assert os.listdir(desk) == []


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "..", ".", "", "a\0b", "a\nb"])
def test_names_lead_nowhere_else(project: Project, plan: Path, desk: Path, name: str) -> None:
    if name:
        with pytest.raises(UsageError):
            project.artifacts.upload(plan, name=name)
    with pytest.raises(UsageError):
        project.artifacts.download(name, to=desk)
    assert project.artifacts.list() == []
    assert os.listdir(desk) == []


@pytest.mark.parametrize("name", [".hidden", "_sums", "x" * 65, "with space", "ü"])
def test_names_that_may_not_be_written(project: Project, plan: Path, name: str) -> None:
    with pytest.raises(UsageError):
        project.artifacts.upload(plan, name=name)


def test_names_of_others_are_read_as_they_come(project: Project, desk: Path) -> None:
    project.store.put(project.layout.artifact("shared", "My plan (ü).md"), b"x")
    assert [item.name for item in project.artifacts.list()] == ["My plan (ü).md"]
    assert project.artifacts.download("My plan (ü).md", to=desk)[1].read_bytes() == b"x"


def test_a_name_that_differs_only_in_case_is_refused(project: Project, plan: Path) -> None:
    project.artifacts.upload(plan, name="Plan.md")
    with pytest.raises(NameTaken, match=r"already called Plan\.md"):
        project.artifacts.upload(plan, name="plan.md")
    project.artifacts.upload(plan, name="plan.md", step="elsewhere")


def test_a_step_called_shared_is_refused(project: Project, plan: Path) -> None:
    with pytest.raises(UsageError, match="shared"):
        project.artifacts.upload(plan, step="Shared")


def test_only_files_go_up(project: Project, tmp_path: Path, desk: Path) -> None:
    for path in (desk, tmp_path / "nothing"):
        with pytest.raises(UsageError, match="not a file"):
            project.artifacts.upload(path)


def test_what_is_not_there_is_missing_and_leaves_nothing(project: Project, desk: Path) -> None:
    with pytest.raises(Missing):
        project.artifacts.download("nothing", to=desk)
    assert os.listdir(desk) == []


def test_where_a_download_cannot_go(project: Project, plan: Path, desk: Path) -> None:
    project.artifacts.upload(plan)
    (desk / "plan.md").mkdir()
    for to in (desk, desk / "no" / "such"):
        with pytest.raises(UsageError):
            project.artifacts.download("plan.md", to=to)
    assert os.listdir(desk) == ["plan.md"]
