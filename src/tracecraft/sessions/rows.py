"""Transcripts that are rows of an SQLite database, exported as lines of JSON. The database is only ever read.

A harness that keeps its transcripts so builds on `RowHarness`. What is left to write is `discover`, `normalise`,
`lines` (the new rows of one session) and `header` (what is known of the session itself). Only rows of the session
asked for are exported, so nothing else that a harness keeps in the same file leaves the machine.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from tracecraft.sessions.harness import MAIN, Batch, Bookmark, Cursor, Found, Machine, Restarted, Source
from tracecraft.sessions.lines import below
from tracecraft.sessions.message import Entry

BATCH = 8 * 1024 * 1024
"""Bytes of lines that are read at a time. A larger row is read alone."""

_BUSY_SECONDS = 0.2
_HEADER_BYTES = 20
_LOG_MODE = b"\x02\x02"
_JSON = msgspec.json.Decoder(msgspec.Raw)
_ENCODER = msgspec.json.Encoder()

Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A number that SQLite can hold."""

Shape = TypeVar("Shape", bound=msgspec.Struct)

_ALONE = threading.Lock()
"""Closing a file of a database drops all locks that this process holds on it (POSIX), so one thread reads at a time."""


class Database:
    """A read transaction of a database. Texts come as bytes: a harness's text need not be valid UTF-8."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, *parameters: object) -> Iterator[dict[str, Any]]:
        """The rows of a query, by the names of their columns, as they are read."""
        found = self._connection.execute(sql, parameters)
        names = [column[0] for column in found.description]
        return (dict(zip(names, row, strict=True)) for row in found)

    def one(self, sql: str, *parameters: object) -> dict[str, Any]:
        """The first row of a query, or nothing."""
        return next(self.rows(sql, *parameters), {})

    def columns(self, table: str) -> set[str]:
        """The columns that a table has in this version of the harness; none when there is no such table."""
        return {decoded(row["name"]) for row in self.rows("SELECT name FROM pragma_table_info(?)", table)}


@contextmanager
def opened(path: Path) -> Iterator[Database]:
    """One consistent view of a database. Raises OSError when it is locked, broken or gone: later it may not be."""
    with _ALONE:
        try:
            with _connected(path) as connection:
                yield Database(connection)
        except sqlite3.Error as error:
            raise OSError(f"the database {path} cannot be read at present: {error}") from error


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that leaves no file beside the database."""
    path = path.resolve()
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no database", str(path))
    log, shared = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    if log.exists() and not shared.exists():
        raise BlockingIOError(errno.EAGAIN, "its log needs the harness to be opened once", str(path))
    if not log.exists() and _keeps_a_log(path):
        with _at_rest(path, log), closing(_begun(_open(f"{path.as_uri()}?mode=ro&immutable=1"))) as connection:
            yield connection
    else:
        with closing(_shared(f"{path.as_uri()}?mode=ro", log.exists())) as connection:
            yield connection


def _shared(uri: str, has_log: bool) -> sqlite3.Connection:
    if has_log:
        with suppress(sqlite3.OperationalError):
            return _begun(_open(f"{uri}&readonly_shm=1"))
    return _begun(_open(uri))


def _open(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _begun(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection with its read transaction begun; closed if that cannot be."""
    try:
        connection.text_factory = bytes
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _keeps_a_log(path: Path) -> bool:
    """Whether SQLite would make a log beside the database just to read it."""
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES).endswith(_LOG_MODE)


@contextmanager
def _at_rest(path: Path, log: Path) -> Iterator[None]:
    """For a database that nobody has open. Raises OSError if somebody opened or changed it while it was read."""
    before = path.stat()
    try:
        yield
    finally:
        after = path.stat()
        same = (before.st_mtime_ns, before.st_size, before.st_ino) == (after.st_mtime_ns, after.st_size, after.st_ino)
        if log.exists() or not same:
            raise BlockingIOError(errno.EAGAIN, "changed while it was read", str(path))


def place(cursor: Cursor, shape: type[Shape]) -> Shape:
    """A cursor as its harness made it. Raises Restarted for any other: they are kept where others can change them."""
    try:
        return msgspec.convert(cursor, shape)
    except msgspec.ValidationError:
        raise Restarted("the cursor is not one of this database") from None


def decoded(value: bytes | str) -> str:
    """A text of a database, with what is no UTF-8 in it replaced."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def embedded(value: Any) -> Any:
    """The JSON that a column holds, byte for byte, to be part of a line; what is no JSON, as the text it is."""
    if not isinstance(value, bytes):
        return value
    try:
        value.decode()
        _JSON.decode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return decoded(value)
    return msgspec.Raw(value.replace(b"\r", b" ").replace(b"\n", b" "))


def exported(table: str, row: Mapping[str, Any], *, json: Iterable[str] = ()) -> dict[str, Any]:
    """A row as `{"table": ..., "row": {...}}`, without its empty columns, with the JSON of those in `json` embedded."""
    columns = {
        name: embedded(value) if name in json else decoded(value) if isinstance(value, bytes) else value
        for name, value in row.items()
        if value is not None
    }
    return {"table": table, "row": columns}


def line(table: str, row: Mapping[str, Any], *, json: Iterable[str] = (), **more: Any) -> bytes:
    """A row as a line of JSON, with what else is to be told of it."""
    return _ENCODER.encode_lines([{**exported(table, row, json=json), **more}])


def chosen(row: Mapping[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    """Only these columns of a row, those that this version of the harness has."""
    return {name: row[name] for name in columns if name in row}


class RowHarness(ABC):
    """A harness whose transcripts are rows. Its cursors tell by themselves whether the rows before them changed."""

    name: str

    @abstractmethod
    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        """The sessions of a folder, or of the whole machine."""

    @abstractmethod
    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        """What a line means."""

    @abstractmethod
    def lines(self, database: Database, found: Found, cursor: Cursor | None) -> Iterable[tuple[bytes, Cursor]]:
        """The rows behind the cursor as lines, each with the cursor behind it. Raises Restarted."""

    @abstractmethod
    def header(self, database: Database, found: Found) -> bytes:
        """What is known of the session by now, as a line that goes before new ones; empty where they tell it."""

    def sources(self, found: Found) -> Sequence[Source]:
        return [Source(found.path, MAIN)]

    def read_new(self, found: Found, source: Source, cursor: Cursor | None) -> Batch | None:
        taken: list[bytes] = []
        size = 0
        more = False
        with opened(source.path) as database:
            for new, behind in self.lines(database, found, cursor):
                if taken and size + len(new) > BATCH:
                    more = True
                    break
                taken.append(new)
                size += len(new)
                cursor = behind
            if not taken or cursor is None:
                return None
            header = self.header(database, found)
        chunks = [header, *taken] if header else taken
        return Batch(chunks, size + len(header), cursor, more)

    def bookmark(self, source: Source, cursor: Cursor) -> Bookmark:
        return {}

    def recognises(self, source: Source, cursor: Cursor, bookmark: Bookmark | None) -> bool | None:
        return True

    def read_again(self, source: Source, start: int, end: int) -> Iterator[bytes]:
        """Rows have no place in bytes. It is never asked for, as every cursor is recognised."""
        raise Restarted("rows of a database are read by their cursor alone")

    def process(self, machine: Machine, found: Found) -> int | None:
        return None

    def restored(self, machine: Machine, session_id: str, source_path: str, cwd: Path) -> Path | None:
        return None

    def stream_path(self, main: Path, stream: str) -> Path:
        return main if stream == MAIN else below(main.parent, stream)
