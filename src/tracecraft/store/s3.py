"""A store in an S3-compatible bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import obstore
from obstore.store import S3Store

from tracecraft.errors import Conflict, Denied, NotFound, StoreError
from tracecraft.store.answers import Provider, connecting
from tracecraft.store.bucket import BucketStore, client_options, md5, quote

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

_LOCATION = (
    '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
)


class S3BucketStore(BucketStore):
    """Objects below `prefix` in a bucket. `options` are obstore's S3 options: endpoint, region, keys."""

    provider = Provider(
        place="bucket",
        denied="check the access key, its rights on this bucket, and the region: tracecraft doctor",
        credentials="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    )

    def __init__(self, bucket: str, prefix: str = "", *, options: dict[str, Any]) -> None:
        super().__init__(bucket, prefix, scheme="s3", options=options)
        self.quoted_etags: bool | None = None
        """Whether If-Match wants its etag in quotes; None until known. Ceph 16 and its kin want none."""

    def facts(self) -> dict[str, Any]:
        return {} if self.quoted_etags is None else {"quoted_etags": self.quoted_etags}

    def recall(self, facts: Mapping[str, Any]) -> None:
        quoted = facts.get("quoted_etags")
        self.quoted_etags = quoted if isinstance(quoted, bool) else None

    def make_bucket(self) -> bool:
        """Create the bucket. False when it was there already; Denied when it may not be made.

        obstore has no call for it. A bucket is made by a signed PUT of the path `/<bucket>`, which is what it sends
        for an object of that name in a store whose endpoint stands for the host alone.
        """
        if self._bucket_exists():
            return False
        region = str(self._options.get("region") or "us-east-1")
        endpoint = self.endpoint or f"https://s3.{region}.amazonaws.com"
        named = region not in ("us-east-1", "auto", "") and self.endpoint is None
        body = _LOCATION.format(region=region).encode() if named else b""
        options = {**self._options, "endpoint": endpoint, "virtual_hosted_style_request": True}
        host = S3Store(
            self.bucket,
            retry_config={"max_retries": 0},
            client_options=client_options(endpoint),
            **options,
        )
        try:
            with self._answering(self.bucket):
                obstore.put(host, self.bucket, body, use_multipart=False)
        except StoreError as error:
            # A bucket has no etag, and obstore calls an answer without one a failure.
            if not self._bucket_exists():
                raise Denied(
                    f"the bucket {self.bucket} is not there and could not be made: {error.message}",
                    hint="make the bucket yourself, or check its name and your rights",
                ) from error
        return True

    def _connect(self, retries: Any, client: ClientConfig) -> ObjectStore:
        provider = self._options.get("credential_provider")
        if provider is not None:
            provider()  # so that what keeps it from giving keys is said in its own words
        with connecting(self.provider):
            return S3Store(
                self.bucket, prefix=self.prefix or None, retry_config=retries, client_options=client, **self._options
            )

    def _put_if_match(self, key: str, data: bytes, etag: str) -> str:
        """Until the quoting is known, a swap refused while the object still has that etag goes out in the other one."""
        if self.quoted_etags is not None:
            return self._put_once(key, data, {"e_tag": quote(etag) if self.quoted_etags else etag})
        try:
            written = self._put_once(key, data, {"e_tag": quote(etag)})
        except Conflict:
            if not self._has_etag(key, etag):
                raise
            written = self._put_once(key, data, {"e_tag": etag})
            self.quoted_etags = False
        else:
            self.quoted_etags = True
        return written

    def _has_etag(self, key: str, etag: str) -> bool:
        try:
            return self.head(key).etag == etag
        except NotFound:
            return False

    def _if_match(self, etag: str) -> str:
        return etag if self.quoted_etags is False else quote(etag)

    def _etag_of_parts(self, key: str, sums: Sequence[bytes]) -> str:
        """Ceph 16 does not tell the etag of an upload in parts. Empty where what is there may be somebody else's."""
        expected = f"{md5(b''.join(sums)).hex()}-{len(sums)}"
        return expected if self.head(key).etag == expected else ""
