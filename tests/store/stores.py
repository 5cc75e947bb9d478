"""Opens bucket stores on test servers."""

from __future__ import annotations

from typing import Any

from tests.support.s3 import Endpoint
from tracecraft.store.s3 import S3BucketStore

PREFIX = "team/pre"


def options(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "endpoint": endpoint.url,
        "region": endpoint.region,
        "access_key_id": endpoint.access_key,
        "secret_access_key": endpoint.secret_key,
    }


def bucket_store(endpoint: Endpoint, bucket: str, *, quoted_etags: bool | None = None) -> S3BucketStore:
    """A new client of a bucket below a prefix; `quoted_etags` is what an earlier process learned."""
    store = S3BucketStore(bucket, PREFIX, options=options(endpoint))
    store.recall({} if quoted_etags is None else {"quoted_etags": quoted_etags})
    return store
