"""Hermes Agent: sessions and messages in `state.db` of its home and of each profile.

Messages are edited after they were written (retry, rewind, compaction), so a cursor holds sums over the rows before
it that such an edit changes. Tokens and costs are kept per session only, not per message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tracecraft.sessions import fields
from tracecraft.sessions.harness import Cursor, Found, Machine, Restarted
from tracecraft.sessions.harnesses import common
from tracecraft.sessions.message import About, Entry, Message, Spent, ToolCall, Usage
from tracecraft.sessions.rows import Database, Number, RowHarness, chosen, decoded, embedded, line, opened, place

_SESSION = (
    *("id", "source", "model", "parent_session_id", "started_at", "ended_at", "end_reason"),
    *("cwd", "git_branch", "git_repo_root", "title", "profile_name", "message_count", "tool_call_count"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("estimated_cost_usd", "actual_cost_usd", "cost_status", "api_call_count", "rewind_count", "archived"),
)
"""What is exported of a session. Not its system prompt, and nothing of who talked to it from where."""

_ORIGINS = ("_branched_from", "_delegate_from")
"""Of a session's settings, those that tell which session it came from."""

_JSON = ("tool_calls", "reasoning_details", "codex_reasoning_items", "codex_message_items", "display_metadata")
_LIST_CONTENT = b"\x00json:"
_ROLES = {"user", "assistant", "tool", "system"}


class _Read(msgspec.Struct):
    """What was read: up to which message of when, how many, and sums of the ids of those that bear each mark.

    The time tells the message from another of that id, in a copy of the database that went its own way.
    """

    id: Number = 0
    at: float = 0.0
    count: Number = 0
    active: Number = 0
    compacted: Number = 0

    def and_then(self, row: dict[str, Any]) -> _Read:
        number = row["id"]
        return _Read(
            id=number,
            at=_time(row),
            count=self.count + 1,
            active=self.active + (number if row.get("active", 1) == 1 else 0),
            compacted=self.compacted + (number if row.get("compacted") == 1 else 0),
        )


class Hermes(RowHarness):
    name = "hermes"

    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        home = common.folder(machine, "HERMES_HOME", ".hermes")
        for path in (home / "state.db", *sorted(home.glob("profiles/*/state.db"))):
            try:
                yield from self._sessions(path, cwd)
            except OSError:
                continue

    def _sessions(self, path: Path, cwd: Path | None) -> list[Found]:
        with opened(path) as database:
            folder = "cwd" if "cwd" in database.columns("sessions") else "NULL"
            last = "(SELECT max(timestamp) FROM messages WHERE session_id = sessions.id)"
            rows = list(database.rows(f"SELECT id, {folder} AS cwd, started_at, {last} AS last FROM sessions"))  # noqa: S608
        found = []
        for row in rows:
            session_id, folder = (decoded(row[name]) if isinstance(row[name], bytes) else "" for name in ("id", "cwd"))
            modified = common.number(row["last"]) or common.number(row["started_at"]) or 0.0
            if session_id and common.same_folder(folder, cwd):
                found.append(Found(self.name, session_id, path, folder, float(modified)))
        return found

    def lines(self, database: Database, found: Found, cursor: Cursor | None) -> Iterable[tuple[bytes, Cursor]]:
        so_far = _Read() if cursor is None else place(cursor, _Read)
        if cursor is not None and so_far != _sums(database, found.session_id, so_far.id):
            raise Restarted(f"messages of {found.session_id} were changed or deleted")
        query = "SELECT * FROM messages WHERE session_id = ? AND id > ? ORDER BY id"
        for row in database.rows(query, found.session_id, so_far.id):
            so_far = so_far.and_then(row)
            yield _message_line(row), msgspec.to_builtins(so_far)

    def header(self, database: Database, found: Found) -> bytes:
        session = database.one("SELECT * FROM sessions WHERE id = ?", found.session_id)
        settings = session.get("model_config")
        parsed = fields.record(common.json_in(decoded(settings))) if isinstance(settings, bytes) else {}
        origins = {name: parsed[name] for name in _ORIGINS if fields.text(parsed.get(name))}
        return line("sessions", {**chosen(session, _SESSION), **origins})

    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        row = fields.record(record, "row")
        if record.get("table") == "sessions":
            return _session(row)
        if record.get("table") == "messages":
            return _message(row)
        return ()


