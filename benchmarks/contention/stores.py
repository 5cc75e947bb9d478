"""The stores of the contention report, each served for as long as it is measured."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import servers
from tests.support.s3 import make_bucket
from tests.support.world import World

FOLDER = "folder"
CONTROL = "s3rver"
"""Ignores conditions: the harness must see several winners there, or its other results mean nothing."""

STORES = (FOLDER, "ministack", "ceph", CONTROL)
_BUCKET = "contention"


def unavailable(store: str) -> str | None:
    """Why a store cannot be had here, or None if it can."""
    return None if store == FOLDER else servers.unavailable(store)


@contextmanager
def world_on(store: str) -> Iterator[World]:
    """An empty store of this kind, gone when the block is left."""
    with tempfile.TemporaryDirectory(prefix="tracecraft-contention-", ignore_cleanup_errors=True) as name:
        if store == FOLDER:
            yield World.in_folder(Path(name))
            return
        with servers.SERVERS[store].serve() as endpoint:
            make_bucket(endpoint, _BUCKET)
            yield World.in_bucket(Path(name), endpoint, _BUCKET)
