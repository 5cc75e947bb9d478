"""Azure Blob Storage, on Azurite: containers, the ways to be let in, and what must never be told."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.store.test_bucket import every_use
from tests.support.azurite import ACCOUNT, KEY, account_sas, blob_endpoint, make_container
from tests.support.processes import free_port
from tests.support.proxy import Answer, Match, Proxy
from tests.support.s3 import Endpoint
from tracecraft.errors import Conflict, Denied, NoBucket, NotFound, StoreError, UsageError
from tracecraft.store import metadata
from tracecraft.store.address import parse
from tracecraft.store.azure_account import options
from tracecraft.store.bucket import BucketStore
from tracecraft.store.opening import open_store


@pytest.fixture
def name(azurite_endpoint: Endpoint) -> str:
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_container(azurite_endpoint, name)
    return name


def opened(endpoint: Endpoint, name: str, **environ: str) -> BucketStore:
    """A store in a container, with nothing but these variables to be let in by."""
    address = parse(f"az://{name}/p?account={ACCOUNT}&endpoint={blob_endpoint(endpoint)}")
    store = open_store(address, environ)
    assert isinstance(store, BucketStore)
    return store


# Containers


@pytest.mark.parametrize("way", ["key", "signature"])
def test_a_container_is_made(azurite_endpoint: Endpoint, way: str) -> None:
    name = f"made-{uuid.uuid4().hex[:8]}"
    secret = {"AZURE_STORAGE_ACCOUNT_KEY": KEY} if way == "key" else {"AZURE_STORAGE_SAS_TOKEN": account_sas()}
    store = opened(azurite_endpoint, name, **secret)
    with pytest.raises(NoBucket, match="container does not exist"):
        store.get("a")
    assert store.make_bucket() is True
    assert store.make_bucket() is False
    assert list(store.list("")) == []
    store.put("a/b", b"1")
    assert [info.key for info in store.list("")] == ["a/b"]


def test_a_container_that_may_not_be_made(azurite_endpoint: Endpoint) -> None:
    name = f"made-{uuid.uuid4().hex[:8]}"
    sas = account_sas(permissions="rl")
    with pytest.raises(Denied) as told:
        opened(azurite_endpoint, name, AZURE_STORAGE_SAS_TOKEN=sas).make_bucket()
    assert f"az storage container create --name {name} --account-name {ACCOUNT}" in told.value.hint


def test_a_container_that_another_one_makes_first(azurite_endpoint: Endpoint) -> None:
    name = f"made-{uuid.uuid4().hex[:8]}"
    with Proxy(azurite_endpoint.url) as proxy:
        store = opened(azurite_endpoint.at(proxy.url), name, AZURE_STORAGE_ACCOUNT_KEY=KEY)
        proxy.on_request(1, lambda: make_container(azurite_endpoint, name), Match("PUT"), at="forwarded")
        assert store.make_bucket() is True
        store.put("a", b"1", if_absent=True)


# Who is let in


@pytest.mark.parametrize(
    "environ",
    [
        {"AZURE_STORAGE_ACCOUNT_KEY": KEY},
        {"AZURE_STORAGE_ACCESS_KEY": KEY},
        {"AZURE_STORAGE_SAS_TOKEN": account_sas()},
        {"AZURE_STORAGE_SAS_TOKEN": "?" + account_sas()},
        {"AZURE_STORAGE_CONNECTION_STRING": f"AccountName={ACCOUNT};AccountKey={KEY}"},
        {"AZURE_STORAGE_CONNECTION_STRING": f"AccountName={ACCOUNT};SharedAccessSignature={account_sas()}"},
        {"AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"},
    ],
    ids=["key", "access key", "SAS", "SAS with its ?", "string with key", "string with SAS", "development"],
)
def test_ways_in(azurite_endpoint: Endpoint, name: str, environ: dict[str, str]) -> None:
    store = opened(azurite_endpoint, name, **environ)
    etag = store.put("a", b"1", if_absent=True)
    etag = store.put("a", b"2", if_match=etag)
    assert [(info.key, info.etag) for info in store.list("")] == [("a", etag)]
    if not any("sig=" in secret for secret in environ.values()):  # Azurite cannot delete for a signature: HTTP 500
        store.delete("a")
        assert list(store.list("")) == []


def test_the_whole_store_from_a_connection_string(azurite_endpoint: Endpoint, name: str) -> None:
    string = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={blob_endpoint(azurite_endpoint)};"
    store = open_store(parse(f"az://{name}"), {"AZURE_STORAGE_CONNECTION_STRING": string})
    store.put("a", b"1")
    assert store.url == f"az://{name}"


def test_the_azure_cli_is_asked_when_nothing_else_is_there(
    azurite_endpoint: Endpoint, name: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "az"
    program.write_text(
        "#!/bin/sh\n"
        """echo '{"accessToken": "HIDDEN-TOKEN", "expiresOn": "2099-01-01 00:00:00.000000", "tokenType": "Bearer"}'\n"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with Proxy(azurite_endpoint.url) as proxy:
        store = opened(azurite_endpoint.at(proxy.url), name, PATH=str(tmp_path))
        with pytest.raises(Denied) as told:  # Azurite knows no such token
            store.get("a")
        assert {request.headers["authorization"] for request in proxy.requests} == {"Bearer HIDDEN-TOKEN"}
    assert "HIDDEN" not in f"{told.value.message}{told.value.hint}"
    program.write_text("#!/bin/sh\necho 'Please run az login' >&2\nexit 1\n")
    with pytest.raises(Denied, match="no credentials") as told:
        opened(azurite_endpoint, name, PATH=str(tmp_path)).get("a")
    assert "az login" in told.value.hint


