"""The only code that talks to storage: bytes under keys, one file per backend, all behind the `Store` protocol."""

from tracecraft.store.base import Guarantees, Info, Items, Object, OnChunk, Store, both, delete_many, get_many, put_many
from tracecraft.store.waves import pause

__all__ = [
    "Guarantees",
    "Info",
    "Items",
    "Object",
    "OnChunk",
    "Store",
    "both",
    "delete_many",
    "get_many",
    "pause",
    "put_many",
]
