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
from copy import copy
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, NotModifiedError, PreconditionError

from tracecraft import clock
from tracecraft.clock import Pace
from tracecraft.errors import Conflict, Denied, NoBucket, NotFound, Unknown, Unreachable, UsageError
from tracecraft.store.answers import Provider, Unanswered, answering, names_no_bucket, no_bucket
from tracecraft.store.base import Guarantees, Info, Object, OnChunk, check_prefix
from tracecraft.store.waves import pause, run_wave

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta, PutResult
    from obstore.store import ClientConfig, ObjectStore

T = TypeVar("T")

SMALL_TIMEOUT = 10.0
"""Seconds one request of a small object may take."""
BULK_TIMEOUT = 300.0
PART = 8 << 20
"""Bytes of a file in memory and in one request while it is uploaded or downloaded."""

_NO_SECRETS = ("endpoint", "base_url", "region", "account_name", "virtual_hosted_style_request")
"""The options that say where a bucket is, and nothing of who asks."""
_ATTEMPTS = 5
_PATIENCE = 20.0
"""Seconds after which nothing is attempted anew."""


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
        return self._until_answered(key, lambda: self._read(key, {}))

    def get_if_changed(self, key: str, etag: str) -> Object | None:
        try:
            return self._until_answered(key, lambda: self._read(key, {"if_none_match": quote(etag)}), NotModifiedError)
        except NotModifiedError:
            return None

    def head(self, key: str) -> Info:
        return self._until_answered(key, lambda: self._info(obstore.head(self._small(), key)))

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        if if_absent:
            return self._put_once(key, data, "create")
        if if_match is not None:
            return self._put_if_match(key, data, if_match)
        return self._put_until_answered(key, data, self._small())

    def delete(self, key: str) -> None:
        with suppress(NotFound):
            self._until_answered(key, lambda: obstore.delete(self._small(), key))

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Info]:
        check_prefix(prefix)
        pages = _Pages(partial(self._list, prefix), after)
        while page := self._until_answered(prefix, pages.next):
            for meta in page:
                # obstore drops a slash at the end of `after`.
                if after is None or meta["path"] > after:
                    yield self._info(meta)

    def upload(self, key: str, path: Path, on_chunk: OnChunk) -> str:
        with open(path, "rb") as source:
            first = source.read(PART)
            on_chunk(first)
            if len(first) < PART:
                return self._put_until_answered(key, first, self._bulk())
            sums: list[bytes] = []
            parts = _read_on(first, partial(source.read, PART), on_chunk, sums)
            with self._answering(key):
                result = obstore.put(self._bulk(), key, parts, chunk_size=PART, max_concurrency=4)
        return self._written(key, result) or self._etag_of_parts(key, sums)

    def download(self, key: str, path: Path, on_chunk: OnChunk) -> Info:
        info = self.head(key)
        match = self._if_match(info.etag)
        with open(path, "wb") as target, self._answering(key, PreconditionError):
            for start in range(0, info.size, PART):
                stop = min(start + PART, info.size)
                try:
                    part = obstore.get(self._bulk(), key, options={"range": (start, stop), "if_match": match})
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

    def exposed(self, key: str) -> str:
        """Asks without credentials for the object and for a listing."""
        stranger = copy(self)
        stranger._clients = {}
        stranger._options = {name: value for name, value in self._options.items() if name in _NO_SECRETS}
        stranger._options["skip_signature"] = True
        asked: Mapping[str, Callable[[], object]] = {
            "list": lambda: next(stranger.list(""), None),
            "read": lambda: stranger.get(key),
        }
        allowed = [what for what, ask in asked.items() if _is_allowed(ask)]
        return f"anybody can {' and '.join(allowed)} {self.url} without credentials" if allowed else ""

    def facts(self) -> dict[str, Any]:
        return {}

    def recall(self, facts: Mapping[str, Any]) -> None:  # noqa: B027 - most providers have nothing to recall
        """Take over what an earlier process learned."""

    def _bucket_exists(self) -> bool:
        try:
            self._until_answered(self.bucket, lambda: next(obstore.list(self._small(), chunk_size=1), None))
        except (NoBucket, NotFound):
            return False
        return True

    def _put_once(self, key: str, data: bytes, mode: Any) -> str:
        try:
            with self._answering(key, AlreadyExistsError, PreconditionError):
                result = obstore.put(self._small(), key, data, mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError, NotFound) as error:
            if names_no_bucket(error):
                raise no_bucket(self.provider) from error
            raise Conflict(key) from None
        except Unanswered as error:
            raise Unknown(f"no clear answer to writing {key}: {error.message}", throttled=error.throttled) from error
        return self._written(key, result)

    def _put_until_answered(self, key: str, data: bytes, client: ObjectStore) -> str:
        put = partial(obstore.put, client, key, data, use_multipart=False)
        try:
            return self._written(key, self._until_answered(key, put))
        except Unanswered as error:
            raise Unknown(f"no clear answer to writing {key}: {error.message}") from error

    def _until_answered(self, key: str, request: Callable[[], T], *passing: type[Exception]) -> T:
        """What a request brings that may be sent again until the store answers: a read, or a write without a
        condition."""
        patience = clock.Deadline(_PATIENCE)
        for attempt in range(_ATTEMPTS):
            try:
                with self._answering(key, *passing):
                    return request()
            except Unreachable as error:
                if attempt + 1 == _ATTEMPTS or patience.passed:
                    raise
                time.sleep(pause(attempt, throttled=isinstance(error, Unanswered) and error.throttled))
        raise AssertionError("unreachable")

    def _read(self, key: str, options: GetOptions) -> Object:
        result = obstore.get(self._small(), key, options=options)
        return Object(bytes(result.bytes()), self._info(result.meta))

    def _list(self, prefix: str, after: str | None) -> Iterator[Sequence[ObjectMeta]]:
        return obstore.list(self._small(), prefix.rstrip("/") or None, offset=after, chunk_size=1000)

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

    def _small(self) -> ObjectStore:
        """The client for small requests, which are repeated by this class if at all."""
        return self._client("small", SMALL_TIMEOUT, retries=0)

    def _bulk(self) -> ObjectStore:
        """The client for the parts of files, which repeats them itself."""
        return self._client("bulk", BULK_TIMEOUT, retries=_ATTEMPTS - 1)

    def _client(self, kind: str, timeout: float, retries: int) -> ObjectStore:
        """Made at its first use: making one takes longer than a request on a good network."""
        _refuse_after_fork()
        client = self._clients.get(kind)
        if client is None:
            settings = {"max_retries": retries, "retry_timeout": timedelta(seconds=2 * timeout)}
            client = self._clients[kind] = self._connect(settings, client_options(self.endpoint, timeout))
        return client


class _Pages:
    """The pages of a listing. One that breaks off is taken up again behind the last key that arrived."""

    def __init__(self, begin: Callable[[str | None], Iterator[Sequence[ObjectMeta]]], after: str | None) -> None:
        self._begin = begin
        self._after = after
        self._under_way: Iterator[Sequence[ObjectMeta]] | None = None

    def next(self) -> Sequence[ObjectMeta] | None:
        """The next page; None behind the last."""
        pages, self._under_way = self._under_way or self._begin(self._after), None
        page = next(pages, None)
        if page:
            self._under_way, self._after = pages, page[-1]["path"]
        return page


_used_by = 0
"""The process in which obstore was used first. Its threads do not come along when that process forks."""


def _is_allowed(ask: Callable[[], object]) -> bool:
    """Whether a request is let in. Raises Unreachable when nobody answers."""
    try:
        ask()
    except (Denied, NotFound):
        return False
    return True


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
