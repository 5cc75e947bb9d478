"""The one suite that every backend passes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.store.stores import PREFIX
from tracecraft.errors import Conflict, NotFound, Unknown, Unreachable, UsageError
from tracecraft.store import Store, get_many, put_many
from tracecraft.store.azure import AzureContainerStore
from tracecraft.store.bucket import PART, BucketStore
from tracecraft.store.folder import FolderStore
from tracecraft.store.memory import MemoryStore

RACERS = 16
ADDITIONS = 25
WAIT = 300.0

ODD_KEYS = [
    "a/with space",
    "a/ü-ñ-日本-🜚",
    "a/100%",
    "a/%2F%41",
    "a/hash#tag",
    "a/what?now=1&b=2",
    "a/plus+plus",
    "a/quote'\"",
    "a/semi;colon,=@!$*()[]{}|<>^`~\\",
    "a/...",
    "a/-dash",
    "a/_under",
    "a/" + "n" * 200,
]


def keys(store: Store, prefix: str = "", after: str | None = None) -> list[str]:
    return [info.key for info in store.list(prefix, after=after)]


def keeps(store: Store, key: str) -> bool:
    """Whether the store can have an object of this name. Azure alters some, so they are refused there."""
    return not (isinstance(store, AzureContainerStore) and ("\\" in key or key.endswith(".")))


def ignore(_chunk: bytes) -> None:
    pass


def side_by_side(calls: Sequence[Callable[[], object]]) -> None:
    """Run calls in threads that all begin together."""
    barrier = threading.Barrier(len(calls))

    def begin(call: Callable[[], object]) -> None:
        barrier.wait(WAIT)
        call()

    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(begin, call) for call in calls]:
            done.result(WAIT)


# Objects


def test_what_was_put_is_there(store: Store) -> None:
    etag = store.put("a/b.json", b"one")
    data, info = store.get("a/b.json")
    assert (data, info.key, info.etag, info.size) == (b"one", "a/b.json", etag, 3)
    assert store.head("a/b.json") == info
    assert keys(store) == ["a/b.json"]
    assert next(iter(store.list(""))).etag == etag


def test_another_client_sees_it_at_once(reopen: Callable[[], Store]) -> None:
    one, other = reopen(), reopen()
    for round_ in range(5):
        etag = one.put("a/b", b"%d" % round_)
        assert other.get("a/b").data == b"%d" % round_
        assert [(info.key, info.etag, info.size) for info in other.list("a/")] == [("a/b", etag, 1)]


@pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)) * 4096], ids=["empty", "one byte", "1 MB"])
def test_any_bytes(store: Store, data: bytes) -> None:
    store.put("a", data)
    found = store.get("a")
    assert found.data == data
    assert found.info.size == len(data)


def test_put_replaces_the_whole_object(store: Store) -> None:
    first = store.put("a", b"long content")
    second = store.put("a", b"short")
    assert first != second
    assert store.get("a").data == b"short"
    assert store.head("a").etag == second


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_etags_of_equal_bytes_differ_where_versions_have_names(kind: str, tmp_path: Path) -> None:
    """Not so in a bucket, where an etag may be a hash of the content; that is why records carry an id."""
    store: Store = MemoryStore() if kind == "memory" else FolderStore(tmp_path)
    etags = [store.put("a", b"same") for _ in range(50)]
    assert len(set(etags)) == len(etags)


def test_time_is_the_stores_and_does_not_run_back(store: Store) -> None:
    store.put("a", b"1")
    first = store.head("a").modified
    store.put("b", b"2")
    assert first <= store.head("b").modified
    assert store.get("a").info.modified == first
    assert next(iter(store.list(""))).modified == pytest.approx(first, abs=1)


def test_what_is_not_there(store: Store, tmp_path: Path) -> None:
    store.put("a/b", b"")
    for missing in ("a", "a/c", "a/b/c", "z"):
        for look in (store.get, store.head, partial(store.get_if_changed, etag="e")):
            with pytest.raises(NotFound):
                look(missing)
        with pytest.raises(NotFound):
            store.download(missing, tmp_path / "target", ignore)


def test_get_if_changed(store: Store) -> None:
    etag = store.put("a", b"1")
    assert store.get_if_changed("a", etag) is None
    store.put("a", b"2")
    changed = store.get_if_changed("a", etag)
    assert changed is not None
    assert changed.data == b"2"
    assert store.get_if_changed("a", changed.info.etag) is None


def test_delete(store: Store) -> None:
    store.put("a/b", b"1")
    store.put("a/c", b"2")
    store.delete("a/b")
    assert keys(store) == ["a/c"]
    with pytest.raises(NotFound):
        store.get("a/b")


def test_deleting_what_is_not_there(store: Store) -> None:
    store.delete("never/was")
    store.put("a", b"")
    store.delete("a")
    store.delete("a")
    assert keys(store) == []


def test_after_a_delete_a_key_can_be_made_again(store: Store) -> None:
    store.put("a", b"1", if_absent=True)
    store.delete("a")
    store.put("a", b"2", if_absent=True)
    assert store.get("a").data == b"2"


# Keys and listing


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys(store: Store, key: str) -> None:
    if not keeps(store, key):
        for use in (store.get, store.head, store.delete, partial(store.put, data=b"1")):
            with pytest.raises(UsageError, match="Azure does not keep"):
                use(key)
        return
    etag = store.put(key, b"1", if_absent=True)
    assert keys(store, "a/") == [key]
    assert store.get(key).info.key == store.head(key).key == key
    with pytest.raises(Conflict):
        store.put(key, b"2", if_absent=True)
    etag = store.put(key, b"2", if_match=etag)
    assert store.get_if_changed(key, etag) is None
    store.delete(key)
    assert keys(store) == []


def test_odd_keys_are_all_different_objects(store: Store) -> None:
    odd = [key for key in ODD_KEYS if keeps(store, key)]
    put_many(store, [(key, key.encode()) for key in odd])
    assert keys(store) == sorted(odd)
    assert {key: item.data.decode() for key, item in get_many(store, odd).items()} == {k: k for k in odd}


def test_case_matters_in_listing_order(store: Store) -> None:
    put_many(store, [("B", b""), ("a", b""), ("_", b""), ("0", b"")])
    assert keys(store) == ["0", "B", "_", "a"]


def test_order_is_that_of_whole_keys(store: Store) -> None:
    """`-` and `.` sort before the slash that ends a folder's name, digits and letters after it."""
    there = ["m/a-b", "m/a.json", "m/a/b.json", "m/a/c/d", "m/a0", "m/aa", "m/b", "n"]
    put_many(store, [(key, b"") for key in reversed(there)])
    assert keys(store) == there
    assert keys(store, "m/") == there[:-1]
    assert keys(store, "m/a/") == ["m/a/b.json", "m/a/c/d"]
    for start in ["", "m", "m/", "m/a", "m/a.", "m/a.json", "m/a/", "m/a/b.json", "m/a/zz", "m/a0", "n", "o"]:
        assert keys(store, "", start) == [key for key in there if key > start], start
        assert keys(store, "m/", start) == [key for key in there[:-1] if key > start], start


