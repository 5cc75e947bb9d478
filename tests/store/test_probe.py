"""Racing finds out which stores keep their promises, and which only say so."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.store import test_conformance as conformance
from tests.store.stores import bucket_store
from tests.support.proxy import Answer, Match, Proxy
from tests.support.s3 import Endpoint, make_bucket
from tracecraft.errors import Conflict, Denied, NoBucket
from tracecraft.store import Store, folder
from tracecraft.store.besteffort import BestEffortStore
from tracecraft.store.bucket import BucketStore
from tracecraft.store.folder import FolderStore
from tracecraft.store.probe import Findings, probe

PROBES = 100
SAFE = Findings(atomic_create=True, compare_and_swap=True, refuses=False, not_modified=True, list_after_write=True)


def on(endpoint: Endpoint) -> BucketStore:
    name = f"probe-{uuid.uuid4().hex[:12]}"
    make_bucket(endpoint, name)
    return bucket_store(endpoint, name)


def test_trusted_stores_are_safe_and_left_clean(store: Store) -> None:
    store.put("kept", b"1")
    for _ in range(3):
        assert probe(store, "demo/_probe/x/") == SAFE
    assert [info.key for info in store.list("")] == ["kept"]


def test_the_probe_learns_how_etags_are_quoted(s3_endpoint: Endpoint) -> None:
    store = on(s3_endpoint)
    probe(store, "p/")
    assert store.facts() == {"quoted_etags": s3_endpoint.name != "ceph"}


def test_a_server_that_ignores_conditions_is_found_out(s3rver_endpoint: Endpoint) -> None:
    findings = probe(on(s3rver_endpoint), "p/")
    assert not findings.atomic_create
    assert not findings.compare_and_swap
    assert not findings.refuses


def test_a_server_that_loses_some_races_is_found_out_some_time(moto_endpoint: Endpoint) -> None:
    store = on(moto_endpoint)
    assert any(
        not (findings.atomic_create and findings.compare_and_swap)
        for findings in (probe(store, f"p{number}/") for number in range(PROBES))
    )


def test_a_server_that_refuses_openly_is_named_as_such(ministack_endpoint: Endpoint) -> None:
    store = on(ministack_endpoint)
    with Proxy(ministack_endpoint.url) as proxy:
        proxy.fault(Match(conditional=True), Answer(501), times=None)
        findings = probe(bucket_store(ministack_endpoint.at(proxy.url), store.bucket), "p/")
    assert findings.refuses
    assert not findings.atomic_create
    assert not findings.compare_and_swap


def test_a_server_that_refuses_every_swap_is_not_safe(ministack_endpoint: Endpoint) -> None:
    """Some know `If-None-Match: *` alone, and answer 412 to every `If-Match`."""
    store = on(ministack_endpoint)
    with Proxy(ministack_endpoint.url) as proxy:
        proxy.fault(lambda request: request.conditional and "if-match" in request.headers, Answer(412), times=None)
        findings = probe(bucket_store(ministack_endpoint.at(proxy.url), store.bucket), "p/")
    assert findings.atomic_create
    assert not findings.compare_and_swap


def test_answers_that_get_lost_do_not_make_a_store_unsafe(ministack_endpoint: Endpoint) -> None:
    """A racer without a clear answer may be the winner."""
    store = on(ministack_endpoint)
    with Proxy(ministack_endpoint.url) as proxy:
        for name in ("create-0", "create-1", "create-2", "swap-1"):
            proxy.fault(
                Match(key=name, conditional=True), Answer(500, applied=True), times=None, skip=int(name == "swap-1")
            )
        findings = probe(bucket_store(ministack_endpoint.at(proxy.url), store.bucket), "p/")
    assert findings == SAFE


def test_a_probe_that_cannot_be_made_says_why(ministack_endpoint: Endpoint) -> None:
    with pytest.raises(NoBucket):
        probe(bucket_store(ministack_endpoint, "no-such-bucket"), "p/")
    store = on(ministack_endpoint)
    with Proxy(ministack_endpoint.url) as proxy:
        proxy.fault(Match("PUT"), Answer(403), times=None)
        with pytest.raises(Denied):
            probe(bucket_store(ministack_endpoint.at(proxy.url), store.bucket), "p/")


class Unlocked(FolderStore):
    """A folder store whose author forgot the lock."""

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        yield


def _rename_only(temporary: Path, path: Path, *, replace: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(temporary, path)


@pytest.mark.parametrize("race", [conformance.test_racing_creates, conformance.test_racing_swaps])
def test_the_races_catch_a_folder_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, race: Callable[[Callable[[], Store]], None]
) -> None:
    monkeypatch.setattr(folder, "_rename", _rename_only)
    caught = 0
    for number in range(20):
        try:
            race(lambda number=number: Unlocked(tmp_path / str(number)))  # type: ignore[misc]
        except AssertionError:
            caught += 1
            break
    assert caught


def test_the_probe_catches_a_folder_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_rename", _rename_only)
    assert any(probe(Unlocked(tmp_path / str(number)), "p/") != SAFE for number in range(20))


def test_best_effort_keeps_conditions_one_after_the_other(s3rver_endpoint: Endpoint) -> None:
    store = BestEffortStore(on(s3rver_endpoint))
    assert store.guarantees == (False, False)
    first = store.put("a", b"1", if_absent=True)
    with pytest.raises(Conflict):
        store.put("a", b"2", if_absent=True)
    second = store.put("a", b"2", if_match=first)
    for stale in (first, "other"):
        with pytest.raises(Conflict):
            store.put("a", b"3", if_match=stale)
    with pytest.raises(Conflict):
        store.put("b", b"3", if_match=second)
    assert store.get("a").data == b"2"
    assert [info.key for info in store.list("")] == ["a"]
