"""OpenCode: a database with a log of events where it is kept and complete, and rows for messages and their parts.

The log is only added to. Without it the rows are read, which are written again while the model answers, so only
messages that are finished are; and where OpenCode is older than its database, the JSON files of the same messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tracecraft.sessions import fields
from tracecraft.sessions.harness import Batch, Cursor, Found, Machine, Restarted, Source
from tracecraft.sessions.harnesses import common, opencode_tree
from tracecraft.sessions.harnesses.opencode_messages import Read, Stored, about, behind, failure, finished, said, spent
from tracecraft.sessions.message import About, Entry
from tracecraft.sessions.rows import Database, Number, RowHarness, chosen, decoded, exported, line, opened, place

_SESSION = (
    *("id", "project_id", "parent_id", "slug", "directory", "path", "title", "version", "agent", "model", "cost"),
    *("tokens_input", "tokens_output", "tokens_reasoning", "tokens_cache_read", "tokens_cache_write"),
    *("summary_additions", "summary_deletions", "summary_files", "time_created", "time_updated", "time_archived"),
)
"""What is exported of a session: not where it was shared to, nor what it may do."""


class _Logged(msgspec.Struct, tag_field="mode", tag="events"):
    """What was read of the log: up to which event."""

    seq: Number
    id: str


class _Place(msgspec.Struct):
    read: _Logged | Read


class OpenCode(RowHarness):
    name = "opencode"

    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        """A session that was moved from files into the database is found once: in the database."""
        data = common.folder(machine, "XDG_DATA_HOME", ".local", "share") / "opencode"
        known: set[str] = set()
        for path in _databases(machine, data):
            try:
                stored = self._sessions(path)
            except OSError:
                continue
            for found in stored:
                if found.session_id not in known and common.same_folder(found.cwd, cwd):
                    yield found
                known.add(found.session_id)
        for found in opencode_tree.sessions(self.name, data):
            if found.session_id not in known and common.same_folder(found.cwd, cwd):
                yield found

    def _sessions(self, path: Path) -> list[Found]:
        with opened(path) as database:
            rows = list(database.rows("SELECT id, directory, time_updated FROM session"))
        return [
            Found(
                self.name,
                _text(row["id"]),
                path,
                _text(row["directory"]),
                (common.number(row["time_updated"]) or 0) / 1000,
            )
            for row in rows
            if _text(row["id"])
        ]

    def read_new(self, found: Found, source: Source, cursor: Cursor | None) -> Batch | None:
        if source.path.suffix == ".json":
            return opencode_tree.read_new(found, cursor)
        return super().read_new(found, source, cursor)

    def lines(self, database: Database, found: Found, cursor: Cursor | None) -> Iterable[tuple[bytes, Cursor]]:
        read = None if cursor is None else place({"read": cursor}, _Place).read
        roles = _log_roles(database, found.session_id)
        if (roles is None and isinstance(read, _Logged)) or (roles is not None and isinstance(read, Read)):
            raise Restarted("what OpenCode keeps of the session is no longer what it was")
        if roles is not None:
            return _events(database, found.session_id, read if isinstance(read, _Logged) else None, roles)
        return _messages(database, found.session_id, read if isinstance(read, Read) else None)

    def header(self, database: Database, found: Found) -> bytes:
        """The events of a log begin with one that says the same, and more follow when it changes."""
        if _log_roles(database, found.session_id) is not None:
            return b""
        row = database.one("SELECT * FROM session WHERE id = ?", found.session_id)
        return line("session", chosen(row, _SESSION), json=["model"])

    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        row = fields.record(record, "row")
        if record.get("table") == "session":
            return [about(fields.record(row, "data") or row)]
        if record.get("table") == "message":
            return _message(row, fields.records(record.get("parts")))
        if record.get("table") == "event":
            return _event(row, fields.text(record.get("role")))
        return ()


def _databases(machine: Machine, data: Path) -> list[Path]:
    named = machine.environ.get("OPENCODE_DB", "").strip()
    if named:
        return [] if named == ":memory:" else [data / named]
    return sorted({*data.glob("opencode.db"), *data.glob("opencode-*.db")})


def _text(value: Any) -> str:
    return decoded(value) if isinstance(value, bytes) else ""


def _log_roles(database: Database, session_id: str) -> dict[str, str] | None:
    """The role of each message in the log, or None where the log does not tell the whole session.

    OpenCode has versions that keep no log, and settings that turn it on and off.
    """
    if not database.columns("event"):
        return None
    log = "FROM event WHERE aggregate_id = ?"
    ends = database.one(f"SELECT count(*) AS count, min(seq) AS first, max(seq) AS last {log}", session_id)
    if ends["count"] == 0 or (ends["first"], ends["last"]) != (0, ends["count"] - 1):
        return None
    first = database.one(f"SELECT type {log} AND seq = 0", session_id)
    if not _text(first["type"]).startswith("session.created"):
        return None
    roles = {}
    for row in database.rows(f"SELECT data {log} AND type LIKE 'message.updated%'", session_id):
        info = fields.record(_data(row), "info")
        roles[fields.text(info.get("id"))] = fields.text(info.get("role"))
    kept = database.rows("SELECT id FROM message WHERE session_id = ?", session_id)
    return roles if all(_text(row["id"]) in roles for row in kept) else None


def _events(
    database: Database, session_id: str, read: _Logged | None, roles: dict[str, str]
) -> Iterator[tuple[bytes, Cursor]]:
    """Events, with the role of the message to which a part belongs, as the part does not tell it."""
    if read is not None:
        same = database.one("SELECT id FROM event WHERE aggregate_id = ? AND seq = ?", session_id, read.seq)
        if _text(same.get("id")) != read.id:
            raise Restarted("the log of the session was written anew")
    query = "SELECT id, seq, type, data FROM event WHERE aggregate_id = ? AND seq > ? ORDER BY seq"
    for row in database.rows(query, session_id, read.seq if read else -1):
        role = {}
        if _text(row["type"]).startswith("message.part."):
            role = {"role": roles.get(fields.text(fields.record(_data(row), "part").get("messageID")), "")}
        behind_it = _Logged(row["seq"], _text(row["id"]))
        yield line("event", row, json=["data"], **role), msgspec.to_builtins(behind_it)


def _messages(database: Database, session_id: str, read: Read | None) -> Iterator[tuple[bytes, Cursor]]:
    query = (
        "SELECT message_id, count(*) AS count, max(time_updated) AS updated FROM part"
        " WHERE session_id = ? AND typeof(time_updated) = 'integer' GROUP BY message_id"
    )
    parts = {_text(row["message_id"]): (row["count"], row["updated"]) for row in database.rows(query, session_id)}
    query = "SELECT * FROM message WHERE session_id = ? AND typeof(time_created) = 'integer'"
    rows = {_text(row["id"]): row for row in database.rows(query, session_id)}
    stored = [
        Stored(row["time_created"], identity, _data(row), *parts.get(identity, (0, 0)))
        for identity, row in rows.items()
    ]
    for message, so_far in behind(finished(stored), read):
        own = database.rows(
            "SELECT * FROM part WHERE session_id = ? AND message_id = ? ORDER BY id", session_id, message.id
        )
        yield _message_line(rows[message.id], own), msgspec.to_builtins(so_far)


def _message_line(row: dict[str, Any], parts: Iterable[dict[str, Any]]) -> bytes:
    """A message with its parts."""
    return line("message", row, json=["data"], parts=[exported("part", part, json=["data"]) for part in parts])


def _data(row: dict[str, Any]) -> dict[str, Any]:
    return fields.record(common.json_in(_text(row.get("data"))))


def _message(row: dict[str, Any], parts: Iterable[dict[str, Any]]) -> Iterator[Entry]:
    message = {"id": row.get("id"), **fields.record(row, "data")}
    role = "user" if message.get("role") == "user" else "assistant"
    model = fields.text(message.get("modelID"))
    at = common.moment(fields.record(message, "time").get("created"))
    for part in parts:
        data = fields.record(part.get("row", part), "data")
        times = fields.record(data, "time")
        yield from said(data, role, model, common.moment(times.get("end") or times.get("start")) or at)
    yield from spent(message)
    yield from failure(message)


def _event(row: dict[str, Any], role: str) -> Iterator[Entry]:
    kind = fields.text(row.get("type"))
    data = fields.record(row, "data")
    info = fields.record(data, "info")
    if kind.startswith(("session.created", "session.updated")):
        yield about(info)
    elif kind.startswith("message.updated"):
        yield from spent(info)
        yield from failure(info)
        if path := fields.text(fields.record(info, "path").get("cwd")):
            yield About(cwd=path)
    elif kind.startswith("message.part.updated"):
        part = fields.record(data, "part")
        if _is_final(part, role):
            yield from said(part, role or "assistant", "", common.moment(data.get("time")))


def _is_final(part: dict[str, Any], role: str) -> bool:
    """Whether a part is written for the last time: what the user says is at once, an answer when it has an end.

    The results of old calls are written once more when they are dropped from what the model is told.
    """
    if part.get("type") == "tool":
        state = fields.record(part, "state")
        dropped = fields.record(state, "time").get("compacted")
        return state.get("status") in ("completed", "error") and not dropped
    return role == "user" or "end" in fields.record(part, "time")
