"""Databases as OpenClaw 2026.9 has them, what it does to the events in them, and the files it had before."""

from __future__ import annotations

import json
import sqlite3
import sys
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_SCHEMA = """
CREATE TABLE auth_profile_store (
    store_key TEXT NOT NULL PRIMARY KEY, store_json TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT;
CREATE TABLE session_nodes (
    session_key TEXT NOT NULL PRIMARY KEY, current_session_id TEXT, entry_json TEXT, label TEXT) STRICT;
CREATE TABLE session_windows (
    session_id TEXT NOT NULL PRIMARY KEY, session_key TEXT NOT NULL, previous_session_id TEXT, reason TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, transcript_updated_at INTEGER DEFAULT NULL,
    account_id TEXT, model_provider TEXT, model TEXT, parent_session_key TEXT, spawned_by TEXT, display_name TEXT)
    STRICT;
CREATE TABLE transcript_rewrite_watermarks (
    session_id TEXT NOT NULL PRIMARY KEY, generation TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT;
CREATE TABLE session_transcript_archives (
    session_id TEXT NOT NULL, generation TEXT NOT NULL, archive_blob BLOB NOT NULL,
    PRIMARY KEY (session_id, generation)) STRICT;
CREATE TABLE session_transcript_cold_archives (
    session_id TEXT NOT NULL PRIMARY KEY, generation TEXT NOT NULL, archive_name TEXT NOT NULL UNIQUE,
    archive_sha256 TEXT NOT NULL, event_count INTEGER NOT NULL, last_seq INTEGER NOT NULL, storage TEXT NOT NULL,
    archive_blob BLOB) STRICT;
CREATE TABLE transcript_events (
    session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT, created_at INTEGER NOT NULL, event_zstd BLOB,
    event_utf8_bytes INTEGER, navigation_json TEXT, PRIMARY KEY (session_id, seq),
    CHECK ((event_json IS NOT NULL AND event_zstd IS NULL) OR (event_json IS NULL AND event_zstd IS NOT NULL))) STRICT;
"""
_FIRST_SCHEMA = """
CREATE TABLE transcript_events (
    session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT NOT NULL, created_at INTEGER NOT NULL,
    PRIMARY KEY (session_id, seq)) STRICT;
CREATE TABLE session_windows (session_id TEXT NOT NULL PRIMARY KEY, created_at INTEGER NOT NULL) STRICT;
"""
_COMPRESSED_FROM = 1024
_NEXT = "SELECT coalesce(max(seq), -1) + 1 FROM transcript_events WHERE session_id = ?"


def event(kind: str, number: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "id": f"e{number}", "timestamp": f"2026-11-20T10:41:{number % 60:02}.000Z", **more}


def opening(session_id: str, cwd: str) -> list[dict[str, Any]]:
    header = {"type": "session", "version": 4, "id": session_id, "timestamp": "2026-11-20T10:41:00.000Z", "cwd": cwd}
    return [header, event("model_change", 1, provider="mock", modelId="m-1")]


def turn(number: int) -> list[dict[str, Any]]:
    """A question, a call with its result, and an answer."""
    usage = {
        "input": 600,
        "output": 40,
        "cacheRead": 300,
        "cacheWrite": 5,
        "reasoningTokens": 10,
        "cost": {"total": 0.5},
    }
    said = {"role": "assistant", "model": "m-1", "usage": usage}
    call = {"type": "toolCall", "id": f"call_{number}", "name": "read", "arguments": {"path": "README.md"}}
    result = {"role": "toolResult", "toolCallId": f"call_{number}", "toolName": "read", "content": [], "isError": True}
    thought = {"type": "thinking", "thinking": "let me see"}
    first = 10 * number
    return [
        event("message", first, message={"role": "user", "content": f"question {number}"}),
        event("message", first + 1, message={**said, "content": [thought, call]}),
        event("message", first + 2, message={**result, "content": [{"type": "text", "text": "no such file"}]}),
        event("custom", first + 3, customType="x", data={}),
        event("message", first + 4, message={**said, "content": [{"type": "text", "text": f"answer {number}"}]}),
    ]


