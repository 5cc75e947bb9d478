"""A plain S3 client for the tests, so that what they check does not depend on the client they check.

An `Endpoint` says where a server is and how to sign for it; `send` does one signed (SigV4) request on a connection of
its own and returns whatever the server answered.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

_NO_CONSTRAINT = ("", "auto", "us-east-1")


@dataclass(frozen=True)
class Endpoint:
    """An S3 server. `atomic` says whether it decides conditional writes correctly when they race."""

    name: str
    url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    atomic: bool = True

    def at(self, url: str) -> Endpoint:
        """The same server reached through another address, such as a proxy's."""
        return replace(self, url=url)


@dataclass(frozen=True)
class Answer:
    """What a server answered; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class S3Error(Exception):
    """The server answered something else than was asked for."""


def send(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> Answer:
    """One request for `/<bucket>/<key>`. Raises OSError or http.client.HTTPException when there is no answer."""
    place = urlsplit(endpoint.url)
    connection_type = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    target, signed = sign(endpoint, method, path, body, query or {}, datetime.now(UTC))
    connection = connection_type(place.netloc, timeout=timeout)
    try:
        connection.request(method, target, body, {**signed, **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def sign(
    endpoint: Endpoint, method: str, path: str, body: bytes, query: Mapping[str, str], now: datetime
) -> tuple[str, dict[str, str]]:
    """The request target, and the headers that sign it (AWS Signature Version 4)."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{endpoint.region}/s3/aws4_request"
    digest = hashlib.sha256(body).hexdigest()
    signed = {"host": urlsplit(endpoint.url).netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(signed)

    target = quote(path, safe="/-_.~")
    arguments = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted(query.items()))
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    canonical = "\n".join([method, target, arguments, lines, names, digest])

    key = f"AWS4{endpoint.secret_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = _hmac(key, text).hex()

    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={endpoint.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return (f"{target}?{arguments}" if arguments else target), signed


def make_bucket(endpoint: Endpoint, name: str) -> None:
    """Create a bucket; one that this endpoint's key owns already is fine."""
    body = b""
    if endpoint.region not in _NO_CONSTRAINT:
        constraint = f"<LocationConstraint>{endpoint.region}</LocationConstraint>"
        body = f"<CreateBucketConfiguration>{constraint}</CreateBucketConfiguration>".encode()
    answer = send(endpoint, "PUT", f"/{name}", body)
    if answer.status != 200 and b"BucketAlreadyOwnedByYou" not in answer.body:
        text = answer.body[:500].decode(errors="replace")
        raise S3Error(f"{endpoint.name} did not create bucket {name}: {answer.status} {text}")


def remove_bucket(endpoint: Endpoint, name: str) -> None:
    """Delete a bucket and what is in it: a thousand objects a round, a hundred rounds at most."""
    for _ in range(100):
        listing = send(endpoint, "GET", f"/{name}", query={"list-type": "2"}).body.decode()
        keys = [html.unescape(key) for key in re.findall("<Key>(.*?)</Key>", listing)]
        if not keys:
            break
        for key in keys:
            send(endpoint, "DELETE", f"/{name}/{key}")
    answer = send(endpoint, "DELETE", f"/{name}")
    if answer.status != 204:
        raise S3Error(f"{endpoint.name} did not delete bucket {name}: {answer.status}")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
