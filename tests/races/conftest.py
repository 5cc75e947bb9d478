"""Fifty workers for the races, started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fleet import Fleet


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """The name of the store that `world` is on."""
    return str(request.node.callspec.params["world"])


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    with Fleet(50) as workers:
        yield workers
