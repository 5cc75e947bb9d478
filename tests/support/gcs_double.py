"""A double of Google Cloud Storage: what obstore asks of its XML interface, answered as Google documents it.

It is no proof for Google. Made from Google's pages (https://cloud.google.com/storage/docs/xml-api/reference-headers,
https://cloud.google.com/storage/docs/request-preconditions) and from requests that obstore was seen to send: PUT, GET,
HEAD and DELETE of objects, listings of version 2, uploads in parts; and PUT of a bucket for the tests themselves. Each
request is decided whole, under one lock.

It takes any token, but wants one. `slow=True` allows each object one change a second, as Google does, and answers 429
to the others.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.s3 import Endpoint

PAGE = 1000
TOKEN = "token-of-a-test"

_XML = "<?xml version='1.0' encoding='UTF-8'?>"
_MESSAGES = {
    "NoSuchBucket": (404, "The specified bucket does not exist."),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchUpload": (404, "The requested upload was not found."),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold."),
    "InvalidArgument": (400, "Invalid argument."),
    "MissingSecurityHeader": (401, "Authentication required."),
    "SlowDown": (429, "The object exceeded the rate limit for object mutation operations."),
}


class _Refusal(Exception):
    """The argument is Google's error code."""


@dataclass(frozen=True)
class _Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Version:
    data: bytes
    generation: int
    etag: str
    at: float

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": self.etag,
            "x-goog-generation": str(self.generation),
            "x-goog-metageneration": "1",
            "Last-Modified": formatdate(self.at, usegmt=True),
        }


@dataclass
class _Bucket:
    objects: dict[str, _Version] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    """When each object was last changed, by the monotonic clock."""


