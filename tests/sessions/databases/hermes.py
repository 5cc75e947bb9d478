"""Databases as Hermes Agent 0.19 has them, and what it does to the messages in them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

_SESSIONS = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, user_id TEXT, model TEXT, model_config TEXT, system_prompt TEXT,
    parent_session_id TEXT, started_at REAL NOT NULL, ended_at REAL, end_reason TEXT, message_count INTEGER DEFAULT 0,
    input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, cache_read_tokens INTEGER DEFAULT 0,
    cache_write_tokens INTEGER DEFAULT 0, reasoning_tokens INTEGER DEFAULT 0, cwd TEXT, git_branch TEXT,
    billing_base_url TEXT, estimated_cost_usd REAL, actual_cost_usd REAL, cost_status TEXT, title TEXT,
    rewind_count INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (parent_session_id) REFERENCES sessions(id))
"""
_MESSAGES = """
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions(id), role TEXT NOT NULL,
    content TEXT, tool_call_id TEXT, tool_calls TEXT, tool_name TEXT, timestamp REAL NOT NULL, finish_reason TEXT,
    reasoning TEXT, reasoning_content TEXT, reasoning_details TEXT, active INTEGER NOT NULL DEFAULT 1,
    compacted INTEGER NOT NULL DEFAULT 0, api_content TEXT)
"""
_OLDEST_MESSAGES = """
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, role TEXT NOT NULL, content TEXT,
    tool_call_id TEXT, tool_calls TEXT, tool_name TEXT, timestamp REAL NOT NULL)
"""


class HermesDatabase:
    def __init__(self, path: Path, *, messages: str = _MESSAGES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute(_SESSIONS)
        self._database.execute(messages)

    @classmethod
    def oldest(cls, path: Path) -> HermesDatabase:
        return cls(path, messages=_OLDEST_MESSAGES)

    def close(self) -> None:
        self._database.close()

    def session(self, session_id: str = "s1", **columns: Any) -> None:
        row = {"source": "cli", "started_at": 1795171225.5, "cwd": "/srv/shop", "model": "m-1", **columns}
        self._insert("sessions", {"id": session_id, **row})

    def message(self, role: str = "user", content: Any = "hello", session_id: str = "s1", **columns: Any) -> int:
        text = content if isinstance(content, str | bytes | None) else "\x00json:" + json.dumps(content)
        row = {"session_id": session_id, "role": role, "content": text, "timestamp": 1795171226.25, **columns}
        number = self._insert("messages", row)
        self.run("UPDATE sessions SET message_count = message_count + 1 WHERE id = ?", session_id)
        return number

    def turn(self, number: int, session_id: str = "s1") -> None:
        """A question, a call with its result, and an answer; tokens are counted for the session alone."""
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "terminal", "arguments": '{"a": 1}'}}
        self.message("user", f"question {number}", session_id)
        self.message("assistant", "", session_id, tool_calls=json.dumps([call]), reasoning_content="let me see")
        result = json.dumps({"output": "x", "exit_code": 1, "error": None})
        self.message("tool", result, session_id, tool_call_id=f"call_{number}", tool_name="terminal")
        self.message("assistant", f"answer {number}", session_id)
        self.run(
            "UPDATE sessions SET input_tokens = input_tokens + 100, output_tokens = output_tokens + 10,"
            " cache_read_tokens = cache_read_tokens + 7, reasoning_tokens = reasoning_tokens + 3 WHERE id = ?",
            session_id,
        )

    def compact(self, session_id: str = "s1") -> None:
        """What was said is kept, but marked as no longer told to the model; a summary is told instead."""
        self.run("UPDATE messages SET active = 0, compacted = 1 WHERE session_id = ? AND active = 1", session_id)
        self.message("user", "summary of what was", session_id)

    def rewind(self, behind: int, session_id: str = "s1") -> None:
        self.run("UPDATE messages SET active = 0 WHERE session_id = ? AND id > ?", session_id, behind)

    def replace(self, session_id: str = "s1") -> None:
        """As a retry does: all rows are deleted and written anew, under new ids."""
        rows = self._database.execute(
            "SELECT role, content FROM messages WHERE session_id = ?", (session_id,)
        ).fetchall()
        self.run("DELETE FROM messages WHERE session_id = ?", session_id)
        for role, content in rows:
            self.message(role, content, session_id)

    def run(self, sql: str, *parameters: Any) -> None:
        self._database.execute(sql, parameters)

    def _insert(self, table: str, row: dict[str, Any]) -> int:
        marks = ", ".join("?" * len(row))
        done = self._database.execute(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})",  # noqa: S608
            tuple(row.values()),
        )
        return done.lastrowid or 0
