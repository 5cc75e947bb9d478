"""Projects in a bucket, alone and behind a proxy that does what networks do."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.proxy import Proxy
from tests.support.servers import Endpoint, make_bucket
from tests.support.world import World


@pytest.fixture
def world_in_bucket(tmp_path: Path, ministack_endpoint: Endpoint) -> World:
    return World.in_bucket(tmp_path, ministack_endpoint, _new_bucket(ministack_endpoint))


@pytest.fixture
def proxy(ministack_endpoint: Endpoint) -> Iterator[Proxy]:
    with Proxy(ministack_endpoint.url) as proxy:
        yield proxy


@pytest.fixture
def world(tmp_path: Path, ministack_endpoint: Endpoint, proxy: Proxy) -> World:
    """In a bucket behind `proxy`."""
    return World.in_bucket(tmp_path, ministack_endpoint, _new_bucket(ministack_endpoint), through=proxy.url)


def _new_bucket(endpoint: Endpoint) -> str:
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_bucket(endpoint, name)
    return name
