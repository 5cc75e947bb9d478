"""Three hosts for all tests of this folder, and a site of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.hosts.site import Site, site
from tests.support.hosts import Host, Network
from tests.support.s3 import Endpoint
from tests.support.scale import FULL


@pytest.fixture(scope="session")
def machines(network: Network) -> Sequence[Host]:
    return [network.add_host(name) for name in ("alpha", "beta", "gamma")]


@pytest.fixture
def hosts(machines: Sequence[Host]) -> Iterator[Sequence[Host]]:
    """Three hosts that are connected, whatever the test before did to them."""
    yield machines
    for host in machines:
        host.heal()


@pytest.fixture(params=["ministack", *(["ceph"] if FULL else [])])
def here(network: Network, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """On each server that decides conditional writes, in full size; in `make test` on the fastest."""
    with site(network, request.getfixturevalue(f"{request.param}_endpoint"), tmp_path) as made:
        yield made


@pytest.fixture
def quick(network: Network, ministack_endpoint: Endpoint, tmp_path: Path) -> Iterator[Site]:
    """On the fastest server alone, for tests whose time goes by waiting."""
    with site(network, ministack_endpoint, tmp_path) as made:
        yield made
