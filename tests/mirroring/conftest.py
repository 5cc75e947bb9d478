"""Names the stores on which it was mirrored."""

from __future__ import annotations

import pytest


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """The name of the store that `world` is on."""
    return str(request.node.callspec.params["world"])
