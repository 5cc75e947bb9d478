"""Account, endpoint and credentials for a container of Azure Blob Storage, from where Azure's tools keep them.

obstore itself reads the variables of service principals, workload identities and managed identities, and asks the
machine's managed identity when nothing else is found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracecraft.errors import UsageError
from tracecraft.store.address import Address, check_endpoint

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_SUFFIX = re.compile(r"[a-z0-9.-]+")
_CREDENTIALS = {
    "account_key": ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY"),
    "sas_key": ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"),
    "token": ("AZURE_STORAGE_TOKEN",),
}
_OF_OBSTORE = (
    "AZURE_STORAGE_CLIENT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_MSI_ENDPOINT",
    "AZURE_IDENTITY_ENDPOINT",
    "IDENTITY_ENDPOINT",
    "MSI_ENDPOINT",
    "AZURE_CREDENTIAL_TYPE",
)
"""Variables that say what is left to obstore, which reads them itself."""

_AZURITE = {
    "AccountName": "devstoreaccount1",
    # The same for everybody, and published with Azurite: it opens nothing else.
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
}
"""What `UseDevelopmentStorage=true` stands for."""


def options(address: Address, environ: Mapping[str, str]) -> dict[str, Any]:
    """obstore's Azure options for an address. Raises UsageError when no account is named, or settings contradict."""
    parts = _connection_string(environ.get("AZURE_STORAGE_CONNECTION_STRING", ""))
    account = (
        address.account
        or environ.get("AZURE_STORAGE_ACCOUNT_NAME")
        or environ.get("AZURE_STORAGE_ACCOUNT")
        or parts.get("AccountName", "")
    )
    if not account:
        raise UsageError(
            "no Azure storage account is named",
            hint="set AZURE_STORAGE_ACCOUNT_NAME or AZURE_STORAGE_CONNECTION_STRING, or write az://container?account=",
        )
    if not _ACCOUNT.fullmatch(account):
        raise UsageError(f"not a storage account: {account!r}", hint="3 to 24 lower case letters and digits")
    credentials = _first_set(environ)
    if not credentials and parts:
        if parts.get("AccountName", account) != account:
            raise UsageError(
                f"AZURE_STORAGE_CONNECTION_STRING is for the account {parts['AccountName']}, the store is in {account}",
                hint="set the connection string of the store's account",
            )
        credentials = _of_connection_string(parts)
    if not credentials and not any(environ.get(name) for name in _OF_OBSTORE):
        credentials = {"use_azure_cli": True} if _has_cli(environ) else {"credential_type": "managed_identity"}
    return {"account_name": account, "endpoint": _endpoint(address, environ, parts, account), **credentials}


def _endpoint(address: Address, environ: Mapping[str, str], parts: Mapping[str, str], account: str) -> str:
    named = (
        address.endpoint
        or environ.get("AZURE_STORAGE_ENDPOINT")
        or (parts.get("BlobEndpoint", "") if parts.get("AccountName", account) == account else "")
    )
    if named:
        return check_endpoint(named)
    suffix = parts.get("EndpointSuffix", "core.windows.net")
    if not _SUFFIX.fullmatch(suffix):
        raise UsageError("AZURE_STORAGE_CONNECTION_STRING has a strange EndpointSuffix", hint="mend it")
    return f"https://{account}.blob.{suffix}"


def _first_set(environ: Mapping[str, str]) -> dict[str, Any]:
    for option, variables in _CREDENTIALS.items():
        for variable in variables:
            if value := environ.get(variable):
                return {option: value}
    return {}


def _of_connection_string(parts: Mapping[str, str]) -> dict[str, Any]:
    if "AccountKey" in parts:
        return {"account_key": parts["AccountKey"]}
    return {"sas_key": parts["SharedAccessSignature"]} if "SharedAccessSignature" in parts else {}


def _connection_string(text: str) -> Mapping[str, str]:
    """The fields of `Name=value;Name=value`; a value may have `=` in it."""
    if not text:
        return {}
    fields = [field.partition("=") for field in text.strip().strip(";").split(";")]
    if not all(name and value for name, _, value in fields):
        raise UsageError(
            "AZURE_STORAGE_CONNECTION_STRING is not a connection string", hint="copy it whole from the Azure portal"
        )
    parts = {name.strip(): value.strip() for name, _, value in fields}
    return _AZURITE if parts.get("UseDevelopmentStorage", "").lower() == "true" else parts


def _has_cli(environ: Mapping[str, str]) -> bool:
    folders = environ.get("PATH", "").split(os.pathsep)
    return any(os.access(Path(folder, "az"), os.X_OK) for folder in folders if folder)
