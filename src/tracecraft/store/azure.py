"""A store in a container of Azure Blob Storage, or of Azurite."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import obstore
from obstore.store import AzureStore

from tracecraft.errors import Denied, NotFound, StoreError, UsageError
from tracecraft.store import metadata
from tracecraft.store.answers import Provider, connecting
from tracecraft.store.bucket import BucketStore, client_options, quote

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

_ALTERED = re.compile(r"\\|\.(/|$)")
"""In a key, what Azure takes away or makes a slash of: the object would be found under another key."""


class AzureContainerStore(BucketStore):
    """Objects below `prefix` in a container. `options` are obstore's Azure options: account_name, endpoint, keys."""

    provider = Provider(
        place="container",
        denied="check the account's key, token or role, and its rights on this container: tracecraft doctor",
        credentials="set AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_CONNECTION_STRING,"
        " or run `az login`",
    )

    def __init__(self, bucket: str, prefix: str = "", *, options: dict[str, Any]) -> None:
        super().__init__(bucket, prefix, scheme="az", options=options)
        _refuse_altered(self.prefix)

    def make_bucket(self) -> bool:
        """Create the container. False when it was there already; Denied when it may not be made.

        obstore has no call for it. A container is made by a signed PUT of its own path with `restype=container`, which
        is what it sends for an object without a name where the endpoint has that query.
        """
        if self._bucket_exists():
            return False
        endpoint = f"{self._options['endpoint']}?restype=container"
        client = client_options(endpoint)
        try:
            with self._answering(self.bucket):
                maker = AzureStore(
                    self.bucket,
                    retry_config={"max_retries": 0},
                    client_options=client,
                    **{**self._options, "endpoint": endpoint},
                )
                obstore.put(maker, "", b"", use_multipart=False)
        except (NotFound, StoreError) as error:
            if not self._bucket_exists():
                raise Denied(
                    f"the container {self.bucket} is not there and could not be made",
                    hint=f"make it: az storage container create --name {self.bucket}"
                    f" --account-name {self._options['account_name']}",
                ) from error
        return True

    def _answering(self, key: str, *passing: type[Exception]) -> AbstractContextManager[None]:
        _refuse_altered(key)
        return super()._answering(key, *passing)

    def _connect(self, retries: Any, client: ClientConfig) -> ObjectStore:
        if self._options.get("credential_type") == "managed_identity":
            metadata.require(metadata.ADDRESS, self.provider.credentials)
        with connecting(self.provider):
            return AzureStore(
                self.bucket, prefix=self.prefix or None, retry_config=retries, client_options=client, **self._options
            )

    def _put_if_match(self, key: str, data: bytes, etag: str) -> str:
        return self._put_once(key, data, {"e_tag": quote(etag)})


def _refuse_altered(key: str) -> None:
    if _ALTERED.search(key):
        raise UsageError(
            f"Azure does not keep names as {key!r}",
            hint="choose a name without a backslash and without a dot at the end",
        )
