"""Where a store is, as a URL and a few settings."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

import msgspec

from tracecraft.errors import UsageError

_SCHEMES = "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder"
_SETTINGS = {"s3": ("endpoint", "region"), "gs": ("endpoint",), "az": ("account", "endpoint")}
"""What the query of a URL may say, by scheme."""

_NAMES = {
    "gs": r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]",
    "az": r"\$root|[a-z0-9](-?[a-z0-9]){2,62}",
}
"""Buckets and containers as Google and Azure allow them. S3 servers do not agree on theirs."""


class Address(msgspec.Struct, frozen=True):
    """A store's address. The secrets in it are never shown."""

    scheme: str
    path: str = ""
    bucket: str = ""
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    account: str = ""
    access_key: str = ""
    secret_key: str = ""

    def __repr__(self) -> str:
        return f"Address({self.url!r})"

    def __post_init__(self) -> None:
        """Google and Azure have no regions, and their keys are kept where their own tools keep them."""
        if self.scheme in ("gs", "az") and (self.region or self.access_key or self.secret_key):
            raise UsageError(
                f"a {self.scheme}:// store takes no region and no access key",
                hint="its credentials come from the environment or its provider's tools: docs/configuration.md",
            )

    @property
    def url(self) -> str:
        """The address as a URL, with what is needed to find the store again but no secrets."""
        if self.scheme == "file":
            return Path(self.path).as_uri()
        query = "&".join(
            f"{key}={quote(getattr(self, key), safe=':/')}" for key in _SETTINGS[self.scheme] if getattr(self, key)
        )
        path = f"/{quote(self.prefix)}" if self.prefix else ""
        return f"{self.scheme}://{self.bucket}{path}" + (f"?{query}" if query else "")


def parse(url: str, *, endpoint: str = "", region: str = "", access_key: str = "", secret_key: str = "") -> Address:
    """The address behind `s3://`, `gs://` or `az://` with a bucket and prefix, `file:///folder`, or a plain path.

    The query may hold `endpoint`, `region` (s3) and `account` (az).
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UsageError(f"not a store: {url!r}", hint=f"write {_SCHEMES}") from None
    if parts.scheme in _SETTINGS:
        said = _settings(parts)
        return Address(
            parts.scheme,
            bucket=_bucket(parts, url),
            prefix=unquote(parts.path).strip("/"),
            endpoint=endpoint or said.get("endpoint", ""),
            region=region or said.get("region", ""),
            account=said.get("account", ""),
            access_key=access_key,
            secret_key=secret_key,
        )
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise UsageError(f"not a folder on this machine: {url!r}", hint="write file:///absolute/path")
        return Address("file", path=unquote(parts.path))
    if parts.scheme == "hf":
        raise UsageError("hf:// stores are not supported yet", hint=f"use {_SCHEMES}")
    if parts.scheme or not url:
        raise UsageError(f"not a store: {url!r}", hint=f"write {_SCHEMES}")
    return Address("file", path=str(Path(url).expanduser().absolute()))


def check_endpoint(endpoint: str) -> str:
    """The endpoint without a slash at its end. Raises UsageError when it is none, or holds more than a place."""
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError("an endpoint holds no keys and no query", hint="write http://host:port or https://host")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"not an endpoint: {endpoint!r}", hint="write http://host:port or https://host")
    return endpoint.rstrip("/")


def _bucket(parts: SplitResult, url: str) -> str:
    if parts.username or parts.password:
        raise UsageError("a store URL holds no keys", hint="use --access-key and --secret-key, or the environment")
    if not parts.netloc:
        raise UsageError(f"no bucket in {url!r}", hint=f"write {_SCHEMES}")
    if parts.scheme in _NAMES and not re.fullmatch(_NAMES[parts.scheme], parts.netloc):
        raise UsageError(
            f"{parts.netloc!r} cannot be the name of a bucket or container here",
            hint="3 to 63 lower case letters, digits and dashes",
        )
    return parts.netloc


def _settings(parts: SplitResult) -> dict[str, str]:
    """What the query says. Google's and Azure's may say nothing else: signatures are passed around in queries."""
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    known = _SETTINGS[parts.scheme]
    strange = sorted(set(query) - set(known))
    if strange and parts.scheme != "s3":
        raise UsageError(
            f"a {parts.scheme}:// URL says only {' and '.join(known)}, not {', '.join(strange)}",
            hint="it holds no keys and no signatures; those come from the environment",
        )
    return query
