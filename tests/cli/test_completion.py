"""completion: scripts that shells accept, and what they offer."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.support.world import World


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script(folder_world: World, shell: str) -> None:
    script = folder_world.run("a", "completion", shell).out
    assert f"_TRACECRAFT_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tracecraft me", {"memory"}),
        ("tracecraft memory ", {"set", "get", "list", "delete", "history", "watch"}),
        ("tracecraft step l", {"load", "list"}),
        ("tracecraft claim design --st", {"--steal", "--store"}),
        ("tracecraft step list --state ", {"pending", "in_progress", "blocked", "needs_review", "complete"}),
        ("tracecraft exec build --on-fail b", {"blocked"}),
        ("tracecraft completion z", {"zsh"}),
    ],
)
def test_what_is_offered(folder_world: World, line: str, offered: set[str]) -> None:
    words = line.split(" ")
    shell = {"_TRACECRAFT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    answers = folder_world.run("a", exits=None, **shell).out.split()
    assert {answer.partition(",")[2] for answer in answers} == offered


def test_bash_completes(folder_world: World) -> None:
    """The script in a real bash, with the command on its PATH."""
    programs = folder_world.folder("bin")
    command = programs / "tracecraft"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tracecraft "$@"\n')
    command.chmod(0o755)
    environment = folder_world.environment("a")
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    typed = 'eval "$(tracecraft completion bash)"; COMP_WORDS=(tracecraft arti); COMP_CWORD=1; '
    done = subprocess.run(
        ["bash", "-c", typed + '_tracecraft_completion tracecraft; echo "${COMPREPLY[@]}"'],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("artifact\n", "")
