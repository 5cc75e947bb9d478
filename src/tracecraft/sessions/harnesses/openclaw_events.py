"""The events of a session in OpenClaw's database: in rows, or in the archive of what nobody used for long."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from tracecraft.sessions import fields
from tracecraft.sessions.harness import Found
from tracecraft.sessions.lines import parse
from tracecraft.sessions.rows import Database, decoded, embedded, line

_ARCHIVE = re.compile(r"[a-f0-9]{64}\.jsonl\.zst")
_LARGEST_EVENT = 4 * 1024 * 1024
_LARGEST_ARCHIVE = 64 * 1024 * 1024
"""OpenClaw's own limits of what it decompresses, in bytes."""

_WINDOW_LOG = 25
"""The memory that decompressing may take, as a power of two of bytes. What was compressed says how much it needs."""


class Event(NamedTuple):
    """An event: its place, when it was written in milliseconds since 1970, and what it is, empty where it is broken."""

    seq: int
    at: int
    json: bytes

    def line(self) -> bytes:
        """The event as it is; one that is no JSON object, as the text in its row."""
        json = embedded(self.json)
        if isinstance(json, msgspec.Raw) and self.json.lstrip().startswith(b"{"):
            return bytes(json) + b"\n"
        return line("transcript_events", {"seq": self.seq, "event_json": self.json})


class Events(NamedTuple):
    """The events of a session: how many there are up to one, when that was written, and those behind it."""

    before: int
    at: int
    behind: Iterable[Event]


def in_rows(database: Database, session_id: str, seq: int) -> Events | None:
    """The events that are in rows; None when none is."""
    if not database.one("SELECT 1 FROM transcript_events WHERE session_id = ? LIMIT 1", session_id):
        return None
    own = "FROM transcript_events WHERE session_id = ? AND typeof(seq) = 'integer' AND seq"
    before = database.one(f"SELECT count(*) AS count {own} <= ?", session_id, seq)
    last = database.one(f"SELECT created_at {own} = ?", session_id, seq)
    rows = database.rows(f"SELECT * {own} > ? ORDER BY seq", session_id, seq)
    behind = (Event(row["seq"], fields.count(row["created_at"]), _json(row)) for row in rows)
    return Events(before["count"], fields.count(last.get("created_at")), behind)


def in_archive(database: Database, found: Found, seq: int) -> Events | None:
    """The events that are in an archive; None when there is none. Raises OSError when it is not there."""
    if not database.columns("session_transcript_cold_archives"):
        return None
    query = "SELECT * FROM session_transcript_cold_archives WHERE session_id = ?"
    archive = database.one(query, found.session_id)
    data = _archive(archive, found) if archive else None
    if data is None:
        return None
    records = _decompressed(data, _LARGEST_ARCHIVE)
    events = [event for record in records if (event := _archived(record))]
    before = [event for event in events if event.seq <= seq]
    return Events(len(before), before[-1].at if before else 0, (event for event in events if event.seq > seq))


def first(database: Database, session_id: str) -> dict[str, Any]:
    """The first event in rows, which tells where the session was held; empty when it cannot be read."""
    query = "SELECT * FROM transcript_events WHERE session_id = ? ORDER BY seq LIMIT 1"
    return parse(_json(database.one(query, session_id))) or {}


def _json(row: dict[str, Any]) -> bytes:
    """Larger events are compressed."""
    compressed = row.get("event_zstd")
    if not isinstance(compressed, bytes):
        event = row.get("event_json")
        return event if isinstance(event, bytes) else b""
    try:
        return b"".join(_decompressed(compressed, _LARGEST_EVENT))
    except OSError:
        return b""


def _archive(archive: dict[str, Any], found: Found) -> bytes | None:
    """An archive is in its row, or in a file among the session files of the agent."""
    data = archive.get("archive_blob")
    if isinstance(data, bytes):
        return data
    name = decoded(archive.get("archive_name") or "")
    if not _ARCHIVE.fullmatch(name):
        return None
    return (found.path.parent.parent / "sessions" / "cold" / name).read_bytes()


def _archived(record: bytes) -> Event | None:
    """An archive holds events, and what OpenClaw needs to restore its indexes."""
    told = parse(record) or {}
    row = fields.record(told, "row")
    seq, json = row.get("seq"), row.get("event_json")
    if told.get("kind") != "event" or type(seq) is not int or not isinstance(json, str):
        return None
    return Event(seq, fields.count(row.get("created_at")), json.encode("utf-8", "replace"))


def _decompressed(data: bytes, limit: int) -> Iterator[bytes]:
    """What was compressed, line by line. Raises OSError when it is broken, or more than the limit."""
    if sys.version_info >= (3, 14):
        from compression.zstd import DecompressionParameter, ZstdError, ZstdFile
    else:
        from backports.zstd import DecompressionParameter, ZstdError, ZstdFile

    left = limit
    try:
        with ZstdFile(io.BytesIO(data), options={DecompressionParameter.window_log_max: _WINDOW_LOG}) as file:
            while part := file.readline(left + 1):
                left -= len(part)
                if left < 0:
                    raise OSError(f"more than {limit} bytes are compressed in it")
                yield part
    except (ZstdError, EOFError) as error:
        raise OSError(f"not readable as zstd: {error}") from error
