"""What the stores in a cloud's buckets share, through `obstore` (Rust object_store). One file per provider differs.

What obstore does with conditional writes was measured: with retries of its own it reports AlreadyExists for its own
write after a 5xx, and it reports a 409 as AlreadyExists though nobody may have won. So conditional puts go out once,
and what their answers mean is settled a floor higher (`records.commit`). A client used before fork() hangs in the
child, so clients are made per process.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, NotModifiedError, PreconditionError

from tracecraft.clock import Pace
from tracecraft.errors import Conflict, NoBucket, NotFound, Unknown, Unreachable, UsageError
from tracecraft.store.answers import Provider, Unanswered, answering, names_no_bucket, no_bucket
from tracecraft.store.base import Guarantees, Info, Object, OnChunk, check_prefix
from tracecraft.store.waves import pause, run_wave

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutResult
    from obstore.store import ClientConfig, ObjectStore

T = TypeVar("T")

SMALL_TIMEOUT = 10.0
"""Seconds one request of a small object may take."""
BULK_TIMEOUT = 300.0
PART = 8 << 20
"""Bytes of a file in memory and in one request while it is uploaded or downloaded."""

_ATTEMPTS = 5


class BucketStore(ABC):
    """Objects below `prefix` in a bucket or container. `options` are obstore's for the provider."""

    provider: Provider
    remote = True

    def __init__(self, bucket: str, prefix: str = "", *, scheme: str, options: dict[str, Any]) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self.url = f"{scheme}://{bucket}" + (f"/{self.prefix}" if self.prefix else "")
        self.endpoint: str | None = options.get("endpoint")
        self.guarantees: Guarantees | None = None
        self._options = options
        self._clients: dict[str, ObjectStore] = {}

    @abstractmethod
    def make_bucket(self) -> bool:
        """Create the bucket. False when it was there already; Denied when it may not be made."""

    @abstractmethod
    def _connect(self, retries: Any, client: ClientConfig) -> ObjectStore:
        """A client below the prefix, with these settings of obstore for retries and HTTP."""

    @abstractmethod
    def _put_if_match(self, key: str, data: bytes, etag: str) -> str:
        """Replace the object that has this etag, in the provider's own way to say so."""

    def get(self, key: str) -> Object:
        with self._answering(key):
            result = obstore.get(self._client("read"), key)
            return Object(bytes(result.bytes()), self._info(result.meta))

    def get_if_changed(self, key: str, etag: str) -> Object | None:
        try:
            with self._answering(key, NotModifiedError):
                result = obstore.get(self._client("read"), key, options={"if_none_match": quote(etag)})
                return Object(bytes(result.bytes()), self._info(result.meta))
        except NotModifiedError:
            return None

    def head(self, key: str) -> Info:
        with self._answering(key):
            return self._info(obstore.head(self._client("read"), key))

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        if if_absent:
            return self._put_once(key, data, "create")
        if if_match is not None:
            return self._put_if_match(key, data, if_match)
        return self._put_until_answered(key, data)

    def delete(self, key: str) -> None:
        with suppress(NotFound), self._answering(key):
            obstore.delete(self._client("read"), key)

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Info]:
        check_prefix(prefix)
        with self._answering(prefix):
            for page in obstore.list(self._client("read"), prefix.rstrip("/") or None, offset=after, chunk_size=1000):
                for meta in page:
                    # obstore drops a slash at the end of `after`.
                    if after is None or meta["path"] > after:
                        yield self._info(meta)

    def upload(self, key: str, path: Path, on_chunk: OnChunk) -> str:
        with open(path, "rb") as source:
            first = source.read(PART)
            on_chunk(first)
            if len(first) < PART:
                return self._put_until_answered(key, first, client="bulk")
            sums: list[bytes] = []
            parts = _read_on(first, partial(source.read, PART), on_chunk, sums)
            with self._answering(key):
                result = obstore.put(self._client("bulk"), key, parts, chunk_size=PART, max_concurrency=4)
        return self._written(key, result) or self._etag_of_parts(key, sums)

    def download(self, key: str, path: Path, on_chunk: OnChunk) -> Info:
        info = self.head(key)
        match = self._if_match(info.etag)
        with open(path, "wb") as target, self._answering(key, PreconditionError):
            for start in range(0, info.size, PART):
                stop = min(start + PART, info.size)
                try:
                    part = obstore.get(self._client("bulk"), key, options={"range": (start, stop), "if_match": match})
                except PreconditionError as error:
                    raise Unreachable(f"{key} was replaced while it was read", hint="repeat the command") from error
                chunk = bytes(part.bytes())
                on_chunk(chunk)
                target.write(chunk)
        return info

    def pace(self) -> Pace:
        return Pace(1.0, 30.0, keen=60.0)

    def together(self, calls: Sequence[Callable[[], T]]) -> Sequence[T]:
        return run_wave(calls)

    def facts(self) -> dict[str, Any]:
        return {}

    def recall(self, facts: Mapping[str, Any]) -> None:  # noqa: B027 - most providers have nothing to recall
        """Take over what an earlier process learned."""

    def _bucket_exists(self) -> bool:
        try:
            with self._answering(self.bucket):
                next(iter(obstore.list(self._client("read"), chunk_size=1)), None)
        except (NoBucket, NotFound):
            return False
        return True

    def _put_once(self, key: str, data: bytes, mode: Any) -> str:
        try:
            with self._answering(key, AlreadyExistsError, PreconditionError):
                result = obstore.put(self._client("once"), key, data, mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError, NotFound) as error:
            if names_no_bucket(error):
                raise no_bucket(self.provider) from error
            raise Conflict(key) from None
        except Unanswered as error:
            raise Unknown(f"no clear answer to writing {key}: {error.message}", throttled=error.throttled) from error
        return self._written(key, result)

    def _put_until_answered(self, key: str, data: bytes, client: str = "once") -> str:
        """The same bytes again until the store answers: harmless without a condition."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._answering(key):
                    result = obstore.put(self._client(client), key, data, use_multipart=False)
                return self._written(key, result)
            except Unanswered as error:
                if attempt + 1 == _ATTEMPTS:
                    raise Unknown(f"no clear answer to writing {key}: {error.message}") from error
                time.sleep(pause(attempt, throttled=error.throttled))
            except Unreachable:
                if attempt + 1 == _ATTEMPTS:
                    raise
                time.sleep(pause(attempt))
        raise AssertionError("unreachable")

    def _answering(self, key: str, *passing: type[Exception]) -> AbstractContextManager[None]:
        return answering(key, self.provider, *passing)

    def _info(self, meta: ObjectMeta) -> Info:
        return Info(meta["path"], bare(meta["e_tag"]), meta["size"], meta["last_modified"].timestamp())

    def _written(self, key: str, result: PutResult) -> str:
        """The etag of what was written to `key`; empty where the store did not tell it."""
        return bare(result["e_tag"])

    def _etag_of_parts(self, key: str, sums: Sequence[bytes]) -> str:
        """What to take for the etag of an upload in parts with these MD5 sums where the store did not tell it."""
        return ""

    def _if_match(self, etag: str) -> str:
        """An etag as a read under `If-Match` wants it."""
        return quote(etag)

    def _client(self, kind: str) -> ObjectStore:
        """One client per use: `once` never repeats a request, `read` does, `bulk` has more time."""
        _refuse_after_fork()
        client = self._clients.get(kind)
        if client is None:
            timeout = BULK_TIMEOUT if kind == "bulk" else SMALL_TIMEOUT
            retries: Any = {
                "max_retries": 0 if kind == "once" else _ATTEMPTS - 1,
                "retry_timeout": timedelta(seconds=2 * timeout),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=4),
                    "base": 2,
                },
            }
            client = self._connect(retries, client_options(self.endpoint, timeout))
            self._clients[kind] = client
        return client


_used_by = 0
"""The process in which obstore was used first. Its threads do not come along when that process forks."""


def _refuse_after_fork() -> None:
    """A request in a forked child would wait for ever; say so instead."""
    global _used_by  # noqa: PLW0603 - obstore's runtime is one per process, whatever the number of stores
    _used_by = _used_by or os.getpid()
    if _used_by != os.getpid():
        raise UsageError(
            "a bucket was used before this process was forked, and cannot be used after",
            hint="start workers with multiprocessing's 'spawn', or open projects only in the children",
        )


def client_options(endpoint: str | None, timeout: float | None = None) -> ClientConfig:
    """obstore's settings for HTTP; without a timeout that of a small request."""
    timeout = SMALL_TIMEOUT if timeout is None else timeout
    return {
        "allow_http": (endpoint or "").startswith("http://"),
        "timeout": timedelta(seconds=timeout),
        "connect_timeout": timedelta(seconds=5),
    }


def _read_on(first: bytes, read: Callable[[], bytes], on_chunk: OnChunk, sums: list[bytes]) -> Iterator[bytes]:
    """A file's parts, each with its MD5 added to `sums`."""
    sums.append(md5(first))
    yield first
    while chunk := read():
        on_chunk(chunk)
        sums.append(md5(chunk))
        yield chunk


def md5(data: bytes) -> bytes:
    """S3 makes the etag of parts from the MD5 of each; nothing here is secured by it."""
    import hashlib

    return hashlib.md5(data, usedforsecurity=False).digest()


def bare(etag: str | None) -> str:
    """An etag without the quotes of HTTP; they are put back where a request needs them."""
    text = etag or ""
    return text[1:-1] if len(text) > 1 and text.startswith('"') and text.endswith('"') else text


def quote(etag: str) -> str:
    return etag if etag.startswith(("W/", '"')) else f'"{etag}"'
