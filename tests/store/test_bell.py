"""Whoever waits on a folder is woken by a write, with the system's file events and without."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tracecraft.clock import Deadline
from tracecraft.store.bell import Bell
from tracecraft.store.folder import FolderStore

LONG = 60.0
"""Seconds a waiter would sleep without a write."""

WRITE = """
import sys
from pathlib import Path
from tracecraft.store.folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
store.put("p/key", b"by another process", **({"if_absent": True} if sys.argv[2] == "create" else {}))
"""


@pytest.fixture(params=["file events", "no file events"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "no file events":
        monkeypatch.setattr("tracecraft.store.bell._file_events", lambda _folder: None)
    elif sys.platform != "linux":
        pytest.skip("file events are Linux'")
    return tmp_path


def bell(root: Path) -> Bell:
    return Bell(root / ".tracecraft" / "unfinished", LONG, LONG)


@pytest.mark.parametrize("way", ["create", "replace"])
def test_a_write_of_another_process_wakes(root: Path, way: str) -> None:
    FolderStore(root).put("p/other", b"so that the folders are there")
    waiting, deadline = bell(root), Deadline(LONG / 2)
    process = subprocess.Popen([sys.executable, "-c", WRITE, str(root), way])
    try:
        while not (root / "p" / "key").exists():
            assert not deadline.passed
            waiting.sleep()
    finally:
        assert process.wait(LONG) == 0
    assert FolderStore(root).get("p/key").data == b"by another process"


def test_a_write_before_the_sleep_is_not_missed(root: Path) -> None:
    waiting, deadline = bell(root), Deadline(LONG / 2)
    FolderStore(root).put("p/key", b"x")
    waiting.sleep()
    assert not deadline.passed


def test_it_rings_once_for_what_happened(root: Path) -> None:
    waiting = bell(root)
    for number in range(100):
        FolderStore(root).put(f"p/{number}", b"x")
    waiting.sleep()
    deadline = Deadline(0.3)
    waiting.sleep(at_most=0.3)
    assert deadline.passed


def test_reading_does_not_ring(root: Path) -> None:
    store = FolderStore(root)
    store.put("p/key", b"x")
    waiting, deadline = bell(root), Deadline(0.3)
    store.get("p/key")
    list(store.list("p/"))
    waiting.sleep(at_most=0.3)
    assert deadline.passed


def test_a_folder_that_cannot_be_watched_is_looked_at_now_and_then(root: Path) -> None:
    (root / "file").write_text("no folder")
    waiting, deadline = Bell(root / "file" / "unfinished", 0.01, 0.02), Deadline(0.05)
    for _ in range(10):
        waiting.sleep()
    assert deadline.passed


def test_nothing_stays_open(root: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    for _ in range(50):
        bell(root)
    after = len(list(Path("/proc/self/fd").iterdir())) if before else 0
    assert after <= before


def test_waiters_of_one_process_are_all_woken(root: Path) -> None:
    store = FolderStore(root)
    store.put("p/other", b"x")
    bells = [bell(root) for _ in range(4)]
    threads = [threading.Thread(target=one.sleep) for one in bells]
    for thread in threads:
        thread.start()
    store.put("p/key", b"x")
    for thread in threads:
        thread.join(LONG / 2)
    assert not any(thread.is_alive() for thread in threads)
