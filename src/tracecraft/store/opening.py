"""Opens the store at an address, importing only the backend it needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracecraft.store.address import Address
    from tracecraft.store.base import Store


def open_store(address: Address, environ: Mapping[str, str]) -> Store:
    """The store at an address. Credentials not in it come from where its provider's tools keep them. Makes no
    request."""
    if address.scheme == "file":
        from tracecraft.store.folder import FolderStore

        return FolderStore(Path(address.path))
    if address.scheme == "gs":
        from tracecraft.store import google
        from tracecraft.store.gcs import GoogleBucketStore

        return GoogleBucketStore(address.bucket, address.prefix, options=google.options(address, environ))
    if address.scheme == "az":
        from tracecraft.store import azure_account
        from tracecraft.store.azure import AzureContainerStore

        return AzureContainerStore(address.bucket, address.prefix, options=azure_account.options(address, environ))
    from tracecraft.store import aws
    from tracecraft.store.s3 import S3BucketStore

    return S3BucketStore(address.bucket, address.prefix, options=aws.options(address, environ))
