"""The benchmarks run from end to end at tiny sizes, and their page says what they measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import tables
from tests.interop.conftest import peer_program
from tests.support.servers import unavailable

ROOT = Path(__file__).parents[2]
SECONDS = 300
PARTS = ("speed", "waiters", "scale")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a quick run of every part has filled."""
    if reason := unavailable("ceph"):
        pytest.skip(reason)
    program = peer_program()
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "benchmarks.run", *PARTS, "--quick", "--into", str(folder)]
    environment = {**os.environ, "TRACECRAFT_TEST_PEER": str(program)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_part_keeps_its_raw_numbers(measured: Path) -> None:
    for part in PARTS:
        document = json.loads((measured / "results" / f"{part}.json").read_text())
        assert (document["schema"], document["part"]) == (1, part)
        assert document["machine"]["tracecraft"]


def test_the_page_has_no_empty_cell(measured: Path) -> None:
    rows = [line for line in (measured / "performance.md").read_text().splitlines() if line.startswith("|")]
    assert len(rows) > 40
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert all(cells), row


def test_the_page_comes_from_the_files_alone(measured: Path) -> None:
    assert tables.page(measured / "results") == (measured / "performance.md").read_text()


def test_the_committed_page_is_made_from_the_committed_numbers() -> None:
    assert tables.page(ROOT / "benchmarks" / "results") == (ROOT / "docs" / "performance.md").read_text()


def test_an_unknown_part_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks.run", "sped"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2
    assert "'sped' is none of speed, waiters, scale, contention" in done.stderr