def test_a_prefix_is_a_folder(store: Store) -> None:
    put_many(store, [("ab/c", b""), ("abc", b""), ("a/b", b"")])
    assert keys(store, "a/") == ["a/b"]
    assert keys(store, "ab/") == ["ab/c"]
    assert keys(store, "abc/") == []
    assert keys(store, "none/at/all/") == []
    with pytest.raises(ValueError, match="ends in '/'"):
        keys(store, "ab")


def test_a_list_of_2500_keys(store: Store) -> None:
    there = [f"many/{number:05d}" for number in range(2500)]
    put_many(store, [("before", b""), *((key, b"") for key in there), ("zzz", b"")])
    assert keys(store, "many/") == there
    assert keys(store, "many/", after=there[1998]) == there[1999:]
    assert [info.key for info in islice(store.list("many/"), 3)] == there[:3]


def test_deleting_while_listing(store: Store) -> None:
    there = [f"d/{number}" for number in range(9)]
    put_many(store, [(key, b"") for key in there])
    for info in store.list("d/"):
        store.delete(info.key)
    assert keys(store) == []


# Conditional writes


def test_create(store: Store) -> None:
    etag = store.put("a", b"1", if_absent=True)
    assert store.head("a").etag == etag
    with pytest.raises(Conflict):
        store.put("a", b"2", if_absent=True)
    assert store.get("a").data == b"1"


