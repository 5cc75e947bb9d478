"""The folder store beyond what every backend promises: processes that are killed, planted files, two in one tick."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.processes import wait_until
from tracecraft.clock import Deadline
from tracecraft.errors import Conflict, Denied, NotFound, StoreError, UsageError
from tracecraft.store import Store
from tracecraft.store.folder import FolderStore

SECONDS = 60
SIZE = 20_000
OLD = 2 * 86400.0

WRITER = """
import sys
from pathlib import Path
from tracecraft.errors import NotFound
from tracecraft.store.folder import FolderStore
store, number = FolderStore(Path(sys.argv[1])), int(sys.argv[2])
try:
    etag = store.head("w/swapped").etag
except NotFound:
    etag = store.put("w/swapped", b"", if_absent=True)
print("ready", flush=True)
while True:
    number += 1
    body = b"%08d" % number * 2500
    store.put(f"w/created-{number}", body, if_absent=True)
    print(f"w/created-{number}", flush=True)
    etag = store.put("w/swapped", body, if_match=etag)
    print(f"w/swapped {number}", flush=True)
    store.put("w/blind", body)
    print(f"w/blind {number}", flush=True)
"""

COUNTER = """
import sys
from pathlib import Path
from tracecraft.errors import Conflict
from tracecraft.store.folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
won = []
for number in range(20):
    try:
        store.put(f"race/{number}", sys.argv[2].encode(), if_absent=True)
        won.append(number)
    except Conflict:
        pass
for _ in range(25):
    while True:
        data, info = store.get("counter")
        try:
            store.put("counter", b"%d" % (int(data) + 1), if_match=info.etag)
            break
        except Conflict:
            pass
print(*won, flush=True)
"""

HOLDER = """
import fcntl, sys, time
with open(sys.argv[1]) as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> FolderStore:
    return FolderStore(root)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder next to the store with a secret in it, which nothing may read, change or list."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    (folder / "folder").mkdir()
    return folder


