"""Rows of a database are exported in batches of lines, and the database is never written."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sessions.databases.reading import drain, photograph, records
from tests.sessions.databases.writing import writer
from tracecraft.sessions.harness import Cursor, Found, Machine, Restarted, Source
from tracecraft.sessions.message import Entry
from tracecraft.sessions.rows import Database, Number, RowHarness, line, opened, place

MIB = 1 << 20


class Read(msgspec.Struct):
    id: Number = 0


class Plain(RowHarness):
    """Reads the table `said`."""

    name = "plain"

    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        return iter(())

    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        return ()

    def lines(self, database: Database, found: Found, cursor: Cursor | None) -> Iterable[tuple[bytes, Cursor]]:
        read = Read() if cursor is None else place(cursor, Read)
        for row in database.rows("SELECT * FROM said WHERE id > ? ORDER BY id", read.id):
            yield line("said", row, json=["data"]), {"id": row["id"]}

    def header(self, database: Database, found: Found) -> bytes:
        return line("header", database.one("SELECT count(*) AS count FROM said"))


HARNESS = Plain()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database as a harness leaves it when it ends: kept with a log, which is not there."""
    path = tmp_path / "folder" / "what? #1 %20.db"
    path.parent.mkdir()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE said (id INTEGER PRIMARY KEY, text TEXT, data TEXT)")
    database.execute("INSERT INTO said VALUES (1, 'one', '{}')")
    database.close()
    assert os.listdir(path.parent) == [path.name]
    return path


def session(path: Path) -> Found:
    return Found("plain", "s", path)


def texts(path: Path) -> list[str]:
    return [record["row"]["text"] for record in records(drain(HARNESS, session(path))[0]) if record["table"] == "said"]


def test_reading_leaves_nothing_beside_a_database_that_nobody_has_open(path: Path) -> None:
    before = photograph(path.parent)
    assert texts(path) == ["one"]
    assert photograph(path.parent) == before


