"""What every store promises: bytes under keys, and conditional writes that the store itself decides.

A key is a relative path of segments joined by `/`. Nothing here knows JSON or what the keys mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from tracecraft.clock import Pace
from tracecraft.errors import NotFound

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

Items = list[tuple[str, bytes]]
"""Objects to write: keys and their bytes."""

OnChunk = Callable[[bytes], None]
"""Called with every chunk in order while a file is uploaded or downloaded; for checksums and progress."""


class Info(NamedTuple):
    """What a store knows of an object without its content."""

    key: str
    etag: str
    """Opaque; differs between any two versions whose bytes differ."""
    size: int
    modified: float
    """When it was last written, in seconds since 1970 by the store's own clock."""


class Object(NamedTuple):
    data: bytes
    info: Info


class Guarantees(NamedTuple):
    """What a store really promises when many write at once."""

    atomic_create: bool
    compare_and_swap: bool


class Store(Protocol):
    """Where the state lives. Every method may be called from several threads.

    All of them raise `Unreachable` when the store gives no answer and `Denied` when it refuses the caller.
    """

    @property
    def url(self) -> str:
        """Where this is, without secrets."""

    guarantees: Guarantees | None
    """What is promised; None while nobody has tried (see `probe`)."""

    @property
    def remote(self) -> bool:
        """Whether requests cross a network, so that answers take their time."""

    def pace(self) -> Pace:
        """A watcher's sleep between two looks. What is written after it was made cuts the sleep short where it can."""

    def get(self, key: str) -> Object:
        """The object. Raises NotFound."""

    def get_if_changed(self, key: str, etag: str) -> Object | None:
        """The object, or None if its etag is still `etag`. Raises NotFound."""

    def head(self, key: str) -> Info:
        """What is known of the object. Raises NotFound."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        """Write the whole object and return its etag.

        With a condition this is one request, never repeated in here: Conflict means this request was refused and
        not applied, Unknown that nobody can tell. Without one it is repeated until answered.
        """

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is fine. Never used to decide a race."""

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Info]:
        """Every object below `prefix` (empty, or ending in `/`) in lexicographic order of keys, lazily;
        with `after`, only keys greater than it."""

    def upload(self, key: str, path: Path, on_chunk: OnChunk) -> str:
        """Stream a file of any size into the object in bounded memory and return its etag. All or nothing."""

    def download(self, key: str, path: Path, on_chunk: OnChunk) -> Info:
        """Stream the object into a file in bounded memory; all of it is of one version. Raises NotFound."""

    def together(self, calls: Sequence[Callable[[], T]]) -> Sequence[T]:
        """Run calls on this store as one parallel wave and return their results in order.

        Every call is finished when this returns; the first failure in order is raised then.
        """

    def exposed(self, key: str) -> str:
        """How others than its owner can read what lies here, as a sentence; empty when they cannot.

        `key` is an object that is there. Raises Unreachable when that cannot be found out.
        """

    def facts(self) -> dict[str, Any]:
        """What was learned of the server that the next process should know."""

    def recall(self, facts: Mapping[str, Any]) -> None:
        """Take over what an earlier process learned."""


def both(store: Store, first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Two calls of different kinds as one wave."""
    results: Sequence[Any] = store.together([first, second])
    return results[0], results[1]


def get_many(store: Store, keys: Iterable[str]) -> dict[str, Object]:
    """The objects that exist among `keys`, in one wave."""

    def look(key: str) -> Object | None:
        try:
            return store.get(key)
        except NotFound:
            return None

    wanted = list(keys)
    found: Sequence[Object | None] = store.together([partial(look, key) for key in wanted])
    return {key: item for key, item in zip(wanted, found, strict=True) if item is not None}


def put_many(store: Store, items: Iterable[tuple[str, bytes]]) -> Sequence[str]:
    """Write every object without conditions, in one wave, and return their etags."""
    return store.together([partial(store.put, key, data) for key, data in items])


def delete_many(store: Store, keys: Iterable[str]) -> None:
    """Remove objects in one wave; those that are not there are fine."""
    store.together([partial(store.delete, key) for key in keys])


def check_prefix(prefix: str) -> None:
    """Prefixes are folders: object stores that match by whole segments would silently find nothing otherwise."""
    if prefix and not prefix.endswith("/"):
        raise ValueError(f"a prefix ends in '/': {prefix!r}")


def is_unicode(text: str) -> bool:
    """Whether text can be written as UTF-8, as every key can. Names of files and arguments may be any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
