"""The page about the long runs is made of their figures alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from soak import run


def test_the_committed_page_is_made_from_the_committed_figures() -> None:
    assert run.page(json.loads(run.FIGURES.read_text())) == run.PAGE.read_text()


def test_a_part_is_written_beside_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "FIGURES", tmp_path / "soak.json")
    monkeypatch.setattr(run, "PAGE", tmp_path / "soak.md")
    ran_on = {"when": "today", "commit": "abc", "cores": "2"}
    for part, claims in (("races", 1), ("linear", 2), ("races", 3)):
        run.record(part, {"machine": ran_on, "figures": [{"test": "one", "store": "folder", "claims": claims}]})
    told = run.PAGE.read_text()
    assert [line for line in told.splitlines() if line.startswith("## ")] == ["## Histories", "## Races"]
    assert "claims: 2" in told
    assert "claims: 3" in told
    assert "claims: 1" not in told


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["linera", "--", "-x"]) == 2
    assert "linera: none of linear, races" in capsys.readouterr().err
