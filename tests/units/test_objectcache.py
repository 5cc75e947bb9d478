"""What this machine remembers of objects saves requests, and is never believed over the store."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tracecraft import objectcache
from tracecraft.objectcache import WORTHWHILE, ObjectCache
from tracecraft.store import Info, Object
from tracecraft.store.memory import MemoryStore

MANY = WORTHWHILE + 10


class CountingStore(MemoryStore):
    """Says which keys were read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def get(self, key: str) -> Object:
        self.asked.append(key)
        return super().get(key)


@pytest.fixture
def store() -> CountingStore:
    store = CountingStore()
    for number in range(MANY):
        store.put(f"p/{number:04d}", b"body %d" % number)
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def read(store: CountingStore, folder: Path, listed: Sequence[Info] | None = None) -> dict[str, bytes]:
    """What a fresh process gets, after forgetting what was asked before."""
    store.asked.clear()
    found = ObjectCache(folder).get_many(store, list(store.list("p/")) if listed is None else listed)
    return {key: item.data for key, item in found.items()}


def bodies(store: CountingStore) -> dict[str, bytes]:
    return {info.key: store.get(info.key).data for info in store.list("p/")}


def test_what_did_not_change_is_not_read_again(store: CountingStore, folder: Path) -> None:
    expected = bodies(store)
    assert read(store, folder) == expected
    assert len(store.asked) == MANY
    assert read(store, folder) == expected
    assert store.asked == []


def test_what_changed_is_read_again(store: CountingStore, folder: Path) -> None:
    read(store, folder)
    store.put("p/0003", b"changed")
    store.put("p/new", b"new")
    store.delete("p/0004")
    found = read(store, folder)
    assert sorted(store.asked) == ["p/0003", "p/new"]
    assert found == bodies(store)
    read(store, folder)
    assert store.asked == []


def test_many_who_begin_together_read_everything_once(store: CountingStore, folder: Path) -> None:
    for number in range(MANY):
        store.put(f"q/{number:04d}", b"other body")
    read(store, folder, list(store.list("q/")))
    listed = list(store.list("p/"))
    expected = bodies(store)
    store.asked.clear()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ObjectCache(folder).get_many(store, listed), range(8)))
    assert [{key: item.data for key, item in one.items()} for one in found] == [expected] * 8
    assert sorted(store.asked) == sorted(expected)


def test_a_reader_that_hangs_is_not_waited_for_long(
    store: CountingStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objectcache, "_PATIENCE", 0.2)
    folder.mkdir()
    with (folder / "objects.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read(store, folder) == bodies(store)


def test_few_objects_leave_no_trace(store: CountingStore, folder: Path) -> None:
    read(store, folder, list(store.list("p/"))[:5])
    assert len(store.asked) == 5
    assert not folder.exists()


def test_an_object_that_went_since_it_was_listed_is_left_out(store: CountingStore, folder: Path) -> None:
    listed = list(store.list("p/"))
    store.delete("p/0000")
    assert "p/0000" not in read(store, folder, listed)


def test_an_object_that_changed_since_it_was_listed_is_kept_as_read(store: CountingStore, folder: Path) -> None:
    listed = list(store.list("p/"))
    store.put("p/0000", b"later")
    assert read(store, folder, listed)["p/0000"] == b"later"
    assert read(store, folder)["p/0000"] == b"later"
    assert store.asked == []


def test_part_of_a_listing_makes_nothing_forgotten(store: CountingStore, folder: Path) -> None:
    read(store, folder)
    listed = list(store.list("p/"))
    store.put("p/0000", b"changed")
    read(store, folder, [store.head("p/0000"), *listed[2:]])
    read(store, folder)
    assert store.asked == []


def test_what_is_gone_is_forgotten_in_the_end(store: CountingStore, folder: Path) -> None:
    read(store, folder)
    for number in range(MANY):
        store.put(f"p/{number:04d}-x", b"other")
        store.delete(f"p/{number:04d}")
    store.put("p/0000-", b"first")
    store.put("p/9999", b"last")
    for info in list(store.list("p/"))[1 : MANY - WORTHWHILE]:
        store.delete(info.key)
    read(store, folder)
    with sqlite3.connect(folder / "objects.sqlite") as database:
        kept = {key for (key,) in database.execute("SELECT key FROM objects")}
    assert kept >= {info.key for info in store.list("p/")}
    assert len(kept) <= 2 * len(list(store.list("p/"))) + 1


@pytest.mark.parametrize("content", [b"", b"no database", os.urandom(5000), b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_broken_cache_is_put_aside(store: CountingStore, folder: Path, content: bytes) -> None:
    read(store, folder)
    for path in folder.iterdir():
        path.unlink()
    (folder / "objects.sqlite").write_bytes(content)
    assert read(store, folder) == bodies(store)
    assert read(store, folder) == bodies(store)
    read(store, folder)
    assert store.asked == []


def test_a_cut_cache_is_put_aside(store: CountingStore, folder: Path) -> None:
    read(store, folder)
    path = folder / "objects.sqlite"
    whole = path.read_bytes()
    for size in (100, 4096, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert read(store, folder) == bodies(store)


def test_a_locked_cache_is_done_without(store: CountingStore, folder: Path) -> None:
    read(store, folder)
    other = sqlite3.connect(folder / "objects.sqlite")
    other.execute("BEGIN EXCLUSIVE")
    store.put("p/0000", b"changed")
    assert read(store, folder) == bodies(store)
    other.rollback()
    other.close()


def test_no_place_for_a_cache(store: CountingStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert read(store, tmp_path / "file" / "state") == bodies(store)


def test_only_its_owner_may_read_it(store: CountingStore, folder: Path) -> None:
    read(store, folder)
    assert stat.S_IMODE((folder / "objects.sqlite").stat().st_mode) == 0o600


def test_a_planted_link_is_not_followed(store: CountingStore, folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (tmp_path / "precious").write_text("mine")
    (folder / "objects.sqlite").symlink_to(tmp_path / "precious")
    assert read(store, folder) == bodies(store)
    assert (tmp_path / "precious").read_text() == "mine"
