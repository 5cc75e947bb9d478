"""Buckets and containers on any of the test servers: made for a test, and named as tracecraft wants them named."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from tests.support import azurite
from tests.support.s3 import Endpoint, S3Error, make_bucket

CLOUDS = ("azurite", "google_double")
"""Servers that do not speak S3."""


def make_place(endpoint: Endpoint, name: str) -> None:
    """Create a bucket or container, by other means than the store that is checked."""
    match endpoint.name:
        case "azurite":
            azurite.make_container(endpoint, name)
        case "google_double":
            _make_google_bucket(endpoint, name)
        case _:
            make_bucket(endpoint, name)


def store_url(endpoint: Endpoint, name: str, prefix: str) -> str:
    """A store in a bucket or container."""
    match endpoint.name:
        case "azurite":
            return f"az://{name}/{prefix}?account={azurite.ACCOUNT}&endpoint={azurite.blob_endpoint(endpoint)}"
        case "google_double":
            return f"gs://{name}/{prefix}?endpoint={endpoint.url}"
    return f"s3://{name}/{prefix}?endpoint={endpoint.url}&region={endpoint.region}"


def credentials(endpoint: Endpoint) -> dict[str, str]:
    """The environment that opens it."""
    match endpoint.name:
        case "azurite":
            return {"AZURE_STORAGE_ACCOUNT_KEY": endpoint.secret_key}
        case "google_double":
            return {"GOOGLE_BEARER_TOKEN": endpoint.secret_key}
    return {"AWS_ACCESS_KEY_ID": endpoint.access_key, "AWS_SECRET_ACCESS_KEY": endpoint.secret_key}


def _make_google_bucket(endpoint: Endpoint, name: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(endpoint.url).netloc, timeout=30)
    try:
        connection.request("PUT", f"/{name}", headers={"Authorization": f"Bearer {endpoint.secret_key}"})
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 200:
        raise S3Error(f"the double did not create {name}: {status}")
