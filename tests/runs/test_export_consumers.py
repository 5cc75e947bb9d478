"""Exports given to the programs that read them, which need an environment of their own.

`make exports` makes it and names its Python in TRACECRAFT_TEST_HARBOR.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.runs.recorded import RUN, write_events, write_run
from tests.support.world import World
from tracecraft.runs.exporting.formats import export_run

HARBOR = os.environ.get("TRACECRAFT_TEST_HARBOR", "")
needs_harbor = pytest.mark.skipif(not HARBOR, reason="TRACECRAFT_TEST_HARBOR does not name a Python that has harbor")
SECONDS = 120


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    command = [HARBOR, "-m", "harbor.utils.trajectory_validator", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


@needs_harbor
def test_harbors_validator_takes_our_trajectories(folder_world: World, tmp_path: Path) -> None:
    project = folder_world.open()
    write_run(project)
    write_events(project)
    path = tmp_path / "run.json"
    path.write_bytes(b"".join(export_run(project, RUN, "atif")))
    done = validated(path)
    assert done.returncode == 0, done.stderr


@needs_harbor
def test_harbors_validator_refuses_what_is_wrong(folder_world: World, tmp_path: Path) -> None:
    """Else it would prove nothing."""
    project = folder_world.open()
    write_run(project)
    path = tmp_path / "run.json"
    path.write_bytes(b"".join(export_run(project, RUN, "atif")).replace(b'"step_id":2,', b'"step_id":7,', 1))
    assert validated(path).returncode == 1
