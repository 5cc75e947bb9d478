"""What git tells of real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tracecraft import git


def run(folder: Path, *arguments: str) -> None:
    name = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    run(folder, "init")
    (folder / "kept.txt").write_text("1")
    (folder / "sub").mkdir()
    (folder / "sub" / "inner.txt").write_text("1")
    run(folder, "add", ".")
    run(folder, "commit", "-m", "first")
    return folder


def test_outside_of_any_repository(tmp_path: Path) -> None:
    assert git.worktree(tmp_path) is None
    assert git.changed_files(tmp_path) == []
    assert not git.ignores(tmp_path, "x")


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert git.worktree(repository) is None
    assert git.changed_files(repository) == []


def test_every_worktree_has_the_same_main(repository: Path, tmp_path: Path) -> None:
    run(repository, "worktree", "add", str(tmp_path / "linked"), "-b", "other")
    assert git.worktree(repository) == (repository, repository, "")
    assert git.worktree(repository / "sub") == (repository, repository, "")
    assert git.worktree(tmp_path / "linked") == (tmp_path / "linked", repository, "")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://user:secret@example.org/team/repo.git", "https://example.org/team/repo.git"),
        ("https://example.org/repo@2", "https://example.org/repo@2"),
        ("git@example.org:team/repo.git", "git@example.org:team/repo.git"),
        ("/srv/repo", "/srv/repo"),
    ],
)
def test_origins_without_credentials(repository: Path, url: str, told: str) -> None:
    run(repository, "remote", "add", "origin", url)
    tree = git.worktree(repository)
    assert tree is not None
    assert tree.origin == told


@pytest.mark.parametrize("where", [".", "sub"])
def test_changed_files_are_named_from_the_root(repository: Path, where: str) -> None:
    (repository / "kept.txt").write_text("2")
    (repository / "sub" / "inner.txt").unlink()
    (repository / "sub" / "new ü.txt").write_text("1")
    (repository / "staged.txt").write_text("1")
    run(repository, "add", "staged.txt")
    (repository / ".gitignore").write_text("*.log\n")
    (repository / "noise.log").write_text("1")
    changed = git.changed_files(repository / where)
    assert changed == [".gitignore", "kept.txt", "staged.txt", "sub/inner.txt", "sub/new ü.txt"]
    assert git.ignores(repository, "noise.log")
    assert not git.ignores(repository, "kept.txt")


def test_a_repository_without_commits(tmp_path: Path) -> None:
    run(tmp_path, "init")
    (tmp_path / "home" / "new.txt").write_text("1")
    assert git.changed_files(tmp_path) == ["home/new.txt"]
