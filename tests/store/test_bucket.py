"""The bucket store and a network that fails: who won is told truly, and what cannot be reached is named."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.store.conftest import TRUSTED_SERVERS
from tests.store.stores import PREFIX, bucket_store, options
from tests.support.faults import Action
from tests.support.places import CLOUDS, make_place
from tests.support.processes import free_port, wait_until
from tests.support.proxy import Answer, Drop, Half, Hang, Match, Proxy, Request
from tests.support.s3 import Endpoint, send
from tracecraft.errors import Conflict, Denied, NoBucket, NotFound, Unknown, Unreachable, UnsafeStore, UsageError
from tracecraft.records import SUPERSEDED, Stored, Versioned, commit, read, successor, untracked
from tracecraft.records import encode as encoded
from tracecraft.store import Store, bucket, put_many
from tracecraft.store.address import parse
from tracecraft.store.bucket import PART, BucketStore
from tracecraft.store.opening import open_store
from tracecraft.store.s3 import S3BucketStore

TIMEOUT = 1.0
BEYOND = 2.5
WAIT = 120.0
THROTTLE = 1.1

NOT_APPLIED: list[Action] = [Drop(), *(Answer(status) for status in (500, 503, 429, 409, 412)), Hang(BEYOND)]
APPLIED: list[Action] = [
    Drop(applied=True),
    *(Answer(status, applied=True) for status in (500, 503, 429, 409, 412)),
    Hang(BEYOND, applied=True),
    Half(),
]
REFUSALS = ("answer 409", "answer 412")


class Note(Versioned):
    """What the writers here fight for."""

    text: str = ""


def ignore(_chunk: bytes) -> None:
    pass


@pytest.fixture(autouse=True)
def small_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "SMALL_TIMEOUT", TIMEOUT)


@dataclass(frozen=True)
class Place:
    """A bucket as a writer sees it, through a proxy, and as everybody else does."""

    endpoint: Endpoint
    bucket: str
    proxy: Proxy

    def behind_proxy(self, *, quoted_etags: bool | None = None) -> BucketStore:
        return bucket_store(self.endpoint.at(self.proxy.url), self.bucket, quoted_etags=quoted_etags)

    def direct(self) -> BucketStore:
        return bucket_store(self.endpoint, self.bucket)

    def sent(self, match: Callable[[Request], bool]) -> list[Request]:
        return [request for request in self.proxy.requests if match(request)]


@pytest.fixture
def s3_place(s3_endpoint: Endpoint, bucket: str) -> Iterator[Place]:
    with Proxy(s3_endpoint.url) as proxy:
        yield Place(s3_endpoint, bucket, proxy)


@pytest.fixture(params=[*TRUSTED_SERVERS, *CLOUDS])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """On every kind of server, in turn."""
    endpoint = request.getfixturevalue(f"{request.param}_endpoint")
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_place(endpoint, name)
    with Proxy(endpoint.url) as proxy:
        yield Place(endpoint, name, proxy)


@pytest.fixture
def on_ministack(ministack_endpoint: Endpoint) -> Iterator[Place]:
    """For what the server has no part in."""
    name = f"test-{uuid.uuid4().hex[:16]}"
    assert send(ministack_endpoint, "PUT", f"/{name}").status == 200
    with Proxy(ministack_endpoint.url) as proxy:
        yield Place(ministack_endpoint, name, proxy)


# Who won: one faulty answer to the first attempt of a conditional write, and in each case what is known by then


Kind = Literal["create", "swap"]


@dataclass
class Writer:
    """One conditional write of a note through the proxy, whose first attempt meets a fault."""

    place: Place
    kind: Kind
    case: str

    def __post_init__(self) -> None:
        self.key = f"{self.kind}-{self.case}"
        self.mine = Match("PUT", pattern=f"(^|/){PREFIX}/{self.key}$", conditional=True)
        self.rival = self.place.direct()
        self.store = self.place.behind_proxy()
        if self.kind == "swap":
            commit(self.rival, self.key, Note(text="old"), None)
        self.base = self.there()
        if self.kind == "swap":  # the writer knows how the server wants its etags, so each attempt is one request
            assert self.base is not None
            warm = f"warm-{self.key}"
            self.store.put(warm, b"2", if_match=self.store.put(warm, b"1"))

    def there(self) -> Stored[Note] | None:
        return read(self.rival, self.key, Note)

    def rival_swaps(self) -> None:
        commit(self.rival, self.key, Note(text="rival"), self.there())

    def rival_overwrites(self) -> None:
        self.rival.put(self.key, encoded(untracked(Note(text="rival"))))

    def write(self, action: Action) -> Stored[Note]:
        self.fault = self.place.proxy.fault(self.mine, action)
        return commit(self.store, self.key, Note(text="mine"), self.base)

    def check_bytes(self) -> None:
        """Every attempt sent the same bytes, and so the same id."""
        attempts = self.place.sent(self.mine)
        assert self.fault.fired == 1
        assert len({request.body for request in attempts}) == 1


def alone(place: Place, kind: Kind, action: Action) -> None:
    writer = Writer(place, kind, "alone")
    done = writer.write(action)
    writer.check_bytes()
    assert wait_until(lambda: all(r.ended < float("inf") for r in place.sent(writer.mine)), seconds=WAIT)
    there = writer.there()
    assert there is not None
    assert (there.record.id, there.record.text, there.etag) == (done.record.id, "mine", done.etag)
    # What was won can be built upon.
    commit(writer.store, writer.key, Note(text="next"), done)


def superseded(place: Place, kind: Kind, action: Action) -> None:
    """It was applied, and a rival had built upon it before its writer could look."""
    writer = Writer(place, kind, "superseded")
    place.proxy.on_request(1, writer.rival_swaps, writer.mine, at="after")
    done = writer.write(action)
    writer.check_bytes()
    there = writer.there()
    assert there is not None
    assert there.record.text == "rival"
    assert done.record.id in there.record.ids
    assert done.etag == SUPERSEDED


def beaten(place: Place, kind: Kind, action: Action) -> None:
    """A rival was first, and its record says upon what it was built."""
    writer = Writer(place, kind, "beaten")
    place.proxy.on_request(1, writer.rival_swaps, writer.mine, at="forwarded")
    with pytest.raises(Conflict):
        writer.write(action)
    writer.check_bytes()
    there = writer.there()
    assert there is not None
    assert there.record.text == "rival"


def overwritten(place: Place, kind: Kind, action: Action) -> None:
    """Somebody wrote without looking: only an attempt that was refused tells that ours never took effect."""
    writer = Writer(place, kind, "overwritten")
    place.proxy.on_request(1, writer.rival_overwrites, writer.mine, at="forwarded")
    with pytest.raises(Conflict if str(action).startswith(REFUSALS) else Unknown):
        writer.write(action)
    writer.check_bytes()


def run_side_by_side(place: Place, action: Action, cases: list[Callable[[Place, Kind, Action], None]]) -> None:
    kinds: list[Kind] = ["create", "swap"]
    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(case, place, kind, action) for case in cases for kind in kinds]:
            one.result(WAIT)


@pytest.mark.parametrize("action", NOT_APPLIED, ids=str)
def test_a_write_that_may_not_have_been_applied(place: Place, action: Action) -> None:
    run_side_by_side(place, action, [alone, beaten, overwritten])


@pytest.mark.parametrize("action", APPLIED, ids=str)
def test_a_write_that_may_have_been_applied(place: Place, action: Action) -> None:
    run_side_by_side(place, action, [alone, superseded, beaten, overwritten])


def test_who_was_first_and_superseded_long_ago_cannot_know(on_ministack: Place) -> None:
    """The ids that a record carries have an end: beyond it nobody is told that it lost."""
    writer = Writer(on_ministack, "swap", "long-ago")

    def many() -> None:
        for _ in range(40):
            writer.rival_swaps()

    on_ministack.proxy.on_request(1, many, writer.mine, at="after")
    with pytest.raises(Unknown):
        writer.write(Drop(applied=True))


def test_a_swap_by_a_bare_etag(on_ministack: Place) -> None:
    store, rival = on_ministack.behind_proxy(quoted_etags=True), on_ministack.direct()
    etag = rival.put("a", b"{}")
    on_ministack.proxy.fault(Match(conditional=True), Drop(applied=True))
    done = commit(store, "a", Note(text="mine"), etag)
    with pytest.raises(Conflict):
        commit(store, "a", Note(text="late"), etag)
    on_ministack.proxy.fault(Match(conditional=True), Drop())
    with pytest.raises(Unknown):
        commit(store, "a", Note(text="late"), etag)
    assert store.get("a").info.etag == done.etag


def test_a_store_that_never_answers_a_write(on_ministack: Place) -> None:
    store = on_ministack.behind_proxy()
    on_ministack.proxy.fault(Match("PUT"), Drop(), times=None)
    with pytest.raises(Unknown):
        commit(store, "a", Note(text="mine"), None, patience=1.0)
    with pytest.raises(NotFound):
        on_ministack.direct().get("a")


def test_a_store_that_answers_nothing_any_more(on_ministack: Place) -> None:
    store = on_ministack.behind_proxy()
    on_ministack.proxy.fault(Match(), Drop(applied=True), times=None)
    with pytest.raises(Unknown):
        commit(store, "a", Note(text="mine"), None, patience=1.0)
    assert read(on_ministack.direct(), "a", Note) is not None


def test_a_writer_is_told_in_the_end_that_it_won(on_ministack: Place) -> None:
    store = on_ministack.behind_proxy()
    on_ministack.proxy.fault(Match("PUT"), Drop(applied=True))
    on_ministack.proxy.fault(Match(), Answer(500), times=12)
    done = commit(store, "a", Note(text="mine"), None)
    assert store.get("a").info.etag == done.etag


def test_one_put_under_a_condition_is_one_request(on_ministack: Place) -> None:
    store = on_ministack.behind_proxy(quoted_etags=True)
    etag = store.put("b", b"1")
    for status in (500, 503, 429):
        on_ministack.proxy.fault(Match("PUT"), Answer(status), times=2)
        on_ministack.proxy.clear()
        with pytest.raises(Unknown) as told:
            store.put("a", b"1", if_absent=True)
        assert told.value.throttled is (status != 500)
        with pytest.raises(Unknown):
            store.put("b", b"2", if_match=etag)
        assert len(on_ministack.proxy.requests) == 2


# Writes without a condition, and reads, are repeated until they are answered


@pytest.mark.parametrize("action", [*NOT_APPLIED, *APPLIED], ids=str)
def test_blind_puts_are_repeated(on_ministack: Place, action: Action) -> None:
    store = on_ministack.behind_proxy()
    on_ministack.proxy.fault(Match("PUT"), action)
    etag = store.put("a", b"1")
    assert (store.get("a").data, store.head("a").etag) == (b"1", etag)
    assert {request.body for request in on_ministack.proxy.requests if request.method == "PUT"} == {b"1"}
    assert len(on_ministack.sent(Match("PUT"))) == 2


@pytest.mark.parametrize("action", [Drop(), Answer(500), Answer(409)], ids=str)
def test_blind_puts_end_some_time(on_ministack: Place, action: Action) -> None:
    on_ministack.proxy.fault(Match("PUT"), action, times=None)
    with pytest.raises(Unknown):
        on_ministack.behind_proxy().put("a", b"1")
    assert 2 <= len(on_ministack.proxy.requests) <= 10


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("applied", [False, True])
def test_a_store_that_is_asked_too_much_is_left_alone_for_a_while(
    on_ministack: Place, status: int, applied: bool
) -> None:
    on_ministack.proxy.fault(Match("PUT"), Answer(status, applied=applied))
    on_ministack.behind_proxy().put("a", b"1")
    first, second = on_ministack.proxy.requests
    assert second.started - first.ended >= THROTTLE


@pytest.mark.parametrize("status", [429, 503])
def test_so_is_one_that_is_asked_under_a_condition(on_ministack: Place, status: int) -> None:
    on_ministack.proxy.fault(Match("PUT"), Answer(status))
    commit(on_ministack.behind_proxy(), "a", Note(text="mine"), None)
    first, second = on_ministack.sent(Match("PUT"))
    assert second.started - first.ended >= THROTTLE


@pytest.mark.parametrize("action", [Drop(), Answer(500), Answer(503), Hang(BEYOND), Half()], ids=str)
def test_a_read_is_right_or_says_that_nobody_answered(on_ministack: Place, action: Action) -> None:
    store, data = on_ministack.behind_proxy(), b"0123456789" * 10_000
    etag = store.put("a/b", data)
    uses: list[Callable[[], bool]] = [
        lambda: store.get("a/b").data == data,
        lambda: store.get_if_changed("a/b", "other") == store.get("a/b"),
        lambda: store.get_if_changed("a/b", etag) is None,
        lambda: [info.key for info in store.list("a/")] == ["a/b"],
    ]
    for use in uses:
        on_ministack.proxy.fault(Match("GET"), action)
        try:
            assert use()
        except Unreachable:
            assert action == Half()
        assert use()


@pytest.mark.parametrize("action", [Drop(), Drop(applied=True), Answer(500), Answer(503, applied=True)], ids=str)
def test_a_delete_is_done_or_says_that_nobody_answered(on_ministack: Place, action: Action) -> None:
    store = on_ministack.behind_proxy()
    store.put("a", b"1")
    on_ministack.proxy.fault(Match("POST"), action)
    try:
        store.delete("a")
    except Unreachable:
        store.delete("a")
    assert list(store.list("")) == []


def test_listing_is_lazy(on_ministack: Place) -> None:
    store = on_ministack.behind_proxy()
    put_many(store, [(f"a/{number:04d}", b"") for number in range(2500)])
    on_ministack.proxy.clear()
    assert [info.key for info in islice(store.list("a/"), 3)] == ["a/0000", "a/0001", "a/0002"]
    assert 1 <= len(on_ministack.proxy.requests) <= 2
    on_ministack.proxy.clear()
    assert len(list(store.list("a/"))) == 2500
    assert len(on_ministack.proxy.requests) == 3


# Files


@pytest.mark.parametrize("action", [Drop(), Drop(applied=True), Answer(500), Answer(503, applied=True)], ids=str)
def test_the_parts_of_a_file_are_repeated(on_ministack: Place, tmp_path: Path, action: Action) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"0123456789abcdef" * (PART // 8) + b"end")
    store = on_ministack.behind_proxy()
    on_ministack.proxy.fault(Match("PUT"), action)
    on_ministack.proxy.fault(Match("GET"), action)
    assert store.upload("f", source, ignore) == store.head("f").etag
    chunks: list[bytes] = []
    store.download("f", target, chunks.append)
    assert target.read_bytes() == source.read_bytes() == b"".join(chunks)


def test_an_upload_that_breaks_leaves_no_object(on_ministack: Place, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * (2 * PART))
    on_ministack.proxy.fault(Match("PUT"), Answer(403), skip=1)
    with pytest.raises(Denied):
        on_ministack.behind_proxy().upload("f", source, ignore)
    assert list(on_ministack.direct().list("")) == []


@pytest.mark.parametrize("action", [Drop(applied=True), Answer(500, applied=True)], ids=str)
def test_the_last_answer_of_an_upload_is_lost(on_ministack: Place, tmp_path: Path, action: Action) -> None:
    """It is there or it is said that nobody knows; never that something is missing."""
    source = tmp_path / "source"
    source.write_bytes(b"x" * (PART + 1))
    store = on_ministack.behind_proxy()
    on_ministack.proxy.fault(Match("POST", query="uploadId"), action)
    try:
        etag = store.upload("f", source, ignore)
    except Unknown:
        return
    assert etag == on_ministack.direct().head("f").etag


# Etags in If-Match


def test_how_a_server_wants_its_etags_is_learnt_once(s3_place: Place) -> None:
    store = s3_place.behind_proxy()
    assert store.facts() == {}
    etag = store.put("a", b"1")
    etag = store.put("a", b"2", if_match=etag)
    assert store.facts() == {"quoted_etags": s3_place.endpoint.name != "ceph"}

    recalling = s3_place.behind_proxy()
    recalling.recall(store.facts())
    for one in (store, recalling):
        s3_place.proxy.clear()
        etag = one.put("a", etag.encode(), if_match=etag)
        assert len(s3_place.proxy.requests) == 1
        with pytest.raises(Conflict):
            one.put("a", b"x", if_match="0" * 32)
        assert len(s3_place.proxy.requests) == 2


def test_a_swap_that_loses_teaches_nothing(s3_place: Place) -> None:
    store = s3_place.behind_proxy()
    store.put("a", b"1")
    with pytest.raises(Conflict):
        store.put("a", b"2", if_match="0" * 32)
    with pytest.raises(Conflict):
        store.put("absent", b"2", if_match="0" * 32)
    assert store.facts() == {}
    store.put("a", b"2", if_match=store.head("a").etag)


# What cannot be reached, or may not be


def every_use(store: Store) -> list[Callable[[], object]]:
    return [
        lambda: store.get("a"),
        lambda: store.get_if_changed("a", "e"),
        lambda: list(store.list("a/")),
        lambda: store.put("a", b""),
        lambda: store.put("a", b"", if_absent=True),
        lambda: store.put("a", b"", if_match="0" * 32),
        lambda: store.delete("a"),
    ]


def test_nobody_listens() -> None:
    gone = Endpoint("gone", f"http://127.0.0.1:{free_port()}", "test", "test")
    store = bucket_store(gone, "bucket")
    uses = [*every_use(store), lambda: store.head("a"), lambda: commit(store, "a", Note(), None), store.make_bucket]
    with ThreadPoolExecutor(len(uses)) as pool:
        for one in [pool.submit(use) for use in uses]:
            assert type(one.exception(WAIT)) is Unreachable


def test_wrong_keys(ceph_endpoint: Endpoint) -> None:
    for wrong in (replace(ceph_endpoint, secret_key="wrong"), replace(ceph_endpoint, access_key="nobody")):
        store = bucket_store(wrong, "any-bucket")
        uses: list[Callable[[], object]] = [*every_use(store), partial(store.head, "a"), store.make_bucket]
        for use in uses:
            with pytest.raises(Denied) as told:
                use()
            assert not isinstance(told.value, NoBucket)
            assert "testsecret" not in f"{told.value} {told.value.hint}"


def test_a_key_without_rights(on_ministack: Place) -> None:
    on_ministack.proxy.fault(Match(), Answer(403), times=None)
    for use in every_use(on_ministack.behind_proxy()):
        with pytest.raises(Denied):
            use()
    with pytest.raises(Denied):
        commit(on_ministack.behind_proxy(), "a", Note(), None)


def test_a_clock_that_is_wrong_is_named(on_ministack: Place) -> None:
    on_ministack.proxy.fault(Match(), Answer(403, code="RequestTimeTooSkewed"))
    with pytest.raises(Denied, match="clock"):
        on_ministack.behind_proxy().get("a")


def test_a_bucket_that_is_not_there(place: Place) -> None:
    store = bucket_store(place.endpoint, f"none-{uuid.uuid4().hex[:8]}")
    for use in every_use(store):
        with pytest.raises(NoBucket):
            use()
    with pytest.raises(NoBucket):
        commit(store, "a", Note(), None)


def test_making_a_bucket(s3_endpoint: Endpoint) -> None:
    store = bucket_store(s3_endpoint, f"made-{uuid.uuid4().hex[:8]}")
    assert store.make_bucket() is True
    assert store.make_bucket() is False
    assert list(store.list("")) == []
    store.put("a/b", b"1")
    assert store.make_bucket() is False
    assert [info.key for info in store.list("")] == ["a/b"]


def test_a_bucket_that_may_not_be_made(on_ministack: Place) -> None:
    store = S3BucketStore("no-such-bucket", options=options(on_ministack.endpoint.at(on_ministack.proxy.url)))
    on_ministack.proxy.fault(Match("PUT"), Answer(403), times=None)
    with pytest.raises(Denied, match="no-such-bucket"):
        store.make_bucket()


def test_a_server_without_conditional_writes_says_so(on_ministack: Place) -> None:
    store = on_ministack.behind_proxy()
    etag = store.put("a", b"1")
    on_ministack.proxy.fault(Match(conditional=True), Answer(501), times=None)
    with pytest.raises(UnsafeStore):
        store.put("b", b"1", if_absent=True)
    with pytest.raises(UnsafeStore):
        store.put("a", b"2", if_match=etag)
    with pytest.raises(UnsafeStore):
        commit(store, "b", Note(), None)


def test_a_server_that_refuses_although_the_condition_holds(on_ministack: Place) -> None:
    store = on_ministack.behind_proxy(quoted_etags=True)
    on_ministack.proxy.fault(Match(conditional=True), Answer(412), times=None)
    with pytest.raises(UnsafeStore):
        commit(store, "a", Note(), None)


# Two stores in one bucket


def test_a_store_stays_below_its_prefix(s3_endpoint: Endpoint, bucket: str) -> None:
    inner = bucket_store(s3_endpoint, bucket)
    outer = S3BucketStore(bucket, options=options(s3_endpoint))
    twin = S3BucketStore(bucket, PREFIX + "-2", options=options(s3_endpoint))
    inner.put("a", b"1")
    twin.put("a", b"2")
    assert [info.key for info in outer.list("")] == [f"{PREFIX}-2/a", f"{PREFIX}/a"]
    assert [info.key for info in inner.list("")] == ["a"]
    assert outer.get(f"{PREFIX}/a").data == inner.get("a").data == b"1"
    assert successor(Note(), None).ids == []


# Credentials


def test_static_keys_of_a_profile_are_used(ceph_endpoint: Endpoint, tmp_path: Path) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n"
        f"[team]\naws_access_key_id = {ceph_endpoint.access_key}\naws_secret_access_key = {ceph_endpoint.secret_key}\n"
    )
    (tmp_path / ".aws" / "config").write_text(f"[profile team]\nendpoint_url = {ceph_endpoint.url}\n")
    address = parse(f"s3://{name}/p")
    store: Any = open_store(address, {"HOME": str(tmp_path), "AWS_PROFILE": "team"})
    assert store.make_bucket() is True
    store.put("a", b"1")
    assert store.get("a").data == b"1"
    wrong = open_store(parse(f"s3://{name}/p", endpoint=ceph_endpoint.url), {"HOME": str(tmp_path)})
    with pytest.raises(Denied):
        wrong.get("a")


def test_no_credentials_for_an_endpoint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no credentials"):
        open_store(parse("s3://bucket", endpoint="http://127.0.0.1:9"), {"HOME": str(tmp_path)})