class OpenClawDatabase:
    def __init__(self, state: Path, agent: str = "main", *, schema: str = _SCHEMA) -> None:
        self.agent = state / "agents" / agent
        path = self.agent / "agent" / "openclaw-agent.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(schema)
        self._compresses = schema == _SCHEMA
        self.now = 1795171285000
        if self._compresses:
            self.run("INSERT INTO auth_profile_store VALUES ('k', '{\"token\": \"sk-secret\"}', 1)")

    @classmethod
    def first(cls, state: Path) -> OpenClawDatabase:
        """As the first version with a database had it."""
        return cls(state, schema=_FIRST_SCHEMA)

    def close(self) -> None:
        self._database.close()

    def session(self, session_id: str = "s1", cwd: str = "/srv/shop", **columns: Any) -> None:
        if not self._compresses:
            self.run("INSERT INTO session_windows VALUES (?, 1795171284000)", session_id)
            return self.append(opening(session_id, cwd), session_id)
        key = f"agent:main:{session_id}"
        self.run('INSERT INTO session_nodes VALUES (?, ?, \'{"skills": "sk-secret"}\', NULL)', key, session_id)
        row = {"session_id": session_id, "session_key": key, "created_at": 1795171284000, "updated_at": 1795171285000}
        row |= {"model": "m-0", "account_id": "sk-secret", **columns}
        marks = ", ".join("?" * len(row))
        self.run(f"INSERT INTO session_windows ({', '.join(row)}) VALUES ({marks})", *row.values())  # noqa: S608
        self.run("INSERT INTO transcript_rewrite_watermarks VALUES (?, ?, 1)", session_id, uuid.uuid4().hex)
        return self.append(opening(session_id, cwd), session_id)

    def append(self, events: list[dict[str, Any]], session_id: str = "s1") -> None:
        for each in events:
            self.append_text(json.dumps(each, separators=(",", ":")), session_id)

    def append_text(self, text: str, session_id: str = "s1") -> None:
        (seq,) = self._database.execute(_NEXT, (session_id,)).fetchone()
        data = text.encode()
        large = self._compresses and len(data) >= _COMPRESSED_FROM
        column, value = ("event_zstd", zstd.compress(data)) if large else ("event_json", text)
        sql = f"INSERT INTO transcript_events (session_id, seq, created_at, {column}) VALUES (?, ?, ?, ?)"  # noqa: S608
        self.now += 1
        self.run(sql, session_id, seq, self.now, value)

    def rewrite(self, events: list[dict[str, Any]], session_id: str = "s1") -> None:
        self.run("DELETE FROM transcript_events WHERE session_id = ?", session_id)
        self.append(events, session_id)
        self.run(
            "UPDATE transcript_rewrite_watermarks SET generation = ? WHERE session_id = ?", uuid.uuid4().hex, session_id
        )

    def archive(self, session_id: str = "s1", *, in_file: bool) -> None:
        """What is done to a session that nobody used for long: its events are compressed and deleted."""
        rows = self._database.execute(
            "SELECT seq, created_at, event_json, event_zstd FROM transcript_events WHERE session_id = ? ORDER BY seq",
            (session_id,),
        ).fetchall()
        records: list[dict[str, Any]] = [{"kind": "header", "version": 1, "sessionId": session_id, "generation": "g"}]
        for seq, at, plain, compressed in rows:
            text = plain if plain is not None else zstd.decompress(compressed).decode()
            records.append({"kind": "event", "row": {"seq": seq, "event_json": text, "created_at": at}})
            records.append({"kind": "identity", "row": {"event_id": f"e{seq}", "seq": seq}})
        data = zstd.compress(b"".join(json.dumps(record).encode() + b"\n" for record in records))
        digest = sha256(data).hexdigest()
        if in_file:
            path = self.agent / "sessions" / "cold" / f"{digest}.jsonl.zst"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.run(
            "INSERT INTO session_transcript_cold_archives VALUES (?, 'g', ?, ?, ?, ?, ?, ?)",
            *(session_id, f"{digest}.jsonl.zst", digest, len(rows), rows[-1][0]),
            *(("file", None) if in_file else ("sqlite", data)),
        )
        self.run("DELETE FROM transcript_events WHERE session_id = ?", session_id)

    def delete(self, session_id: str = "s1", *, kept: bool) -> None:
        for table in ("transcript_events", "session_windows", "transcript_rewrite_watermarks"):
            self.run(f"DELETE FROM {table} WHERE session_id = ?", session_id)  # noqa: S608
        if kept:
            self.run("INSERT INTO session_transcript_archives VALUES (?, 'g', x'00')", session_id)

    def run(self, sql: str, *parameters: Any) -> None:
        self._database.execute(sql, parameters)


def session_file(state: Path, name: str, events: list[dict[str, Any]], agent: str = "main") -> Path:
    """A session as versions before the database had it."""
    path = state / "agents" / agent / "sessions" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in events))
    return path
