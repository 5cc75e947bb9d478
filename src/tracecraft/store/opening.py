"""Opens the store at an address, importing only the backend it needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracecraft.store.address import Address
    from tracecraft.store.base import Store


def open_store(address: Address, environ: Mapping[str, str]) -> Store:
    """The store at an address. Credentials not in it come from the environment, then from ~/.aws. Makes no request."""
    if address.scheme == "file":
        from tracecraft.store.folder import FolderStore

        return FolderStore(Path(address.path))
    from tracecraft.store import aws
    from tracecraft.store.bucket import BucketStore

    return BucketStore(address.bucket, address.prefix, options=aws.options(address, environ))
