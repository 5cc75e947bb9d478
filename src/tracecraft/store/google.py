"""Endpoint and credentials for a bucket of Google Cloud Storage, from where Google's tools keep them.

obstore itself asks the metadata server of a Google machine when nothing is found here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracecraft.errors import UsageError
from tracecraft.store.address import Address, check_endpoint


def options(address: Address, environ: Mapping[str, str]) -> dict[str, Any]:
    """obstore's GCS options for an address. Raises UsageError when a key file that is named cannot be read."""
    found = _credentials(environ)
    if address.endpoint:
        found["base_url"] = check_endpoint(address.endpoint)
    return found


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """The first of: a token, a service account's key, the file that is named, the one that gcloud leaves."""
    if token := environ.get("GOOGLE_BEARER_TOKEN"):
        return {"bearer_token": token}
    if key := environ.get("GOOGLE_SERVICE_ACCOUNT_KEY"):
        return {"service_account_key": key}
    for variable, option in (
        ("GOOGLE_SERVICE_ACCOUNT", "service_account"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "application_credentials"),
    ):
        if path := environ.get(variable):
            if not Path(path).is_file():
                raise UsageError(f"{variable} names no file: {path}", hint="name the key file of a service account")
            return {option: path}
    folder = environ.get("CLOUDSDK_CONFIG") or Path(environ.get("HOME") or Path.home(), ".config", "gcloud")
    left = Path(folder, "application_default_credentials.json")
    return {"application_credentials": str(left)} if left.is_file() else {}