def keys(store: Store, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def ignore(_chunk: bytes) -> None:
    pass


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def content(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# Killed and racing processes


def test_a_killed_writer_loses_nothing_it_was_told(store: FolderStore, root: Path) -> None:
    moments = random.Random(1)
    number = 0
    for _round in range(25):
        process = start(WRITER, str(root), str(number))
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(moments.randint(1, 12))]
        threading.Event().wait(moments.random() * 0.01)
        process.kill()
        rest, _ = process.communicate(timeout=SECONDS)
        told = "".join([*lines, rest]).splitlines()
        assert told[0] == "ready"

        for line in told[1:]:
            key, _, at_least = line.partition(" ")
            data = store.get(key).data
            number = max(number, int(at_least or key.rpartition("-")[2]))
            assert int(data[:8]) >= int(at_least or data[:8])
        for info in store.list("w/"):
            data = store.get(info.key).data
            assert data == data[:8] * 2500, info.key
            number = max(number, int(data[:8] or 0))
        for key in ("w/swapped", "w/blind", f"w/created-{number}"):  # no lock is held by the dead
            store.put(key, b"%08d" % number * 2500)
        assert all(re.fullmatch(r"w/(swapped|blind|created-\d+)", key) for key in keys(store))
    assert number > 25


def test_processes_race(store: FolderStore, root: Path) -> None:
    store.put("counter", b"0")
    processes = [start(COUNTER, str(root), str(number)) for number in range(8)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won = [process.communicate(timeout=SECONDS)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8
    assert store.get("counter").data == b"200"
    assert sorted(int(number) for numbers in won for number in numbers) == list(range(20))
    for racer, numbers in enumerate(won):
        assert all(store.get(f"race/{number}").data == b"%d" % racer for number in numbers)


def test_readers_never_see_half_an_object(store: FolderStore, root: Path) -> None:
    store.put("w/blind", b"%08d" % 0 * 2500)
    process = start(WRITER, str(root), "0")
    deadline = Deadline(SECONDS)
    try:
        while store.get("w/blind").data[:8] <= b"%08d" % 100:
            assert not deadline.passed
            for key in ("w/blind", "w/swapped"):
                try:
                    data, info = store.get(key)
                except NotFound:
                    continue
                assert data == data[:8] * 2500
                assert info.size == len(data) in (0, SIZE)
            assert all(info.size in (0, SIZE) for info in store.list("w/"))
    finally:
        process.kill()
        process.communicate(timeout=SECONDS)


def test_a_download_is_of_one_version(store: FolderStore, tmp_path: Path) -> None:
    size = 4 << 20
    store.put("f", b"o" * size)

    def replace(_chunk: bytes) -> None:
        store.put("f", b"n" * size)

    info = store.download("f", tmp_path / "target", replace)
    assert (tmp_path / "target").read_bytes() == b"o" * size
    assert info.etag != store.head("f").etag


# Versions


def test_two_versions_within_one_tick_have_different_etags(store: FolderStore, root: Path) -> None:
    etags = []
    for number in range(300):
        etags.append(store.put("a", b"%03d" % number))
        if number == 150:  # from here on as if the clock did not move at all
            os.utime(root / "a", ns=(2**62, 2**62))
    assert len(set(etags)) == len(etags)


def test_a_clock_set_back_changes_no_swap(store: FolderStore, root: Path) -> None:
    store.put("a", b"1")
    os.utime(root / "a", ns=(2**61, 2**61))
    first = store.head("a").etag
    second = store.put("a", b"2", if_match=first)
    assert second != first
    with pytest.raises(Conflict):
        store.put("a", b"3", if_match=first)
    assert store.get("a").info.etag == second


# What was planted


def test_planted_links_to_files(store: FolderStore, root: Path, outside: Path) -> None:
    before = content(outside)
    store.put("a/real", b"real")
    (root / "a" / "link").symlink_to(outside / "secret")
    (root / "a" / "dangling").symlink_to(outside / "not-yet")
    for key in ("a/link", "a/dangling"):
        with pytest.raises(NotFound):
            store.get(key)
        with pytest.raises(NotFound):
            store.head(key)
        with pytest.raises(NotFound):
            store.download(key, outside.parent / "target", ignore)
        with pytest.raises(Conflict):
            store.put(key, b"new", if_absent=True)
        with pytest.raises(Conflict):
            store.put(key, b"new", if_match="0-0-0")
    assert keys(store) == ["a/real"]
    store.put("a/link", b"mine")
    store.delete("a/dangling")
    assert keys(store) == ["a/link", "a/real"]
    assert store.get("a/link").data == b"mine"
    assert content(outside) == before


def test_planted_links_to_folders(store: FolderStore, root: Path, outside: Path) -> None:
    before = content(outside)
    store.put("a/real", b"real")
    (root / "linked").symlink_to(outside)
    (root / "a" / "linked").symlink_to(outside / "folder")
    (root / "dangling").symlink_to(outside / "not-yet")
    for key in ("linked/secret", "linked/new", "linked/folder/new", "a/linked/new", "dangling/new"):
        with pytest.raises(NotFound):
            store.get(key)
        for condition in ({}, {"if_absent": True}):
            with pytest.raises(Denied):
                store.put(key, b"new", **condition)  # type: ignore[arg-type]
        with pytest.raises((Denied, Conflict)):
            store.put(key, b"new", if_match="0-0-0")
        store.delete(key)
    assert keys(store) == ["a/real"]
    assert keys(store, "linked/") == keys(store, "a/linked/") == keys(store, "linked/folder/") == []
    assert content(outside) == before


@pytest.mark.parametrize("planted", [".tracecraft", ".tracecraft/unfinished", ".tracecraft/locks"])
def test_planted_links_for_the_stores_own_folders(store: FolderStore, root: Path, outside: Path, planted: str) -> None:
    before = content(outside)
    (root / planted).parent.mkdir(parents=True)
    (root / planted).symlink_to(outside / "folder")
    for write in (
        lambda: store.put("a", b"1"),
        lambda: store.put("a", b"1", if_absent=True),
        lambda: store.delete("a"),
        lambda: store.upload("a", outside / "secret", ignore),
    ):
        with suppress(Denied):
            write()
        assert content(outside) == before
    store.sweep()
    assert content(outside) == before


def test_a_planted_lock(store: FolderStore, root: Path, outside: Path) -> None:
    store.put("a", b"1")
    (lock,) = (root / ".tracecraft" / "locks").iterdir()
    lock.unlink()
    lock.symlink_to(outside / "new")
    with pytest.raises(Denied):
        store.put("a", b"2")
    assert not (outside / "new").exists()


def test_sweeping_follows_no_link(store: FolderStore, root: Path, outside: Path) -> None:
    store.put("a", b"1")
    (root / ".tracecraft" / "unfinished").rmdir()
    (root / ".tracecraft" / "unfinished").symlink_to(outside)
    os.utime(outside / "secret", (0, 0))
    store.sweep()
    assert (outside / "secret").read_bytes() == b"secret"


def plant_fifo(path: Path) -> None:
    os.mkfifo(path)


def plant_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket may only be short
    try:
        with socket.socket(socket.AF_UNIX) as planted:
            planted.bind(path.name)
    finally:
        os.chdir(here)


def plant_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("plant", [plant_fifo, plant_socket, plant_folder])
def test_special_files_are_absent_and_nobody_hangs(
    store: FolderStore, root: Path, tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    store.put("a/real", b"real")
    plant(root / "a" / "odd")

    def use() -> None:
        with pytest.raises(NotFound):
            store.get("a/odd")
        with pytest.raises(NotFound):
            store.head("a/odd")
        with pytest.raises(NotFound):
            store.download("a/odd", tmp_path / "target", ignore)
        with pytest.raises(Conflict):
            store.put("a/odd", b"", if_absent=True)
        assert keys(store) == keys(store, "a/") == ["a/real"]
        if plant is plant_folder:
            with pytest.raises(StoreError):
                store.put("a/odd", b"mine")
            store.delete("a/odd")
        else:
            store.put("a/odd", b"mine")
            assert store.get("a/odd").data == b"mine"

    pool = ThreadPoolExecutor(1)
    pool.submit(use).result(SECONDS)
    pool.shutdown(wait=False)


def test_a_file_where_a_folder_should_be(store: FolderStore) -> None:
    store.put("a", b"1")
    with pytest.raises(NotFound):
        store.get("a/b")
    with pytest.raises(StoreError):
        store.put("a/b", b"2", if_absent=True)
    with pytest.raises(Conflict):
        store.put("a/b", b"2", if_match="0-0-0")
    store.delete("a/b")
    assert keys(store, "a/") == []
    assert keys(store) == ["a"]


def test_a_name_that_is_not_unicode_is_no_object(store: FolderStore, root: Path) -> None:
    store.put("a/b", b"")
    try:
        Path(os.fsdecode(os.fsencode(root) + b"/a/\xff.json")).write_bytes(b"{}")
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    assert keys(store) == ["a/b"]


# Keys


@pytest.mark.parametrize(
    "key",
    ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "a/.", "./a", "a//b", "a/", "a\0b", "a/b\0", "a/\ud800"],
)
def test_keys_that_are_no_plain_paths_are_refused(store: FolderStore, tmp_path: Path, key: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"1")
    for use in (
        store.get,
        store.head,
        store.delete,
        lambda key: store.get_if_changed(key, "e"),
        lambda key: store.put(key, b""),
        lambda key: store.put(key, b"", if_absent=True),
        lambda key: store.put(key, b"", if_match="e"),
        lambda key: store.upload(key, source, ignore),
        lambda key: store.download(key, tmp_path / "target", ignore),
    ):
        with pytest.raises(UsageError):
            use(key)
    assert keys(store) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"source", "store"}


@pytest.mark.parametrize("prefix", ["../", "/", "/etc/", "a/../../", "a//", "./", "a\0/", "../outside/"])
def test_prefixes_that_are_no_plain_paths_list_nothing(store: FolderStore, outside: Path, prefix: str) -> None:
    store.put("a/b", b"")
    with suppress(UsageError):
        assert keys(store, prefix) == []


def test_the_stores_own_folder_is_never_seen(store: FolderStore, root: Path) -> None:
    store.put("a", b"1")
    (root / ".tracecraft" / "unfinished" / "half").write_bytes(b"half")
    assert {path.name for path in (root / ".tracecraft").iterdir()} == {"locks", "unfinished"}
    assert keys(store) == ["a"]
    for key in (".tracecraft", ".tracecraft/unfinished/half", ".tracecraft/locks/new"):
        with pytest.raises(UsageError):
            store.get(key)
        with pytest.raises(UsageError):
            store.put(key, b"")
    with suppress(UsageError):
        assert keys(store, ".tracecraft/") == keys(store, ".tracecraft/unfinished/") == []
    store.put("b/.tracecraft/c", b"an object like any other")
    assert keys(store) == ["a", "b/.tracecraft/c"]


def test_keys_that_differ_in_case_only(store: FolderStore, root: Path) -> None:
    store.put("Name", b"1")
    if (root / "name").exists():
        with pytest.raises(Conflict):
            store.put("name", b"2", if_absent=True)
        return
    store.put("name", b"2", if_absent=True)
    assert keys(store) == ["Name", "name"]
    assert store.get("Name").data == b"1"


def test_a_name_too_long_for_the_file_system(store: FolderStore) -> None:
    key = "a/" + "n" * 300
    with pytest.raises(NotFound):
        store.get(key)
    with pytest.raises(UsageError):
        store.put(key, b"")


def test_the_root_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    FolderStore(tmp_path / "link").put("a/b", b"1")
    store = FolderStore(tmp_path / "real")
    assert store.get("a/b").data == b"1"
    assert store.url == FolderStore(tmp_path / "link").url


def test_a_store_that_is_not_there_yet(store: FolderStore, root: Path) -> None:
    assert keys(store) == keys(store, "a/") == []
    with pytest.raises(NotFound):
        store.get("a")
    store.delete("a")
    assert store.sweep() == 0
    store.put("a", b"1")
    assert keys(store) == ["a"]


# Rights


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of one's own, without the rights of root while the test runs."""
    with tempfile.TemporaryDirectory(prefix="tracecraft-") as name:
        os.chmod(name, 0o755)  # noqa: S103
        user = os.geteuid()
        if user == 0:
            os.chown(name, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(user)
            os.chmod(name, 0o755)  # noqa: S103


def test_a_read_only_folder(unprivileged: Path) -> None:
    store = FolderStore(unprivileged / "store")
    etag = store.put("a/b", b"1")
    folders = [unprivileged / "store", unprivileged / "store" / "a", *(unprivileged / "store").glob(".tracecraft/*")]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert store.get("a/b").data == b"1"
        assert keys(store) == ["a/b"]
        for write in (
            lambda: store.put("a/b", b"2"),
            lambda: store.put("a/c", b"2", if_absent=True),
            lambda: store.put("a/b", b"2", if_match=etag),
            lambda: store.delete("a/b"),
        ):
            with pytest.raises(Denied):
                write()
        assert store.get("a/b").data == b"1"
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_what_may_not_be_read(unprivileged: Path) -> None:
    store = FolderStore(unprivileged / "store")
    store.put("a/b", b"1")
    (unprivileged / "store" / "a" / "b").chmod(0)
    with pytest.raises(Denied):
        store.get("a/b")
    (unprivileged / "store" / "a").chmod(0)
    try:
        with pytest.raises(Denied):
            store.get("a/b")
        with pytest.raises(Denied):
            keys(store)
    finally:
        (unprivileged / "store" / "a").chmod(0o755)


def test_a_store_that_may_not_be_made(unprivileged: Path) -> None:
    unprivileged.chmod(0o555)
    with pytest.raises(Denied):
        FolderStore(unprivileged / "store").put("a", b"1")


# Leftovers


def test_sweep_removes_what_was_left_long_ago(store: FolderStore, root: Path) -> None:
    store.put("a", b"1")
    unfinished = root / ".tracecraft" / "unfinished"
    assert list(unfinished.iterdir()) == []
    now = (root / "a").stat().st_mtime
    for name, age in [("old", OLD), ("older", 9 * OLD), ("new", 60.0)]:
        (unfinished / name).write_bytes(b"half")
        os.utime(unfinished / name, (now - age, now - age))
    assert store.sweep() == 2
    assert [path.name for path in unfinished.iterdir()] == ["new"]
    assert store.sweep() == 0
    assert keys(store) == ["a"]


def test_sweep_of_a_killed_create_keeps_the_object(store: FolderStore, root: Path) -> None:
    """A process killed between making an object visible and removing its temporary name leaves both names."""
    store.put("a", b"1")
    os.utime(root / "a", (1, 1))
    os.link(root / "a", root / ".tracecraft" / "unfinished" / "left")
    assert store.sweep() == 1
    assert store.get("a").data == b"1"


def test_two_sweep_at_once(store: FolderStore, root: Path) -> None:
    store.put("a", b"1")
    unfinished = root / ".tracecraft" / "unfinished"
    for number in range(500):
        (unfinished / str(number)).write_bytes(b"")
        os.utime(unfinished / str(number), (1, 1))
    with ThreadPoolExecutor(4) as pool:
        removed = [pool.submit(FolderStore(root).sweep) for _ in range(4)]
        assert sum(one.result(SECONDS) for one in removed) == 500


def test_nothing_is_left_of_a_write_that_was_refused(store: FolderStore, root: Path, tmp_path: Path) -> None:
    store.put("a", b"1")
    with pytest.raises(Conflict):
        store.put("a", b"2", if_absent=True)
    with pytest.raises(Conflict):
        store.put("a", b"2", if_match="0-0-0")
    with pytest.raises(StoreError):
        store.put("a/b", b"2")
    assert list((root / ".tracecraft" / "unfinished").iterdir()) == []


def test_a_lock_is_waited_for_and_let_go_by_the_dead(store: FolderStore, root: Path) -> None:
    store.put("a", b"1")
    (lock,) = (root / ".tracecraft" / "locks").iterdir()
    program = (
        "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, 2); print('held', flush=True); time.sleep(600)"
    )
    process = start(program, str(lock))
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    writer = threading.Thread(target=store.put, args=("a", b"2"), daemon=True)
    writer.start()
    assert store.get("a").data == b"1"
    process.kill()
    process.communicate(timeout=SECONDS)
    assert wait_until(lambda: store.get("a").data == b"2", seconds=SECONDS)
