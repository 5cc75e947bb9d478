"""A store inside this process, for tests: everything it promises is kept by one lock."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tracecraft import clock
from tracecraft.clock import Pace
from tracecraft.errors import Conflict, NotFound
from tracecraft.store.base import Guarantees, Info, Object, OnChunk, check_prefix
from tracecraft.store.waves import run_in_order

T = TypeVar("T")


class MemoryStore:
    """Objects in a dictionary."""

    url = "memory://"
    remote = False

    def __init__(self) -> None:
        self.guarantees: Guarantees | None = Guarantees(atomic_create=True, compare_and_swap=True)
        self._objects: dict[str, Object] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Object:
        with self._lock:
            if key not in self._objects:
                raise NotFound(key)
            return self._objects[key]

    def get_if_changed(self, key: str, etag: str) -> Object | None:
        found = self.get(key)
        return None if found.info.etag == etag else found

    def head(self, key: str) -> Info:
        return self.get(key).info

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        with self._lock:
            present = self._objects.get(key)
            if if_absent and present is not None:
                raise Conflict(key)
            if if_match is not None and (present is None or present.info.etag != if_match):
                raise Conflict(key)
            info = Info(key, uuid.uuid4().hex, len(data), clock.now_ns() / 1e9)
            self._objects[key] = Object(bytes(data), info)
            return info.etag

    def delete(self, key: str) -> None:
        with self._lock:
            self._objects.pop(key, None)

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Info]:
        check_prefix(prefix)
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(prefix) and (after is None or key > after))
            found = [self._objects[key].info for key in keys]
        return iter(found)

    def upload(self, key: str, path: Path, on_chunk: OnChunk) -> str:
        data = path.read_bytes()
        on_chunk(data)
        return self.put(key, data)

    def download(self, key: str, path: Path, on_chunk: OnChunk) -> Info:
        found = self.get(key)
        on_chunk(found.data)
        path.write_bytes(found.data)
        return found.info

    def pace(self) -> Pace:
        return Pace(0.02, 0.2)

    def together(self, calls: Sequence[Callable[[], T]]) -> Sequence[T]:
        return run_in_order(calls)

    def exposed(self, key: str) -> str:
        return ""

    def facts(self) -> dict[str, Any]:
        return {}

    def recall(self, facts: Mapping[str, Any]) -> None:
        pass
