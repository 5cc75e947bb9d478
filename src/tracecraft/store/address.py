"""Where a store is, as a URL and a few settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tracecraft.errors import UsageError

_SCHEMES = "s3://bucket/prefix or file:///folder"


@dataclass(frozen=True)
class Address:
    """A store's address. The secrets in it are never shown."""

    scheme: str
    path: str = ""
    bucket: str = ""
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The address as a URL, with what is needed to find the store again but no secrets."""
        if self.scheme == "file":
            return Path(self.path).as_uri()
        query = "&".join(
            f"{key}={quote(value, safe=':/')}"
            for key, value in (("endpoint", self.endpoint), ("region", self.region))
            if value
        )
        path = f"/{quote(self.prefix)}" if self.prefix else ""
        return f"s3://{self.bucket}{path}" + (f"?{query}" if query else "")


def parse(url: str, *, endpoint: str = "", region: str = "", access_key: str = "", secret_key: str = "") -> Address:
    """The address behind `s3://bucket/prefix[?endpoint=...&region=...]`, `file:///folder` or a plain path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UsageError(f"not a store: {url!r}", hint=f"write {_SCHEMES}") from None
    if parts.scheme == "s3":
        if parts.username or parts.password:
            raise UsageError("a store URL holds no keys", hint="use --access-key and --secret-key, or the environment")
        if not parts.netloc:
            raise UsageError(f"no bucket in {url!r}", hint=f"write {_SCHEMES}")
        query = parse_qs(parts.query)
        return Address(
            "s3",
            bucket=parts.netloc,
            prefix=unquote(parts.path).strip("/"),
            endpoint=endpoint or query.get("endpoint", [""])[0],
            region=region or query.get("region", [""])[0],
            access_key=access_key,
            secret_key=secret_key,
        )
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise UsageError(f"not a folder on this machine: {url!r}", hint="write file:///absolute/path")
        return Address("file", path=unquote(parts.path))
    if parts.scheme in ("gs", "az", "hf"):
        raise UsageError(f"{parts.scheme}:// stores are not supported yet", hint=f"use {_SCHEMES}")
    if parts.scheme or not url:
        raise UsageError(f"not a store: {url!r}", hint=f"write {_SCHEMES}")
    return Address("file", path=str(Path(url).expanduser().absolute()))
