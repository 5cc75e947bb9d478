"""The fixtures of these tests: above all a team on a store in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.primitives.team import Team
from tests.support.servers import Endpoint


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.fixture
def ministack_endpoint_url(ministack_endpoint: Endpoint) -> str:
    return ministack_endpoint.url
