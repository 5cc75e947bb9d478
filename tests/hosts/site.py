"""A site: an S3 server, and hosts that reach it through a proxy on the switch of their network."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.hosts import Host, Network
from tests.support.proxy import Proxy
from tests.support.s3 import Endpoint, make_bucket
from tests.support.world import World


@dataclass(frozen=True)
class Site:
    """`direct` reaches the store past the proxy and the hosts' network."""

    server: str
    direct: World
    proxied: World
    proxy: Proxy

    def on(self, host: Host) -> World:
        """The project as a host sees it: commands run there."""
        return replace(self.proxied, enter=host.enter)


@contextmanager
def site(network: Network, endpoint: Endpoint, root: Path) -> Iterator[Site]:
    """A new bucket, with a project in it whose store was tried out."""
    bucket = f"hosts-{uuid.uuid4().hex[:16]}"
    make_bucket(endpoint, bucket)
    direct = World.in_bucket(root, endpoint, bucket)
    direct.open("setup").probe()
    with Proxy(endpoint.url, listener=network.listener()) as proxy:
        yield Site(endpoint.name, direct, World.in_bucket(root, endpoint, bucket, through=proxy.url), proxy)
