"""A store in a bucket of Google Cloud Storage.

Google knows a version by its generation, a number, and writes under conditions by it alone; reads go by etags, and
listings tell only these. So an etag here is Google's etag, and the generation that belongs to it is remembered from
what this process saw, or asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from obstore.store import GCSStore

from tracecraft.errors import Conflict, Denied, NotFound
from tracecraft.store import metadata
from tracecraft.store.answers import Provider, connecting
from tracecraft.store.base import Info
from tracecraft.store.bucket import BucketStore, bare

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutResult
    from obstore.store import ClientConfig, ObjectStore

_REMEMBERED = 10_000
"""Objects whose generation is remembered. Forgetting one costs a request more when it is swapped."""


class GoogleBucketStore(BucketStore):
    """Objects below `prefix` in a bucket. `options` are obstore's GCS options: base_url, credentials."""

    provider = Provider(
        place="bucket",
        denied="check the rights of the Google account or service account on this bucket: tracecraft doctor",
        credentials="set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run `gcloud auth application-default login`",
    )

    def __init__(self, bucket: str, prefix: str = "", *, options: dict[str, Any]) -> None:
        super().__init__(bucket, prefix, scheme="gs", options=options)
        self.endpoint = options.get("base_url")
        self._generations: dict[str, tuple[str, str]] = {}
        """The etag and generation last seen of each key."""

    def make_bucket(self) -> bool:
        """False when it is there. It is never made here: its owner chooses its project and where its data lies."""
        if self._bucket_exists():
            return False
        raise Denied(
            f"the bucket {self.bucket} is not there",
            hint=f"make it: gcloud storage buckets create gs://{self.bucket} --location=PLACE",
        )

    def _connect(self, retries: Any, client: ClientConfig) -> ObjectStore:
        if not self._options.keys() - {"base_url"}:
            metadata.require(os.environ.get("GCE_METADATA_IP") or metadata.ADDRESS, self.provider.credentials)
        with connecting(self.provider):
            return GCSStore(
                self.bucket, prefix=self.prefix or None, retry_config=retries, client_options=client, **self._options
            )

    def _put_if_match(self, key: str, data: bytes, etag: str) -> str:
        """A swap of the generation known for this etag. Where that is refused or unknown, the object is looked at:
        equal bytes may have been written again since, under the same etag."""
        known = self._known_generation(key, etag)
        if known:
            try:
                return self._put_once(key, data, {"version": known})
            except Conflict:
                pass
        present = self._present_generation(key, etag)
        if present in ("", known):
            raise Conflict(key)
        return self._put_once(key, data, {"version": present})

    def _present_generation(self, key: str, etag: str) -> str:
        """The generation of the object that is there now; empty when it has another etag.

        By a GET, since the answer to a HEAD does not say whether it is the object or the bucket that is missing.
        """
        try:
            self.get(key)
        except NotFound:
            return ""
        return self._known_generation(key, etag)

    def _known_generation(self, key: str, etag: str) -> str:
        seen, generation = self._generations.get(key, ("", ""))
        return generation if seen == etag else ""

    def _info(self, meta: ObjectMeta) -> Info:
        info = super()._info(meta)
        self._remember(info.key, info.etag, meta["version"])
        return info

    def _written(self, key: str, result: PutResult) -> str:
        etag = bare(result["e_tag"])
        self._remember(key, etag, result["version"])
        return etag

    def _remember(self, key: str, etag: str, generation: str | None) -> None:
        if generation:  # a listing tells none
            if len(self._generations) >= _REMEMBERED:
                self._generations.clear()
            self._generations[key] = (etag, generation)
