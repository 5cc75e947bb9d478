"""The benchmarks run from end to end at tiny sizes, and their page says what they measured and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import paper, results, tables
from tests.interop.conftest import peer_program
from tests.support.servers import unavailable

ROOT = Path(__file__).parents[2]
SECONDS = 600


@pytest.mark.parametrize("part", ["speed", "waiters", "scale", "sessions"])
def test_a_quick_run(part: str, tmp_path: Path) -> None:
    if reason := unavailable("ceph"):
        pytest.skip(reason)
    environment = {**os.environ, "TRACECRAFT_TEST_PEER": str(peer_program())}
    done = run_benchmarks(part, "--quick", "--into", str(tmp_path), environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr

    document = json.loads((tmp_path / "results" / f"{part}.json").read_text())
    assert (document["schema"], document["part"]) == (1, part)
    assert document["machine"]["tracecraft"]

    page = (tmp_path / "performance.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) > 15
    for row in rows:
        assert all(cell.strip() for cell in row.strip("|").split("|")), row
    assert page == tables.page(tmp_path / "results")


def test_a_quick_run_of_redaction(tmp_path: Path) -> None:
    """It needs no store. What it says of the corpus is asserted, its times are not."""
    done = run_benchmarks("redaction", "--quick", "--into", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "results" / "redaction.json").read_text())
    assert measured["corpus"]["secrets"] > 10_000
    wrong = ("missed", "redacted", "other lines redacted")
    assert {name: measured["corpus"][name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert measured["findings"] == []
    assert (tmp_path / "performance.md").read_text() == tables.page(tmp_path / "results")


def test_a_quick_run_of_runs(tmp_path: Path) -> None:
    """It needs no server. Its times are not asserted."""
    done = run_benchmarks("runs", "--quick", "--into", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "results" / "runs.json").read_text())["measured"]
    assert [(part["records"], part["away"]) for part in measured] == [(100, False), (100, True)]
    assert all(run["spool_bytes"] == 0 for run in measured[0]["runs"])
    assert all(run["spool_bytes"] > 0 for run in measured[1]["runs"])
    assert (tmp_path / "performance.md").read_text() == tables.page(tmp_path / "results")


def test_a_quick_run_of_trackers(tmp_path: Path) -> None:
    """It makes do without the others where they are not installed."""
    done = run_benchmarks("trackers", "--quick", "--into", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "results" / "trackers.json").read_text())["measured"]
    counts = [{run["number"] for runs in part["runs"].values() for run in runs} for part in measured]
    assert counts == [{100}, {100}, {3 * 13}, {3 * 103}]
    assert (tmp_path / "performance.md").read_text() == tables.page(tmp_path / "results")


def test_the_committed_pages_are_made_from_the_committed_numbers() -> None:
    results = ROOT / "benchmarks" / "results"
    assert tables.page(results) == (ROOT / "docs" / "performance.md").read_text()
    assert paper.page(results) == (ROOT / "docs" / "at-scale.md").read_text()


def test_what_is_carried_on_on_paper_adds_up() -> None:
    waiters = results.read(ROOT / "benchmarks" / "results", "waiters")
    one, many = (paper.parts_of_a_day(waiters, projects) for projects in (1, 100))
    steps, looks, watching = one
    assert one[steps] == many[steps]
    assert one[watching] == many[watching]
    assert one[looks]["LIST"] == 10_000 * 144 * 400
    assert one[looks]["GET 200"] == 10_000 * 144 * 2 * 9_999
    assert many[looks]["LIST"] == 10_000 * 144 * 4


def test_an_unknown_part_is_refused() -> None:
    done = run_benchmarks("sped")
    assert done.returncode == 2
    parts = "speed, waiters, scale, sessions, runs, trackers, contention, redaction, pages"
    assert f"'sped' is none of {parts}" in done.stderr


def run_benchmarks(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.run", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