class GoogleDouble:
    """The state, and how each request changes it."""

    def __init__(self, *, slow: bool) -> None:
        self._buckets: dict[str, _Bucket] = {}
        self._slow = slow
        self._lock = threading.Lock()
        self._generation = time.time_ns() // 1000

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        """One request, from start to end."""
        place = urlsplit(target)
        name, _, key = unquote(place.path).lstrip("/").partition("/")
        query = {k: v[0] for k, v in parse_qs(place.query, keep_blank_values=True).items()}
        with self._lock:
            try:
                if not headers.get("authorization", "").startswith("Bearer "):
                    raise _Refusal("MissingSecurityHeader")
                if method == "PUT" and not key:
                    self._buckets.setdefault(name, _Bucket())
                    return _Answer()
                bucket = self._buckets.get(name)
                if bucket is None:
                    raise _Refusal("NoSuchBucket")
                if not key:
                    return _listing(name, bucket, query)
                return self._object(bucket, method, key, query, headers, body)
            except _Refusal as refusal:
                code = str(refusal)
                status, message = _MESSAGES[code]
                text = f"{_XML}<Error><Code>{code}</Code><Message>{message}</Message></Error>"
                return _Answer(status, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"})

    def _object(
        self, bucket: _Bucket, method: str, key: str, query: dict[str, str], headers: Mapping[str, str], body: bytes
    ) -> _Answer:
        if "uploads" in query or "uploadId" in query:
            return self._in_parts(bucket, method, key, query, body)
        match method:
            case "GET" | "HEAD":
                return _read(bucket, key, headers)
            case "PUT":
                _check_generation(bucket, key, headers)
                written = self._write(bucket, key, body, f'"{_md5(body)}"')
                return _Answer(headers=written.headers)
            case "DELETE":
                if bucket.objects.pop(key, None) is None:
                    raise _Refusal("NoSuchKey")
                return _Answer(204)
        raise _Refusal("InvalidArgument")

    def _in_parts(self, bucket: _Bucket, method: str, key: str, query: dict[str, str], body: bytes) -> _Answer:
        """https://cloud.google.com/storage/docs/multipart-uploads"""
        if "uploads" in query:
            name = f"upload-{len(bucket.uploads)}"
            bucket.uploads[name] = {}
            return _Answer(body=f"{_XML}<InitiateMultipartUploadResult><Key>{escape(key)}</Key>"
                           f"<UploadId>{name}</UploadId></InitiateMultipartUploadResult>".encode())  # fmt: skip
        parts = bucket.uploads.get(query["uploadId"])
        if parts is None:
            raise _Refusal("NoSuchUpload")
        if method == "PUT":
            parts[int(query["partNumber"])] = body
            return _Answer(headers={"ETag": f'"{_md5(body)}"'})
        del bucket.uploads[query["uploadId"]]
        if method == "DELETE":
            return _Answer(204)
        # An object that was put together has no MD5: its etag begins with a dash.
        etag = f'"-{base64.b64encode(str(self._generation).encode()).decode()}"'
        written = self._write(bucket, key, b"".join(parts[number] for number in sorted(parts)), etag)
        text = f"<CompleteMultipartUploadResult><Key>{escape(key)}</Key><ETag>{escape(written.etag)}</ETag>"
        return _Answer(body=f"{_XML}{text}</CompleteMultipartUploadResult>".encode(), headers=written.headers)

    def _write(self, bucket: _Bucket, key: str, data: bytes, etag: str) -> _Version:
        now = time.monotonic()
        if self._slow and now - bucket.changed.get(key, -1.0) < 1.0:
            raise _Refusal("SlowDown")
        bucket.changed[key] = now
        self._generation = max(self._generation + 1, time.time_ns() // 1000)
        bucket.objects[key] = version = _Version(data, self._generation, etag, time.time())
        return version


def _check_generation(bucket: _Bucket, key: str, headers: Mapping[str, str]) -> None:
    """0 stands for no object at all. `If-Match` and `If-None-Match` mean nothing to a write at Google."""
    wanted = headers.get("x-goog-if-generation-match")
    if wanted is None:
        return
    if not wanted.isdigit():
        raise _Refusal("InvalidArgument")
    there = bucket.objects.get(key)
    if int(wanted) != (there.generation if there else 0):
        raise _Refusal("PreconditionFailed")


def _read(bucket: _Bucket, key: str, headers: Mapping[str, str]) -> _Answer:
    there = bucket.objects.get(key)
    if there is None:
        raise _Refusal("NoSuchKey")
    if headers.get("if-match", there.etag) != there.etag:
        raise _Refusal("PreconditionFailed")
    if headers.get("if-none-match") == there.etag:
        return _Answer(304, headers=there.headers)
    if "range" not in headers:
        return _Answer(200, there.data, there.headers)
    first, _, last = headers["range"].removeprefix("bytes=").partition("-")
    part = there.data[int(first) : int(last) + 1]
    span = f"bytes {first}-{int(first) + len(part) - 1}/{len(there.data)}"
    return _Answer(206, part, {**there.headers, "Content-Range": span})


def _listing(name: str, bucket: _Bucket, query: dict[str, str]) -> _Answer:
    """https://cloud.google.com/storage/docs/xml-api/get-bucket-list"""
    prefix = query.get("prefix", "")
    after = max(query.get("start-after", ""), query.get("continuation-token", ""))
    keys = sorted(key for key in bucket.objects if key.startswith(prefix) and key > after)
    page = keys[:PAGE]
    more = len(keys) > PAGE
    told = "".join(_contents(key, bucket.objects[key]) for key in page)
    token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
    text = (
        f"{_XML}<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>{name}</Name>"
        f"<Prefix>{escape(prefix)}</Prefix><IsTruncated>{str(more).lower()}</IsTruncated>{token}{told}</ListBucketResult>"
    )
    return _Answer(200, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"})


def _contents(key: str, there: _Version) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(there.at)) + f".{int(there.at % 1 * 1000):03d}Z"
    return (
        f"<Contents><Key>{escape(key)}</Key><Generation>{there.generation}</Generation>"
        f"<MetaGeneration>1</MetaGeneration><LastModified>{stamp}</LastModified>"
        f"<ETag>{escape(there.etag)}</ETag><Size>{len(there.data)}</Size></Contents>"
    )


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """An answer goes out in one piece."""
    double: GoogleDouble

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.double.answer(self.command, self.path, headers, body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


@contextmanager
def google_double(*, slow: bool = False) -> Iterator[Endpoint]:
    """A double on a free port of 127.0.0.1, in threads of this process."""
    handler = type("Handler", (_Handler,), {"double": GoogleDouble(slow=slow)})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="google double", daemon=True)
        thread.start()
        try:
            yield Endpoint("google_double", f"http://127.0.0.1:{server.server_port}", "", TOKEN)
        finally:
            server.shutdown()
            thread.join(10)
