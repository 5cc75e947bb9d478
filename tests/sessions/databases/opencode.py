"""Databases as OpenCode 1.18 has them, with the log of events or without, and the JSON files it had before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE credential (id text PRIMARY KEY, label text NOT NULL, value text NOT NULL);
CREATE TABLE session_share (session_id text PRIMARY KEY, id text NOT NULL, secret text NOT NULL, url text NOT NULL);
CREATE TABLE session (
    id text PRIMARY KEY, project_id text NOT NULL, parent_id text, slug text NOT NULL, directory text NOT NULL,
    title text NOT NULL, version text NOT NULL, share_url text, cost real DEFAULT 0 NOT NULL,
    tokens_input integer DEFAULT 0 NOT NULL, permission text, model text, time_created integer NOT NULL,
    time_updated integer NOT NULL);
CREATE TABLE message (
    id text PRIMARY KEY, session_id text NOT NULL, time_created integer NOT NULL, time_updated integer NOT NULL,
    data text NOT NULL, FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE);
CREATE TABLE part (
    id text PRIMARY KEY, message_id text NOT NULL, session_id text NOT NULL, time_created integer NOT NULL,
    time_updated integer NOT NULL, data text NOT NULL,
    FOREIGN KEY (message_id) REFERENCES message(id) ON DELETE CASCADE);
"""
_LOG = """
CREATE TABLE event_sequence (aggregate_id text PRIMARY KEY, seq integer NOT NULL, owner_id text);
CREATE TABLE event (
    id text PRIMARY KEY, aggregate_id text NOT NULL, seq integer NOT NULL, type text NOT NULL, data text NOT NULL,
    FOREIGN KEY (aggregate_id) REFERENCES event_sequence(aggregate_id) ON DELETE CASCADE);
"""
TOKENS = {"input": 600, "output": 30, "reasoning": 10, "cache": {"read": 300, "write": 5}}
NO_TOKENS = {"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}
START = 1795170582000
"""When the first session was created, in milliseconds since 1970. All that follows is written a millisecond later."""


class OpenCodeDatabase:
    """`logs` tells whether the log of events is kept from now on."""

    def __init__(self, path: Path, *, logs: bool = True, log: str = _LOG, start: int = START) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA foreign_keys = ON")
        self._database.executescript(_SCHEMA + log)
        self.run("INSERT INTO credential VALUES ('c', 'l', 'sk-secret')")
        self.logs = logs
        self.now = start
        self.written: Callable[[], None] = lambda: None
        """What is called when something was written."""

    @classmethod
    def without_log(cls, path: Path, *, start: int = START) -> OpenCodeDatabase:
        return cls(path, logs=False, log="", start=start)

    def close(self) -> None:
        self._database.close()

    def session(self, session_id: str = "s1", cwd: str = "/srv/shop", **columns: Any) -> None:
        at = self._tick()
        model = {"id": "m-0", "providerID": "mock"}
        row: dict[str, Any] = {
            "project_id": "p",
            "slug": "neon-wolf",
            "directory": cwd,
            "title": "New session - 2026",
            "version": "1.18",
        }
        row |= {"model": json.dumps(model), "share_url": "sk-secret", "permission": "sk-secret", **columns}
        row |= {"id": session_id, "time_created": at, "time_updated": at}
        times = {"created": at, "updated": at}
        info = {"id": session_id, "directory": cwd, "title": row["title"], "version": "1.18", "model": model}
        with self._transaction():
            self._put("session", row)
            self.run("INSERT INTO session_share VALUES (?, 'x', 'sk-secret', 'u')", session_id)
            self._log("session.created.1", session_id, info={**info, "time": times})

    def title(self, title: str, session_id: str = "s1") -> None:
        at = self._tick()
        with self._transaction():
            self.run("UPDATE session SET title = ?, time_updated = ? WHERE id = ?", title, at, session_id)
            self._log("session.updated.1", session_id, info={"id": session_id, "title": title, "time": {"updated": at}})

    def message(self, message_id: str, session_id: str = "s1", *, created: int = 0, **data: Any) -> int:
        """Writes a message, or writes it again. Gives when it was created."""
        at = self._tick()
        created = created or at
        data["time"] = {"created": created, **data.get("time", {})}
        row = {"id": message_id, "session_id": session_id, "time_created": created, "time_updated": at}
        with self._transaction():
            self._put("message", {**row, "data": json.dumps(data)})
            self._log("message.updated.1", session_id, info={"id": message_id, "sessionID": session_id, **data})
        return created

    def part(self, part_id: str, message_id: str, session_id: str = "s1", **data: Any) -> None:
        at = self._tick()
        row: dict[str, Any] = {
            "id": part_id,
            "message_id": message_id,
            "session_id": session_id,
            "time_created": at,
            "time_updated": at,
        }
        ids = {"id": part_id, "sessionID": session_id, "messageID": message_id}
        with self._transaction():
            self._put("part", {**row, "data": json.dumps(data)})
            self._log("message.part.updated.1", session_id, part={**ids, **data}, time=at)

    def question(self, number: int, session_id: str = "s1") -> None:
        self.message(f"msg_{number}a", session_id, role="user")
        self.part(f"prt_{number}a", f"msg_{number}a", session_id, type="text", text=f"question {number}")

    def answer(self, number: int, session_id: str = "s1") -> int:
        """All of an answer but its end. Gives when it was created."""
        own = f"msg_{number}b"
        created = self.message(own, session_id, role="assistant", modelID="m-1", cost=0, tokens=NO_TOKENS)
        self.part(f"prt_{number}b", own, session_id, type="step-start")
        begun = {"start": self.now}
        self.part(f"prt_{number}c", own, session_id, type="reasoning", text="", time=begun)
        self.part(
            f"prt_{number}c", own, session_id, type="reasoning", text="let me see", time={**begun, "end": self.now}
        )
        call = {"type": "tool", "tool": "bash", "callID": f"call_{number}"}
        state: dict[str, Any] = {"input": {"command": "ls"}, "time": {"start": self.now}}
        self.part(f"prt_{number}d", own, session_id, **call, state={**state, "status": "running"})
        state |= {
            "status": "completed",
            "output": "x",
            "metadata": {"exit": 1},
            "time": {"start": begun["start"], "end": self.now},
        }
        self.part(f"prt_{number}d", own, session_id, **call, state=state)
        self.part(f"prt_{number}e", own, session_id, type="text", text="", time={"start": self.now})
        done = {"start": self.now, "end": self.now}
        self.part(f"prt_{number}e", own, session_id, type="text", text=f"answer {number}", time=done)
        return created

    def complete(self, number: int, created: int, session_id: str = "s1") -> None:
        """The end of an answer, after which the question is written again, with a summary."""
        done = {"role": "assistant", "modelID": "m-1", "cost": 0.5, "tokens": TOKENS}
        self.message(f"msg_{number}b", session_id, created=created, **done)
        self.message(f"msg_{number}b", session_id, created=created, **done, time={"completed": self.now})
        (at,) = self._database.execute("SELECT time_created FROM message WHERE id = ?", (f"msg_{number}a",)).fetchone()
        self.message(f"msg_{number}a", session_id, created=at, role="user", summary={"diffs": []})

    def turn(self, number: int, session_id: str = "s1") -> None:
        self.question(number, session_id)
        self.complete(number, self.answer(number, session_id), session_id)

    def run(self, sql: str, *parameters: Any) -> None:
        self._database.execute(sql, parameters)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """OpenCode writes a row and its event together."""
        self.run("BEGIN IMMEDIATE")
        yield
        self.run("COMMIT")
        self.written()

    def _log(self, kind: str, session_id: str, **data: Any) -> None:
        if not self.logs:
            return
        query = "SELECT seq FROM event_sequence WHERE aggregate_id = ?"
        row = self._database.execute(query, (session_id,)).fetchone()
        seq = row[0] + 1 if row else 0
        self._put("event_sequence", {"aggregate_id": session_id, "seq": seq}, key="aggregate_id")
        text = json.dumps({"sessionID": session_id, **data})
        event = {"id": f"evt_{self._tick()}", "aggregate_id": session_id, "seq": seq, "type": kind, "data": text}
        self._put("event", event)

    def _put(self, table: str, row: dict[str, Any], key: str = "id") -> None:
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "time_created")
        self.run(
            f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {changes}",  # noqa: S608
            *row.values(),
        )

    def _tick(self) -> int:
        self.now += 1
        return self.now


def write_json(path: Path, record: dict[str, Any]) -> Path:
    """A file of the tree of versions before the database, written anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2))
    return path
