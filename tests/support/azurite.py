"""What the tests ask of Azurite themselves: containers, and shared access signatures.

Signed here (Shared Key, and account SAS of version 2020-12-06), so that what is checked does not depend on the client
that is checked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
from email.utils import formatdate
from urllib.parse import quote, urlsplit

from tests.support.s3 import Endpoint, S3Error

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account and key that every Azurite has."""

_VERSION = "2020-12-06"


def blob_endpoint(endpoint: Endpoint) -> str:
    """Azurite's URL for the account."""
    return f"{endpoint.url}/{ACCOUNT}"


def make_container(endpoint: Endpoint, name: str) -> None:
    date = formatdate(usegmt=True)
    lines = ["PUT", *[""] * 11, f"x-ms-date:{date}", f"x-ms-version:{_VERSION}"]
    resource = f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    headers = {
        "x-ms-date": date,
        "x-ms-version": _VERSION,
        "Authorization": f"SharedKey {ACCOUNT}:{_signature(chr(10).join([*lines, resource]))}",
    }
    connection = http.client.HTTPConnection(urlsplit(endpoint.url).netloc, timeout=30)
    try:
        connection.request("PUT", f"/{ACCOUNT}/{name}?restype=container", headers=headers)
        answer = connection.getresponse()
        if answer.status != 201:
            raise S3Error(f"azurite did not create {name}: {answer.status} {answer.read()[:500]!r}")
    finally:
        connection.close()


def account_sas(permissions: str = "rwdlac", types: str = "sco") -> str:
    """A shared access signature of the account, for these permissions on services, containers and objects."""
    expiry = "2099-01-01T00:00:00Z"
    fields = [ACCOUNT, permissions, "b", types, "", expiry, "", "http,https", _VERSION, "", ""]
    signature = quote(_signature("\n".join(fields)), safe="")
    return f"sv={_VERSION}&ss=b&srt={types}&sp={permissions}&se={quote(expiry, safe='')}&spr=http,https&sig={signature}"


def _signature(text: str) -> str:
    return base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
