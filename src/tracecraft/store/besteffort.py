"""A store without conditional writes, used anyway: conditions are checked by reading before and after.

Two writers that meet in the same moment can both believe that they won. Only used where the user asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tracecraft.errors import Conflict, NotFound
from tracecraft.store.base import Guarantees, Info, Object, OnChunk, Store

T = TypeVar("T")


class BestEffortStore:
    """Wraps a store that ignores or refuses conditions."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url
        self.remote = store.remote
        self.pace = store.pace
        self.guarantees: Guarantees | None = Guarantees(atomic_create=False, compare_and_swap=False)

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        if not if_absent and if_match is None:
            return self._store.put(key, data)
        if self._etag(key) != if_match:
            raise Conflict(key)
        etag = self._store.put(key, data)
        if self._store.get(key).data != data:
            raise Conflict(key)
        return etag

    def _etag(self, key: str) -> str | None:
        try:
            return self._store.head(key).etag
        except NotFound:
            return None

    def get(self, key: str) -> Object:
        return self._store.get(key)

    def get_if_changed(self, key: str, etag: str) -> Object | None:
        return self._store.get_if_changed(key, etag)

    def head(self, key: str) -> Info:
        return self._store.head(key)

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Info]:
        return self._store.list(prefix, after=after)

    def upload(self, key: str, path: Path, on_chunk: OnChunk) -> str:
        return self._store.upload(key, path, on_chunk)

    def download(self, key: str, path: Path, on_chunk: OnChunk) -> Info:
        return self._store.download(key, path, on_chunk)

    def together(self, calls: Sequence[Callable[[], T]]) -> Sequence[T]:
        return self._store.together(calls)

    def exposed(self, key: str) -> str:
        return self._store.exposed(key)

    def facts(self) -> dict[str, Any]:
        return self._store.facts()

    def recall(self, facts: Mapping[str, Any]) -> None:
        self._store.recall(facts)
