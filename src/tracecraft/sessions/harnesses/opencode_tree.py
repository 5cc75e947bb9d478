"""OpenCode until 1.1: a tree of JSON files, one for each session, message and part, written again as it changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tracecraft.sessions import fields
from tracecraft.sessions.harness import Batch, Cursor, Found
from tracecraft.sessions.harnesses.opencode_messages import Read, Stored, behind, finished
from tracecraft.sessions.lines import parse
from tracecraft.sessions.rows import BATCH, place


def sessions(name: str, data: Path) -> Iterator[Found]:
    """The sessions in the data folder of OpenCode. Those that cannot be read are passed over."""
    for path in sorted(data.glob("storage/session/*/*.json")):
        session = _record(path)
        session_id = fields.text(session.get("id"))
        if session_id and "/" not in session_id:
            modified = fields.count(fields.record(session, "time").get("updated")) / 1000
            yield Found(name, session_id, path, fields.text(session.get("directory")), modified)


def read_new(found: Found, cursor: Cursor | None) -> Batch | None:
    """The finished messages behind the cursor, with the session before them. Raises Restarted and OSError."""
    messages = _messages(found)
    read = None if cursor is None else place(cursor, Read)
    chunks: list[bytes] = []
    size = 0
    for message, so_far in behind(finished(messages), read):
        new = _line({"table": "message", "row": {"data": message.data}, "parts": _parts(found, message.id)})
        if chunks and size + len(new) > BATCH:
            return _batch(found, chunks, size, read, more=True)
        chunks.append(new)
        size += len(new)
        read = so_far
    return _batch(found, chunks, size, read, more=False) if chunks else None


def _batch(found: Found, chunks: list[bytes], size: int, read: Read | None, *, more: bool) -> Batch:
    header = _line({"table": "session", "row": {"data": _session(found.path)}})
    return Batch([header, *chunks], size + len(header), msgspec.to_builtins(read), more)


def _session(path: Path) -> dict[str, Any]:
    """What is exported of a session: not where it was shared to."""
    return {name: value for name, value in _record(path).items() if name not in ("share", "permission", "revert")}


def _messages(found: Found) -> list[Stored]:
    messages = []
    for path in sorted(_storage(found).glob(f"message/{_literal(found.session_id)}/*.json")):
        data = _record(path)
        identity = fields.text(data.get("id"))
        changed = [part.stat().st_mtime_ns // 1_000_000 for part in _part_files(found, identity)]
        created = fields.count(fields.record(data, "time").get("created"))
        messages.append(Stored(created, identity, data, len(changed), max(changed, default=0)))
    return messages


def _parts(found: Found, message_id: str) -> list[dict[str, Any]]:
    return [{"data": _record(path)} for path in _part_files(found, message_id)]


def _part_files(found: Found, message_id: str) -> list[Path]:
    return sorted(_storage(found).glob(f"part/{_literal(message_id)}/*.json"))


def _storage(found: Found) -> Path:
    return found.path.parents[2]


def _literal(name: str) -> str:
    """A name as a pattern that only matches itself, and nothing where it is no name of a folder."""
    plain = name if name not in ("", ".", "..") and "/" not in name and "\0" not in name else "[]"
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in plain)


def _record(path: Path) -> dict[str, Any]:
    return parse(path.read_bytes()) or {}


def _line(record: dict[str, Any]) -> bytes:
    return msgspec.json.encode(record) + b"\n"
