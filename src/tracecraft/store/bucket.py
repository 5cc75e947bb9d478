"""A store in an S3-compatible bucket, through `obstore` (Rust object_store).

What obstore does with conditional writes was measured: with retries of its own it reports AlreadyExists for its own
write after a 5xx, and it reports a 409 as AlreadyExists though nobody may have won. So conditional puts go out once,
and what their answers mean is settled a floor higher (`records.commit`). A client used before fork() hangs in the
child, so clients are made per process.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from tracecraft.clock import Pace
from tracecraft.errors import (
    Conflict,
    Denied,
    NoBucket,
    NotFound,
    StoreError,
    Unknown,
    Unreachable,
    UnsafeStore,
    UsageError,
)
from tracecraft.store.base import Guarantees, Info, Object, OnChunk, check_prefix
from tracecraft.store.waves import pause, run_wave

if TYPE_CHECKING:
    from obstore import ObjectMeta

T = TypeVar("T")

SMALL_TIMEOUT = 10.0
"""Seconds one request of a small object may take."""
BULK_TIMEOUT = 300.0
PART = 8 << 20
"""Bytes of a file in memory and in one request while it is uploaded or downloaded."""

_ATTEMPTS = 5
_STATUS = re.compile(r"status code: (\d{3})")
_S3_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")
_FAULT = re.compile(r"kind: (Connect|Timeout|Request|Interrupted|Decode|Unknown)")


class BucketStore:
    """Objects below `prefix` in a bucket. `options` are obstore's S3 options: endpoint, region, keys."""

    remote = True

    def __init__(self, bucket: str, prefix: str = "", *, options: dict[str, Any]) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self.url = f"s3://{bucket}" + (f"/{self.prefix}" if self.prefix else "")
        self.endpoint: str | None = options.get("endpoint")
        self.guarantees: Guarantees | None = None
        self.quoted_etags: bool | None = None
        """Whether If-Match wants its etag in quotes; None until known. Ceph 16 and its kin want none."""
        self._options = options
        self._clients: dict[str, S3Store] = {}

    def get(self, key: str) -> Object:
        with _answering(key):
            result = obstore.get(self._client("read"), key)
            return Object(bytes(result.bytes()), _info(result.meta))

    def get_if_changed(self, key: str, etag: str) -> Object | None:
        try:
            with _answering(key):
                result = obstore.get(self._client("read"), key, options={"if_none_match": _quote(etag)})
                return Object(bytes(result.bytes()), _info(result.meta))
        except NotModifiedError:
            return None

    def head(self, key: str) -> Info:
        with _answering(key):
            return _info(obstore.head(self._client("read"), key))

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        if if_absent:
            return self._put_once(key, data, "create")
        if if_match is not None:
            return self._put_if_match(key, data, if_match)
        return self._put_until_answered(key, data)

    def delete(self, key: str) -> None:
        with _answering(key):
            obstore.delete(self._client("read"), key)

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Info]:
        check_prefix(prefix)
        with _answering(prefix):
            for page in obstore.list(self._client("read"), prefix.rstrip("/") or None, offset=after, chunk_size=1000):
                for meta in page:
                    # obstore drops a slash at the end of `after`.
                    if after is None or meta["path"] > after:
                        yield _info(meta)

    def upload(self, key: str, path: Path, on_chunk: OnChunk) -> str:
        with open(path, "rb") as source:
            first = source.read(PART)
            on_chunk(first)
            if len(first) < PART:
                return self._put_until_answered(key, first, client="bulk")
            sums: list[bytes] = []
            parts = _read_on(first, partial(source.read, PART), on_chunk, sums)
            with _answering(key):
                result = obstore.put(self._client("bulk"), key, parts, chunk_size=PART, max_concurrency=4)
        return _bare(result["e_tag"]) or self._etag_of_parts(key, sums)

    def _etag_of_parts(self, key: str, sums: Sequence[bytes]) -> str:
        """Ceph 16 does not tell the etag of an upload in parts. Empty where what is there may be somebody else's."""
        expected = f"{_md5(b''.join(sums)).hex()}-{len(sums)}"
        return expected if self.head(key).etag == expected else ""

    def download(self, key: str, path: Path, on_chunk: OnChunk) -> Info:
        info = self.head(key)
        match = info.etag if self.quoted_etags is False else _quote(info.etag)
        with open(path, "wb") as target, _answering(key):
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
        return {} if self.quoted_etags is None else {"quoted_etags": self.quoted_etags}

    def recall(self, facts: Mapping[str, Any]) -> None:
        quoted = facts.get("quoted_etags")
        self.quoted_etags = quoted if isinstance(quoted, bool) else None

    def make_bucket(self) -> bool:
        """Create the bucket. False when it was there already; Denied when it may not be made.

        obstore has no call for it. A bucket is made by a signed PUT of the path `/<bucket>`, which is what it sends
        for an object of that name in a store whose endpoint stands for the host alone.
        """
        if self._bucket_exists():
            return False
        region = str(self._options.get("region") or "us-east-1")
        endpoint = self.endpoint or f"https://s3.{region}.amazonaws.com"
        named = region not in ("us-east-1", "auto", "") and self.endpoint is None
        body = _LOCATION.format(region=region).encode() if named else b""
        options = {**self._options, "endpoint": endpoint, "virtual_hosted_style_request": True}
        host = S3Store(
            self.bucket, retry_config={"max_retries": 0}, **{**options, **_client_options(endpoint, SMALL_TIMEOUT)}
        )
        try:
            with _answering(self.bucket):
                obstore.put(host, self.bucket, body, use_multipart=False)
        except StoreError as error:
            # A bucket has no etag, and obstore calls an answer without one a failure.
            if not self._bucket_exists():
                raise Denied(
                    f"the bucket {self.bucket} is not there and could not be made: {error.message}",
                    hint="make the bucket yourself, or check its name and your rights",
                ) from error
        return True

    def _bucket_exists(self) -> bool:
        try:
            with _answering(self.bucket):
                next(iter(obstore.list(self._client("read"), chunk_size=1)), None)
        except (NoBucket, NotFound):
            return False
        return True

    def _put_once(self, key: str, data: bytes, mode: Any) -> str:
        try:
            with _answering(key):
                result = obstore.put(self._client("once"), key, data, mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError, NotFound) as error:
            if "NoSuchBucket" in str(error):
                raise _no_bucket() from error
            raise Conflict(key) from None
        except Unanswered as error:
            raise Unknown(f"no clear answer to writing {key}: {error.message}", throttled=error.throttled) from error
        return _bare(result["e_tag"])

    def _put_if_match(self, key: str, data: bytes, etag: str) -> str:
        """Until the quoting is known, a swap refused while the object still has that etag goes out in the other one."""
        if self.quoted_etags is not None:
            return self._put_once(key, data, {"e_tag": _quote(etag) if self.quoted_etags else etag})
        try:
            written = self._put_once(key, data, {"e_tag": _quote(etag)})
        except Conflict:
            if not self._has_etag(key, etag):
                raise
            written = self._put_once(key, data, {"e_tag": etag})
            self.quoted_etags = False
        else:
            self.quoted_etags = True
        return written

    def _has_etag(self, key: str, etag: str) -> bool:
        try:
            return self.head(key).etag == etag
        except NotFound:
            return False

    def _put_until_answered(self, key: str, data: bytes, client: str = "once") -> str:
        """The same bytes again until the store answers: harmless without a condition."""
        for attempt in range(_ATTEMPTS):
            try:
                with _answering(key):
                    return self._put_blindly(key, data, client)
            except Unanswered as error:
                if attempt + 1 == _ATTEMPTS:
                    raise Unknown(f"no clear answer to writing {key}: {error.message}") from error
                time.sleep(pause(attempt, throttled=error.throttled))
            except Unreachable:
                if attempt + 1 == _ATTEMPTS:
                    raise
                time.sleep(pause(attempt))
        raise AssertionError("unreachable")

    def _put_blindly(self, key: str, data: bytes, client: str) -> str:
        try:
            result = obstore.put(self._client(client), key, data, use_multipart=False)
        except (AlreadyExistsError, PreconditionError) as error:
            # What obstore makes of a 409 or 412, which without a condition only say that others are writing too.
            raise Unanswered("the store was busy with another write", hint="repeat the command") from error
        return _bare(result["e_tag"])

    def _client(self, kind: str) -> S3Store:
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
            options = {**self._options, **_client_options(self.endpoint, timeout)}
            client = S3Store(self.bucket, prefix=self.prefix or None, retry_config=retries, **options)
            self._clients[kind] = client
        return client