def test_nobody_gives_a_token(
    azurite_endpoint: Endpoint, name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_MSI_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    store = opened(azurite_endpoint, name, AZURE_MSI_ENDPOINT="set")
    for use in (lambda: store.get("a"), lambda: store.put("a", b"1", if_absent=True)):
        with pytest.raises(Denied, match="no credentials") as told:
            use()
        assert "AZURE_STORAGE_ACCOUNT_KEY" in told.value.hint


@pytest.mark.parametrize("secret", [{"AZURE_STORAGE_ACCOUNT_KEY": "not base64"}, {"AZURE_STORAGE_SAS_TOKEN": "%%%"}])
def test_secrets_that_are_none(azurite_endpoint: Endpoint, name: str, secret: dict[str, str]) -> None:
    with pytest.raises(Denied, match="credentials cannot be used"):
        opened(azurite_endpoint, name, **secret).get("a")


def test_a_machine_that_has_no_metadata_is_told_at_once() -> None:
    """Where nobody listens, and where somebody listens who never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (free_port(), silent.getsockname()[1]):
            with pytest.raises(Denied, match="no credentials") as told:
                metadata.require(f"127.0.0.1:{port}", "set something")
            assert told.value.hint == "set something"


# What is settled before any request


def test_what_is_left_to_the_machine() -> None:
    address = parse("az://container?account=one")
    assert options(address, {})["credential_type"] == "managed_identity"
    for variable in ("AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT"):
        assert set(options(address, {variable: "set"})) == {"account_name", "endpoint"}


def test_account_and_endpoint() -> None:
    key = {"AZURE_STORAGE_ACCOUNT_KEY": "k"}
    assert options(parse("az://container?account=one"), key) == {
        "account_name": "one",
        "account_key": "k",
        "endpoint": "https://one.blob.core.windows.net",
    }
    named = options(parse("az://container"), {**key, "AZURE_STORAGE_ACCOUNT_NAME": "two"})
    assert named["endpoint"] == "https://two.blob.core.windows.net"
    string = "DefaultEndpointsProtocol=https;AccountName=three;AccountKey=a2V5PT0=;EndpointSuffix=core.windows.cn"
    assert options(parse("az://container"), {"AZURE_STORAGE_CONNECTION_STRING": string}) == {
        "account_name": "three",
        "account_key": "a2V5PT0=",
        "endpoint": "https://three.blob.core.windows.cn",
    }
    at = options(parse("az://container?account=one&endpoint=http://h:1/one/"), key)
    assert at["endpoint"] == "http://h:1/one"


@pytest.mark.parametrize(
    ("url", "environ", "message"),
    [
        ("az://container", {}, "no Azure storage account"),
        ("az://container?account=evil.com%2F", {}, "not a storage account"),
        ("az://container", {"AZURE_STORAGE_ACCOUNT_NAME": "Upper"}, "not a storage account"),
        ("az://container", {"AZURE_STORAGE_CONNECTION_STRING": "HIDDEN"}, "not a connection string"),
        ("az://container?account=one", {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=two;AccountKey=HIDDEN"}, "two"),
        (
            "az://container",
            {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=one;AccountKey=HIDDEN;EndpointSuffix=evil.com/x"},
            "EndpointSuffix",
        ),
        ("az://container?account=one&endpoint=https://h?sig=HIDDEN", {}, "an endpoint holds no keys"),
        ("az://container?account=one&endpoint=https://u:HIDDEN@h", {}, "an endpoint holds no keys"),
        ("az://container?account=one&endpoint=h:1", {}, "not an endpoint"),
    ],
)
def test_what_cannot_be_opened(url: str, environ: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as told:
        options(parse(url), environ)
    assert told.value.hint
    assert "HIDDEN" not in f"{told.value.message}{told.value.hint}"


def test_a_prefix_that_azure_would_alter(azurite_endpoint: Endpoint) -> None:
    with pytest.raises(UsageError, match="does not keep"):
        open_store(parse(f"az://container/team.?account={ACCOUNT}"), {})


# Secrets


STATUSES = {
    400: "InvalidUri", 401: "NoAuthenticationInformation", 403: "AuthenticationFailed", 409: "BlobBeingRehydrated",
    412: "ConditionNotMet", 429: "TooManyRequests", 500: "InternalError", 501: "NotImplemented", 503: "ServerBusy",
}  # fmt: skip


def failures(endpoint: Endpoint, name: str, secret: dict[str, str]) -> list[StoreError]:
    """What is told when nobody listens, when there is no container, and at every status that refuses."""
    gone = endpoint.at(f"http://127.0.0.1:{free_port()}")
    told = [
        *raised(every_use(opened(gone, name, **secret))),
        *raised(every_use(opened(endpoint, "no-such-container", **secret))),
        *raised([opened(gone, name, **secret).make_bucket]),
    ]
    for status, code in STATUSES.items():
        with Proxy(endpoint.url) as proxy:
            proxy.fault(Match(), Answer(status, code=code), times=None)
            store = opened(endpoint.at(proxy.url), name, **secret)
            told += raised([partial(store.get, "a"), partial(store.put, "a", b"", if_absent=True), store.make_bucket])
    return told


def raised(uses: Sequence[Callable[[], object]]) -> list[StoreError]:
    """The errors of a store among what these calls raise, all at once since some take their time."""
    with ThreadPoolExecutor(len(uses)) as pool:
        outcomes = [one.exception(120) for one in [pool.submit(use) for use in uses]]
    assert all(error is None or isinstance(error, StoreError | NotFound | Conflict) for error in outcomes), outcomes
    return [error for error in outcomes if isinstance(error, StoreError)]


@pytest.mark.parametrize("way", ["key", "wrong key", "signature", "wrong signature"])
def test_no_message_tells_a_secret(azurite_endpoint: Endpoint, name: str, way: str) -> None:
    """obstore's own texts may hold a URL with its signature."""
    sas = account_sas()
    wrong = sas.replace("sig=", "sig=HIDDEN")
    secret = {
        "key": {"AZURE_STORAGE_ACCOUNT_KEY": KEY},
        "wrong key": {"AZURE_STORAGE_ACCOUNT_KEY": "SElEREVO"},
        "signature": {"AZURE_STORAGE_SAS_TOKEN": sas},
        "wrong signature": {"AZURE_STORAGE_SAS_TOKEN": wrong},
    }[way]
    told = failures(azurite_endpoint, name, secret)
    assert len(told) > 20
    signature = sas.partition("sig=")[2]
    for error in told:
        text = f"{error.message} {error.hint} {error.as_dict()} {error!r}"
        assert not any(part in text for part in (KEY, "SElEREVO", "HIDDEN", signature, "sig=", "SharedKey"))