def test_reading_leaves_nothing_beside_a_database_without_a_log(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = DELETE")
    database.close()
    before = photograph(path.parent)
    assert texts(path) == ["one"]
    assert photograph(path.parent) == before


def test_reading_writes_nothing_while_a_harness_writes(path: Path) -> None:
    with writer(path) as harness:
        harness.run(
            "INSERT INTO said VALUES (2, 'two', '{}')", "BEGIN IMMEDIATE", "INSERT INTO said VALUES (3, 'x', '')"
        )
        before = photograph(path.parent)
        assert len(before) == 3
        assert texts(path) == ["one", "two"]
        assert photograph(path.parent) == before
        harness.run("COMMIT")
        assert texts(path) == ["one", "two", "x"]
        harness.run("BEGIN EXCLUSIVE", "DELETE FROM said WHERE id = 3", "ROLLBACK", "PRAGMA wal_checkpoint(TRUNCATE)")
        assert texts(path) == ["one", "two", "x"]


def test_what_a_killed_harness_left_in_its_log_is_read(path: Path) -> None:
    with writer(path) as harness:
        harness.run("INSERT INTO said VALUES (2, 'two', '{}')")
        harness.kill()
    before = photograph(path.parent)
    assert len(before) == 3
    assert texts(path) == ["one", "two"]
    assert photograph(path.parent) == before
    path.with_name(path.name + "-shm").unlink()
    before = photograph(path.parent)
    with pytest.raises(OSError, match="log"):
        texts(path)
    assert photograph(path.parent) == before, "SQLite could read it only by making a file"


def test_a_database_that_nobody_has_open_is_read_without_files_beside_it(path: Path) -> None:
    before = photograph(path.parent)
    assert len(before) == 1
    assert texts(path) == ["one"]
    assert photograph(path.parent) == before


def test_reading_does_not_stop_a_harness_from_writing_or_ending(path: Path) -> None:
    with writer(path) as harness:
        harness.run("INSERT INTO said VALUES (2, 'two', '{}')")
        with opened(path) as database:
            assert database.one("SELECT count(*) AS count FROM said") == {"count": 2}
            harness.run("INSERT INTO said VALUES (3, 'three', '{}')", "PRAGMA wal_checkpoint(PASSIVE)")
            assert database.one("SELECT count(*) AS count FROM said") == {"count": 2}
        harness.run("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM")
        assert texts(path) == ["one", "two", "three"]


_OPENS_AND_ENDS = """
import sqlite3, sys
for number in range(2, 60, 2):
    database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
    database.execute("INSERT INTO said VALUES (?, 'x', '{}'), (?, 'x', '{}')", (number, number + 1))
    database.close()
"""


def test_every_read_sees_whole_transactions_of_a_harness_that_opens_and_ends(path: Path) -> None:
    seen: list[int] = []
    cursor: Cursor | None = None
    with subprocess.Popen([sys.executable, "-c", _OPENS_AND_ENDS, str(path)]) as harness:
        while True:
            over = harness.poll() is not None
            with contextlib.suppress(OSError):
                while batch := HARNESS.read_new(session(path), Source(path), cursor):
                    cursor = batch.cursor
                    seen += [record["row"]["id"] for record in records(batch.chunks)[1:]]
                    assert len(seen) % 2 == 1
                if over:
                    break
    assert harness.returncode == 0
    assert seen == list(range(1, 60))


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1000, b"SQLite format 3\0", None])
def test_what_cannot_be_read_raises_an_error_of_the_system(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    before = photograph(path.parent)
    with pytest.raises(OSError):  # noqa: PT011
        HARNESS.read_new(session(path), Source(path), None)
    assert photograph(path.parent) == before


def test_a_broken_database_raises_an_error_of_the_system(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(path.stat().st_size - 100))
    with pytest.raises(OSError, match="cannot be read at present"):
        HARNESS.read_new(session(path), Source(path), None)


def test_a_folder_and_a_pipe_are_no_databases(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(OSError, match="no database"):
            HARNESS.read_new(session(path), Source(path), None)


def test_a_locked_database_raises_an_error_of_the_system(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OSError, match="locked"):
        HARNESS.read_new(session(path), Source(path), None)
    database.execute("COMMIT")
    assert texts(path) == ["one"]
    database.close()


def test_a_database_that_is_opened_while_it_is_read_is_read_later(path: Path) -> None:
    def read_meanwhile() -> None:
        with opened(path) as database, writer(path) as harness:
            harness.run("INSERT INTO said VALUES (2, 'two', '{}')")
            assert database.one("SELECT count(*) AS count FROM said") == {"count": 1}
            raise Restarted("what is wrong in such a view means nothing")

    with pytest.raises(BlockingIOError):
        read_meanwhile()
    assert texts(path) == ["one", "two"]


def test_batches_are_bounded_and_a_larger_row_is_read_alone(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    for number, size in enumerate([3, 3, 3, 20, 1, 9, 2], start=2):
        database.execute("INSERT INTO said VALUES (?, ?, '{}')", (number, "x" * size * MIB))
    database.close()
    cursor: Cursor | None = None
    ids = []
    more = True
    while more:
        batch = HARNESS.read_new(session(path), Source(path), cursor)
        assert batch is not None
        cursor, more = batch.cursor, batch.more
        ids.append([record["row"]["id"] for record in records(b"".join(batch.chunks).splitlines())[1:]])
    assert ids == [[1, 2, 3], [4], [5], [6], [7], [8]]


def test_a_row_of_64_mib_takes_less_than_itself_thrice(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("INSERT INTO said VALUES (2, 'x', ?)", (json.dumps({"a": "x" * 64 * MIB}),))
    database.close()
    tracemalloc.start()
    try:
        batch = HARNESS.read_new(session(path), Source(path), {"id": 1})
        assert batch is not None
        assert batch.size > 64 * MIB
        assert tracemalloc.get_traced_memory()[1] < 2.75 * 64 * MIB
    finally:
        tracemalloc.stop()


def test_a_row_has_the_same_bytes_whenever_it_is_read(path: Path) -> None:
    first, _ = drain(HARNESS, session(path))
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("ALTER TABLE said ADD COLUMN later TEXT")
    database.execute("INSERT INTO said VALUES (2, 'two', '{}', 'x')")
    database.close()
    again, _ = drain(HARNESS, session(path))
    assert again[1] == first[1] == b'{"table":"said","row":{"id":1,"text":"one","data":{}}}\n'


def test_a_cursor_of_anything_else_is_refused() -> None:
    assert place({"id": 5, "more": 1}, Read) == Read(5)
    for cursor in ({"id": None}, {"id": 2**63}, {"id": 1.5}, {"id": "1"}, {"id": True}):
        with pytest.raises(Restarted):
            place(cursor, Read)


@given(st.binary() | st.text() | st.integers(-(2**63), 2**63 - 1) | st.floats(), st.booleans())
def test_any_value_makes_one_line_of_json(value: Any, as_json: bool) -> None:
    stored = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    made = line("t", {"a": stored, "gone": None}, json=["a"] if as_json else [])
    assert made.endswith(b"\n")
    assert made.count(b"\n") == 1
    assert list(json.loads(made)["row"]) == ["a"]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_in_a_column_is_part_of_the_line(value: Any) -> None:
    for indent in (None, 1):
        made = line("t", {"a": json.dumps(value, indent=indent).encode()}, json=["a"])
        assert made.count(b"\n") == 1
        assert json.loads(made)["row"]["a"] == value


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "nul", '"\n"', '{"a":1} x', "NaN"])
def test_what_is_no_json_stays_a_text(text: str) -> None:
    made = line("t", {"a": text.encode()}, json=["a"])
    assert made.count(b"\n") == 1
    assert json.loads(made)["row"]["a"] == text