class Unanswered(Unreachable):
    """The store did not say what became of the request."""

    throttled = False


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


_LOCATION = (
    '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
)


@contextmanager
def _answering(key: str) -> Iterator[None]:
    """Turn what obstore raises into a store's answers. Precondition failures pass through."""
    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise _no_bucket() from error
        raise NotFound(key) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise _denied(key, str(error)) from error
    except BaseError as error:
        if isinstance(error, AlreadyExistsError | PreconditionError | NotModifiedError):
            raise
        raise _failure(key, str(error)) from error


def _failure(key: str, text: str) -> StoreError:
    status = _STATUS.search(text)
    code = _S3_CODE.search(text)
    fault = _FAULT.search(text)
    if code and code[1] == "NoSuchBucket":
        return _no_bucket()
    if status and status[1] == "501":
        return UnsafeStore(
            f"the store refuses this kind of write ({key}: HTTP 501)",
            hint="it does not offer conditional writes; use another store for claims, or init --best-effort",
        )
    if (status and status[1] in ("401", "403")) or (code and code[1] == "InvalidAccessKeyId"):
        return _denied(key, text)
    what = (
        f"HTTP {status[1]}"
        if status
        else {"Connect": "no connection", "Timeout": "timed out"}.get(fault[1] if fault else "", "the connection broke")
    )
    if code:
        what += f" {code[1]}"
    if fault and fault[1] == "Connect":
        return Unreachable(
            f"the store cannot be reached ({what})", hint="check the endpoint and the network: tracecraft doctor"
        )
    error = Unanswered(what, hint="the store did not answer properly; repeat the command")
    error.throttled = bool(status and status[1] in ("429", "503")) or bool(code and code[1] == "SlowDown")
    return error