def test_swap(store: Store) -> None:
    first = store.put("a", b"1")
    second = store.put("a", b"2", if_match=first)
    assert store.head("a").etag == second
    for stale in (first, "0" * 32, "never-was"):
        with pytest.raises(Conflict):
            store.put("a", b"3", if_match=stale)
    assert store.get("a").data == b"2"


def test_a_swap_does_not_create(store: Store) -> None:
    with pytest.raises(Conflict):
        store.put("a", b"1", if_match="0" * 32)
    etag = store.put("a", b"1")
    store.delete("a")
    with pytest.raises(Conflict):
        store.put("a", b"2", if_match=etag)
    assert keys(store) == []


def test_a_swap_by_the_etag_of_each_way_to_learn_it(store: Store) -> None:
    store.put("a", b"0")
    ways: list[Callable[[], str]] = [
        lambda: store.head("a").etag,
        lambda: store.get("a").info.etag,
        lambda: next(iter(store.list(""))).etag,
    ]
    for number, way in enumerate(ways):
        store.put("a", b"next %d" % number, if_match=way())


class Race:
    """Conditional puts that begin together, and what each of them was told."""

    def __init__(self) -> None:
        self.won: list[bytes] = []
        self.unknown: list[bytes] = []

    def put(self, store: Store, body: bytes, **condition: Any) -> None:
        try:
            store.put("race", body, **condition)
        except Conflict:
            return
        except Unknown:  # old Ceph answers 500 to some losers
            self.unknown.append(body)
        else:
            self.won.append(body)

    def check(self, there: bytes) -> None:
        """One winner, and it is the one that is stored."""
        assert self.won == [there] or (not self.won and there in self.unknown)


def test_racing_creates(reopen: Callable[[], Store]) -> None:
    stores = [reopen() for _ in range(RACERS)]
    for round_ in range(5):
        race = Race()
        side_by_side(
            [partial(race.put, store, b"%d.%d" % (round_, n), if_absent=True) for n, store in enumerate(stores)]
        )
        race.check(stores[0].get("race").data)
        stores[0].delete("race")


def test_racing_swaps(reopen: Callable[[], Store]) -> None:
    stores = [reopen() for _ in range(RACERS)]
    stores[0].put("race", b"before")
    for number, store in enumerate(stores):  # each has learned by now how the server wants its etags
        store.put("race", b"warm %d" % number, if_match=store.head("race").etag)
    for round_ in range(5):
        race = Race()
        etag = stores[0].head("race").etag
        side_by_side(
            [partial(race.put, store, b"%d.%d" % (round_, n), if_match=etag) for n, store in enumerate(stores)]
        )
        race.check(stores[0].get("race").data)


def test_a_counter_loses_no_addition(reopen: Callable[[], Store]) -> None:
    """Every version says who made it, so equal bytes never share an etag, and a lost answer can be told."""
    reopen().put("counter", b"0 nobody")

    def add(racer: int) -> None:
        store = reopen()
        for turn in range(ADDITIONS):
            mine = b"%d/%d" % (racer, turn)
            while True:
                data, info = store.get("counter")
                value, writer = data.split()
                if writer == mine:
                    break
                try:
                    store.put("counter", b"%d %s" % (int(value) + 1, mine), if_match=info.etag)
                    break
                except (Conflict, Unknown):
                    continue

    side_by_side([partial(add, racer) for racer in range(RACERS)])
    assert reopen().get("counter").data.split()[0] == b"%d" % (RACERS * ADDITIONS)


