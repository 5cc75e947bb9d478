"""Opens bucket stores on test servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.places import credentials, store_url
from tests.support.s3 import Endpoint
from tracecraft.store.address import parse
from tracecraft.store.bucket import BucketStore
from tracecraft.store.opening import open_store

PREFIX = "team/pre"


def options(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "endpoint": endpoint.url,
        "region": endpoint.region,
        "access_key_id": endpoint.access_key,
        "secret_access_key": endpoint.secret_key,
    }


def bucket_store(endpoint: Endpoint, bucket: str, *, quoted_etags: bool | None = None) -> BucketStore:
    """A new client of a bucket below a prefix; `quoted_etags` is what an earlier process learned."""
    home = {"HOME": str(Path(__file__).parent)}
    store = open_store(parse(store_url(endpoint, bucket, PREFIX)), {**home, **credentials(endpoint)})
    assert isinstance(store, BucketStore)
    store.recall({} if quoted_etags is None else {"quoted_etags": quoted_etags})
    return store