def _denied(key: str, text: str) -> Denied:
    if "RequestTimeTooSkewed" in text:
        return Denied("this machine's clock is too far from the store's", hint="set the clock (NTP), then repeat")
    code = _S3_CODE.search(text)
    return Denied(
        f"the store refuses access to {key}" + (f" ({code[1]})" if code else ""),
        hint="check the access key, its rights on this bucket, and the region: tracecraft doctor",
    )


def _no_bucket() -> NoBucket:
    return NoBucket("the bucket does not exist", hint="check its name, or let `tracecraft init` make it")


def _client_options(endpoint: str | None, timeout: float) -> dict[str, Any]:
    plain = (endpoint or "").startswith("http://")
    return {
        "client_options": {
            "allow_http": plain,
            "timeout": timedelta(seconds=timeout),
            "connect_timeout": timedelta(seconds=5),
        }
    }


def _read_on(first: bytes, read: Callable[[], bytes], on_chunk: OnChunk, sums: list[bytes]) -> Iterator[bytes]:
    """A file's parts, each with its MD5 added to `sums`."""
    sums.append(_md5(first))
    yield first
    while chunk := read():
        on_chunk(chunk)
        sums.append(_md5(chunk))
        yield chunk


def _md5(data: bytes) -> bytes:
    """S3 makes the etag of parts from the MD5 of each; nothing here is secured by it."""
    import hashlib

    return hashlib.md5(data, usedforsecurity=False).digest()


def _info(meta: ObjectMeta) -> Info:
    return Info(meta["path"], _bare(meta["e_tag"]), meta["size"], meta["last_modified"].timestamp())


def _bare(etag: str | None) -> str:
    """An etag without the quotes of HTTP; they are put back where a request needs them."""
    text = etag or ""
    return text[1:-1] if len(text) > 1 and text.startswith('"') and text.endswith('"') else text


def _quote(etag: str) -> str:
    return etag if etag.startswith(("W/", '"')) else f'"{etag}"'
