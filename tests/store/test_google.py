"""Google Cloud Storage, on a double: what it asks of a store that others do not. Not run against Google itself."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store.stores import bucket_store
from tests.store.test_bucket import Note
from tests.store.test_probe import SAFE
from tests.support.gcs_double import google_double
from tests.support.places import make_place, store_url
from tests.support.processes import free_port
from tests.support.proxy import Answer, Match, Proxy
from tests.support.s3 import Endpoint
from tracecraft.errors import Conflict, Denied, NoBucket, Unknown, UsageError
from tracecraft.records import commit
from tracecraft.store import gcs
from tracecraft.store.address import parse
from tracecraft.store.base import Store
from tracecraft.store.google import options
from tracecraft.store.opening import open_store
from tracecraft.store.probe import probe

CONDITION = "x-goog-if-generation-match"


@pytest.fixture
def name(google_double_endpoint: Endpoint) -> str:
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_place(google_double_endpoint, name)
    return name


@pytest.fixture
def proxy(google_double_endpoint: Endpoint) -> Iterator[Proxy]:
    with Proxy(google_double_endpoint.url) as proxy:
        yield proxy


@pytest.fixture
def store(google_double_endpoint: Endpoint, name: str, proxy: Proxy) -> Store:
    return bucket_store(google_double_endpoint.at(proxy.url), name)


def asked(proxy: Proxy) -> list[tuple[str, str | None]]:
    """The requests since the last time, with the generation that each was made under."""
    seen = [(request.method, request.headers.get(CONDITION)) for request in proxy.requests]
    proxy.clear()
    return seen


# Conditions go by generations


def test_a_create_is_a_swap_of_generation_0(store: Store, proxy: Proxy) -> None:
    store.put("a", b"1", if_absent=True)
    assert asked(proxy) == [("PUT", "0")]


def test_a_swap_of_what_was_seen_is_one_request(store: Store, proxy: Proxy) -> None:
    etag = store.put("a", b"1")
    ways: list[Callable[[], str]] = [lambda: etag, lambda: store.get("a").info.etag, lambda: store.head("a").etag]
    for number, way in enumerate(ways):
        etag = way()
        proxy.clear()
        etag = store.put("a", b"next %d" % number, if_match=etag)
        ((method, generation),) = asked(proxy)
        assert method == "PUT"
        assert generation is not None
        assert int(generation) > 0


def test_a_swap_of_what_only_a_listing_showed_asks_first(
    store: Store, proxy: Proxy, google_double_endpoint: Endpoint, name: str
) -> None:
    bucket_store(google_double_endpoint, name).put("a", b"1")
    listed = next(iter(store.list(""))).etag
    proxy.clear()
    store.put("a", b"2", if_match=listed)
    assert [method for method, _ in asked(proxy)] == ["GET", "PUT"]


def test_equal_bytes_that_were_written_again_can_be_swapped(
    store: Store, google_double_endpoint: Endpoint, name: str
) -> None:
    """The etag is the same, the generation is not."""
    etag = store.put("a", b"1")
    assert bucket_store(google_double_endpoint, name).put("a", b"1") == etag
    store.put("a", b"2", if_match=etag)
    with pytest.raises(Conflict):
        store.put("a", b"3", if_match=etag)


def test_what_was_forgotten_is_asked_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "_REMEMBERED", 2)
    etags = {key: store.put(key, key.encode()) for key in "abcde"}
    for key, etag in etags.items():
        store.put(key, b"2", if_match=etag)


# One change a second for each object


@pytest.fixture
def slow() -> Iterator[Store]:
    with google_double(slow=True) as endpoint:
        make_place(endpoint, "slow")
        yield bucket_store(endpoint, "slow")


def test_changes_that_come_too_fast_are_throttled_not_lost(slow: Store) -> None:
    etag = slow.put("a", b"1", if_absent=True)
    with pytest.raises(Unknown) as told:
        slow.put("a", b"2", if_match=etag)
    assert told.value.throttled
    assert "429" in told.value.message
    began = time.monotonic()
    slow.put("a", b"3")
    assert slow.get("a").data == b"3"
    assert time.monotonic() - began >= 1.0


def test_a_commit_waits_until_it_may(slow: Store) -> None:
    first = commit(slow, "a", Note(text="1"), None)
    second = commit(slow, "a", Note(text="2"), first)
    assert slow.get("a").info.etag == second.etag


def test_the_probe_takes_its_time(slow: Store) -> None:
    """Racers that were only told to wait are no proof against a store."""
    assert probe(slow, "p/") == SAFE
    assert list(slow.list("")) == []


# Buckets and credentials


def test_a_bucket_is_not_made_here(google_double_endpoint: Endpoint, name: str) -> None:
    assert bucket_store(google_double_endpoint, name).make_bucket() is False
    with pytest.raises(Denied) as told:
        bucket_store(google_double_endpoint, "not-there").make_bucket()
    assert "gcloud storage buckets create gs://not-there" in told.value.hint
    with pytest.raises(NoBucket):
        bucket_store(google_double_endpoint, "not-there").get("a")


def test_where_credentials_come_from(home: Path, tmp_path: Path) -> None:
    address = parse("gs://bucket")
    base = {"HOME": str(home)}
    assert options(address, base) == {}
    left = home / ".config" / "gcloud" / "application_default_credentials.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}")
    assert options(address, base) == {"application_credentials": str(left)}
    assert options(address, {**base, "CLOUDSDK_CONFIG": str(tmp_path)}) == {}
    named = tmp_path / "key.json"
    with pytest.raises(UsageError, match="GOOGLE_APPLICATION_CREDENTIALS names no file"):
        options(address, {**base, "GOOGLE_APPLICATION_CREDENTIALS": str(named)})
    named.write_text("{}")
    with_file = {**base, "GOOGLE_APPLICATION_CREDENTIALS": str(named)}
    assert options(address, with_file) == {"application_credentials": str(named)}
    assert options(address, {**with_file, "GOOGLE_SERVICE_ACCOUNT_KEY": "{}"}) == {"service_account_key": "{}"}
    assert options(address, {**with_file, "GOOGLE_BEARER_TOKEN": "t"}) == {"bearer_token": "t"}


def test_the_key_file_of_a_service_account(google_double_endpoint: Endpoint, name: str, tmp_path: Path) -> None:
    """It signs for itself: nobody is asked for a token."""
    key = tmp_path / "private.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True, timeout=60)
    account = {
        "type": "service_account",
        "private_key_id": "1",
        "private_key": key.read_text(),
        "client_email": "agent@project.iam.gserviceaccount.com",
    }
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account))
    with Proxy(google_double_endpoint.url) as proxy:
        address = parse(store_url(google_double_endpoint.at(proxy.url), name, "p"))
        store = open_store(address, {"GOOGLE_APPLICATION_CREDENTIALS": str(file)})
        store.put("a", b"1", if_absent=True)
        (request,) = proxy.requests
    scheme, _, token = request.headers["authorization"].partition(" ")
    assert scheme == "Bearer"
    assert len(token.split(".")) == 3


@pytest.mark.parametrize("content", ["", "nonsense", '{"type": "service_account", "private_key": "HIDDEN"}'])
def test_a_key_file_that_is_broken(google_double_endpoint: Endpoint, name: str, tmp_path: Path, content: str) -> None:
    file = tmp_path / "account.json"
    file.write_text(content)
    store = open_store(
        parse(store_url(google_double_endpoint, name, "p")), {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    )
    with pytest.raises(Denied, match="credentials cannot be used") as told:
        store.get("a")
    assert "HIDDEN" not in f"{told.value.message}{told.value.hint}"


def test_nobody_gives_a_token(
    google_double_endpoint: Endpoint, name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GCE_METADATA_HOST", "GCE_METADATA_IP"):
        monkeypatch.setenv(variable, f"127.0.0.1:{free_port()}")
    store = open_store(parse(store_url(google_double_endpoint, name, "p")), {"HOME": str(home)})
    for use in (lambda: store.get("a"), lambda: store.put("a", b"1", if_absent=True)):
        with pytest.raises(Denied, match="no credentials") as told:
            use()
        assert "GOOGLE_APPLICATION_CREDENTIALS" in told.value.hint


def test_a_token_that_is_refused(google_double_endpoint: Endpoint, name: str, proxy: Proxy) -> None:
    proxy.fault(Match(), Answer(401, code="AuthenticationRequired"), times=None)
    store = bucket_store(google_double_endpoint.at(proxy.url), name)
    with pytest.raises(Denied, match="refuses access") as told:
        store.get("a")
    assert google_double_endpoint.secret_key not in f"{told.value.message}{told.value.hint}"
