"""What this machine remembers may be lost or broken at any time without harm."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tracecraft.localstate import LocalState, checksum


def test_there_and_back(home: Path) -> None:
    state = LocalState("s3://b", "demo")
    assert state.read("beat") == {}
    state.write("beat", {"at": 1.5, "ü": ["x"]})
    assert LocalState("s3://b", "demo").read("beat") == {"at": 1.5, "ü": ["x"]}
    assert state.folder.is_relative_to(home / ".tracecraft")
    assert [path.name for path in state.folder.iterdir()] == ["beat.json"]


def test_stores_and_projects_are_apart() -> None:
    states = [LocalState(url, project) for url in ("s3://a", "s3://b") for project in ("p", "q")]
    for number, state in enumerate(states):
        state.write("x", {"number": number})
    assert [state.read("x") for state in states] == [{"number": number} for number in range(4)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"a": NaN}'])
def test_broken_files_count_as_absent(content: bytes) -> None:
    state = LocalState("s3://b", "demo")
    state.write("x", {"a": 1})
    (state.folder / "x.json").write_bytes(content)
    assert state.read("x") == {}
    state.write("x", {"a": 2})
    assert state.read("x") == {"a": 2}


def test_a_home_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    state = LocalState("s3://b", "demo", tmp_path / "file")
    state.write("x", {"a": 1})
    assert state.read("x") == {}


def test_a_home_that_may_not_be_written(tmp_path: Path) -> None:
    state = LocalState("s3://b", "demo", tmp_path)
    state.write("x", {"a": 1})
    (state.folder / "x.json").unlink()
    (state.folder / "x.json").mkdir()
    state.write("x", {"a": 2})
    assert state.read("x") == {}
    assert os.listdir(state.folder) == ["x.json"]


def test_writers_and_readers_at_once_see_whole_files() -> None:
    state = LocalState("s3://b", "demo")
    state.write("x", {"value": [0] * 1000})
    seen: list[bool] = []

    def write(number: int) -> None:
        for _ in range(50):
            state.write("x", {"value": [number] * 1000})
            value = state.read("x").get("value", [])
            seen.append(len(value) == 1000 and len(set(value)) == 1)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [True] * 200


def test_the_checksum_is_the_one_that_others_compute_too() -> None:
    """From the test vectors of the FNV reference."""
    assert [checksum(text) for text in ("", "a", "foobar")] == [
        0xCBF29CE484222325,
        0xAF63DC4C8601EC8C,
        0x85944171F73967E8,
    ]