def _sums(database: Database, session_id: str, last: int) -> _Read | None:
    """What reading up to the message `last` would give by now; None when nothing is left of it."""
    columns = database.columns("messages")
    active = "active = 1" if "active" in columns else "1"
    compacted = "compacted = 1" if "compacted" in columns else "0"
    sums = database.one(
        f"SELECT max(id) AS id, timestamp, count(*) AS count, sum(CASE WHEN {active} THEN id ELSE 0 END) AS active,"  # noqa: S608
        f" sum(CASE WHEN {compacted} THEN id ELSE 0 END) AS compacted"
        " FROM messages WHERE session_id = ? AND id <= ?",
        session_id,
        last,
    )
    at = _time(sums)
    del sums["timestamp"]
    return _Read(**sums, at=at) if sums["count"] else None


def _time(row: dict[str, Any]) -> float:
    return float(common.number(row["timestamp"]) or 0.0)


def _message_line(row: dict[str, Any]) -> bytes:
    content = row.get("content")
    if isinstance(content, bytes) and content.startswith(_LIST_CONTENT):
        parsed = embedded(content.removeprefix(_LIST_CONTENT))
        row = {**row, "content": parsed if isinstance(parsed, msgspec.Raw) else content}
    return line("messages", row, json=_JSON)


def _session(row: dict[str, Any]) -> Iterator[Entry]:
    origins = (row.get(name) for name in ("parent_session_id", "_delegate_from", "_branched_from"))
    yield About(
        title=fields.text(row.get("title")),
        cwd=fields.text(row.get("cwd")),
        branch=fields.text(row.get("git_branch")),
        model=fields.text(row.get("model")),
        parent=next(filter(None, map(fields.text, origins)), ""),
        at=common.moment(row.get("started_at"), 1),
    )
    usage = Usage(
        input=fields.count(row.get("input_tokens")),
        output=fields.count(row.get("output_tokens")),
        cache_read=fields.count(row.get("cache_read_tokens")),
        cache_write=fields.count(row.get("cache_write_tokens")),
        reasoning=fields.count(row.get("reasoning_tokens")),
    )
    if usage != Usage():
        yield Spent(
            key=f"session:{fields.text(row.get('id'))}",
            usage=usage,
            model=fields.text(row.get("model")),
            cost=_cost(row),
            running=True,
        )


def _cost(row: dict[str, Any]) -> float | None:
    """What the provider charged, or else what Hermes thinks it does, where it knows the price."""
    actual = fields.dollars(row.get("actual_cost_usd"))
    if actual is not None:
        return actual
    return None if row.get("cost_status") in (None, "unknown") else fields.dollars(row.get("estimated_cost_usd"))


def _message(row: dict[str, Any]) -> Iterator[Entry]:
    role = fields.text(row.get("role"))
    if role not in _ROLES:
        return
    said = common.parts_text(row.get("content"), ("text", "input_text", "output_text"))
    calls = tuple(_call(call) for call in fields.records(row.get("tool_calls")))
    yield Message(
        role=role,
        text=said,
        thinking=fields.text(row.get("reasoning_content")) or fields.text(row.get("reasoning")),
        calls=calls,
        answers=fields.text(row.get("tool_call_id")) if role == "tool" else "",
        tool=fields.text(row.get("tool_name")) if role == "tool" else "",
        failed=role == "tool" and _failed(said),
        injected=role == "user" and bool(row.get("_compressed_summary") or row.get("display_kind")),
        at=common.moment(row.get("timestamp"), 1),
    )


def _call(call: dict[str, Any]) -> ToolCall:
    function = fields.record(call, "function")
    return ToolCall(
        id=fields.text(call.get("id")) or fields.text(call.get("call_id")),
        name=fields.text(function.get("name")),
        input=common.json_in(function.get("arguments")),
    )


def _failed(result: str) -> bool:
    """Tools answer in JSON that tells an error or the exit status of a command."""
    told = fields.record(common.json_in(result)) if result.startswith("{") else {}
    return bool(told.get("error")) or told.get("exit_code") not in (None, 0)