# Files


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 20_000_000])
def test_files_of_any_size(store: Store, tmp_path: Path, size: int) -> None:
    pattern = b"0123456789abcdef-tracecraft" * (size // 27 + 1)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(pattern[:size])
    up: list[bytes] = []
    down: list[bytes] = []

    etag = store.upload("files/f", source, up.append)
    assert b"".join(up) == source.read_bytes()
    info = store.download("files/f", target, down.append)
    assert (info.key, info.etag, info.size) == ("files/f", etag, size)
    assert target.read_bytes() == source.read_bytes() == b"".join(down)
    assert store.head("files/f") == info


def test_a_file_replaces_and_is_replaced(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * (PART + 1))
    store.put("f", b"small")
    etag = store.upload("f", source, ignore)
    assert store.head("f").etag == etag
    store.put("f", b"small again", if_match=etag)
    assert store.get("f").data == b"small again"


def test_an_upload_that_fails_midway_leaves_the_old_object(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * (PART * 2))
    store.put("f", b"old")

    def fail(_chunk: bytes) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.upload("f", source, fail)
    assert store.get("f").data == b"old"
    assert keys(store) == ["f"]


def test_a_download_never_mixes_versions(store: Store, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"o" * (2 * PART + 5))
    new.write_bytes(b"n" * (2 * PART + 5))
    store.upload("f", old, ignore)
    seen: list[bytes] = []

    def replace_once(chunk: bytes) -> None:
        if not seen:
            store.upload("f", new, ignore)
        seen.append(chunk)

    target = tmp_path / "target"
    try:
        store.download("f", target, replace_once)
    except Unreachable:
        assert isinstance(store, BucketStore)
        assert set(target.read_bytes()) == {ord("o")}
        store.download("f", target, ignore)
        assert target.read_bytes() == new.read_bytes()
    else:
        assert target.read_bytes() == old.read_bytes() == b"".join(seen)


# Many calls at once


def test_waves_keep_order_and_skip_what_is_missing(store: Store) -> None:
    items = [(f"w/{number}", b"%d" % number) for number in range(100)]
    etags = put_many(store, items)
    found = get_many(store, ["w/none", *(key for key, _ in items)])
    assert [(key, item.data) for key, item in found.items()] == items
    assert [item.info.etag for item in found.values()] == list(etags)
    assert list(store.together([])) == []


def test_a_wave_is_finished_when_it_fails(store: Store) -> None:
    def fail(error: type[Exception]) -> str:
        raise error

    calls: list[Callable[[], str]] = [
        partial(store.put, "w/1", b""),
        partial(fail, ZeroDivisionError),
        partial(store.put, "w/2", b""),
        partial(fail, KeyError),
        partial(store.put, "w/3", b""),
    ]
    with pytest.raises(ZeroDivisionError):
        store.together(calls)
    assert keys(store) == ["w/1", "w/2", "w/3"]


def test_many_threads_share_one_store(store: Store) -> None:
    def work(worker: int) -> None:
        for turn in range(10):
            key = f"t/{worker}/{turn}"
            store.put(key, key.encode())
            assert store.get(key).data == key.encode()

    side_by_side([partial(work, worker) for worker in range(8)])
    assert len(keys(store, "t/")) == 80


def test_what_one_process_learned_the_next_recalls(reopen: Callable[[], Store]) -> None:
    one, other = reopen(), reopen()
    one.put("a", b"2", if_match=one.put("a", b"1"))
    other.recall(one.facts())
    assert other.facts() == one.facts()
    other.put("a", b"3", if_match=other.head("a").etag)
    other.recall({"quoted_etags": "nonsense", "else": 1})
    other.put("a", b"4", if_match=other.head("a").etag)


def test_the_url_tells_no_secret(store: Store) -> None:
    assert "testsecret" not in store.url
    if isinstance(store, BucketStore):
        assert store.url.endswith(PREFIX)
