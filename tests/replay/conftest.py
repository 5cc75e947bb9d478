"""The fixtures of these tests: a team on a store in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.primitives.team import Team


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)
