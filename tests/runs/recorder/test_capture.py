"""What a run is started with and on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracecraft.runs.recorder.capture import capture, hidden


def git(folder: Path, *arguments: str) -> str:
    name = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_process_and_its_machine(tmp_path: Path) -> None:
    found = capture(tmp_path)
    assert found.command == sys.orig_argv or len(found.command) == len(sys.orig_argv)
    assert (found.cwd, found.pid, found.host) == (str(tmp_path), os.getpid(), os.uname().nodename)
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert found.user
    assert found.platform.startswith(sys.platform)
    assert found.packages["msgspec"]
    assert found.packages["pytest"]
    assert (found.commit, found.branch, found.dirty, found.origin) == ("", "", False, "")


def test_the_repository(tmp_path: Path) -> None:
    git(tmp_path, "init")
    assert (capture(tmp_path).commit, capture(tmp_path).branch) == ("", "main")
    (tmp_path / "a").write_text("a")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    git(tmp_path, "remote", "add", "origin", "https://me:secret@example.org/a.git")
    (tmp_path / "new").write_text("untracked files are none of the commit's")
    found = capture(tmp_path)
    assert (found.commit, found.branch, found.dirty) == (git(tmp_path, "rev-parse", "HEAD").strip(), "main", False)
    assert found.origin == "https://example.org/a.git"
    (tmp_path / "a").write_text("b")
    git(tmp_path, "checkout", "--detach")
    found = capture(tmp_path)
    assert (found.branch, found.dirty) == ("", True)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("train --lr 0.1", "train --lr 0.1"),
        ("train --api-key hush --lr 0.1", "train --api-key [REDACTED:argument] --lr 0.1"),
        ("train --hf-token=hush", "train --hf-token=[REDACTED:argument]"),
        ("train --password --lr 0.1", "train --password --lr 0.1"),
        ("train --max-tokens 100 --tokenizer=gpt2", "train --max-tokens 100 --tokenizer=gpt2"),
    ],
)
def test_values_of_options_that_are_named_like_secrets_are_hidden(command: str, shown: str) -> None:
    assert hidden(command.split()) == shown.split()


def test_a_deleted_folder_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert capture().commit == ""
