"""OpenClaw: since 2026.8 a database for each agent, whose rows are Pi's events; before that, files of them.

Events are only added, and a generation tells when they were rewritten instead. Those of sessions that nobody used for
long move to an archive, from which they are read on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tracecraft.sessions import fields
from tracecraft.sessions.harness import Batch, Bookmark, Cursor, Found, Machine, Restarted, Source
from tracecraft.sessions.harnesses import common, openclaw_events, pi_events
from tracecraft.sessions.harnesses.openclaw_files import DATABASE, OpenClawFiles, state_folders
from tracecraft.sessions.message import About, Entry
from tracecraft.sessions.rows import Database, Number, RowHarness, chosen, decoded, line, opened, place

_WINDOW = (
    *("session_id", "previous_session_id", "reason", "created_at", "started_at", "ended_at", "status"),
    *("model_provider", "model", "agent_harness_id", "parent_session_key", "spawned_by", "display_name"),
)


class _Read(msgspec.Struct):
    """What was read: in which generation, up to which event of when, how many.

    The time, in milliseconds since 1970, tells the event from another in a copy of the database that went its own way.
    """

    generation: str = ""
    seq: Number = -1
    at: Number = 0
    count: Number = 0


class OpenClaw(RowHarness):
    name = "openclaw"

    def __init__(self) -> None:
        self._files = OpenClawFiles()

    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        """A session that was migrated is found once: in the database."""
        known: set[str] = set()
        for agent in (agent for state in state_folders(machine) for agent in sorted(state.glob("agents/*"))):
            try:
                stored, gone = self._stored(agent / DATABASE)
            except OSError:
                continue
            left = [found for found in self._files.sessions(agent, None) if found.session_id not in gone]
            for found in (*stored, *left):
                if found.session_id not in known and common.same_folder(found.cwd, cwd):
                    yield found
                known.add(found.session_id)

    def _stored(self, path: Path) -> tuple[list[Found], set[str]]:
        """The sessions in a database, and the ids of those that were in it."""
        if not path.exists():
            return [], set()
        with opened(path) as database:
            gone = set()
            if database.columns("session_transcript_archives"):
                gone = {
                    _text(row["session_id"])
                    for row in database.rows("SELECT session_id FROM session_transcript_archives")
                }
            times = database.columns("session_windows") & {"transcript_updated_at", "updated_at", "created_at"}
            if times:
                newest = f"coalesce({', '.join(sorted(times, reverse=True))}, 0)"
                query = f"SELECT session_id, {newest} AS modified FROM session_windows"  # noqa: S608
            else:
                query = "SELECT session_id, max(created_at) AS modified FROM transcript_events GROUP BY session_id"
            found = []
            for row in list(database.rows(query)):
                if session_id := _text(row["session_id"]):
                    folder = fields.text(openclaw_events.first(database, session_id).get("cwd"))
                    modified = (common.number(row["modified"]) or 0) / 1000
                    found.append(Found(self.name, session_id, path, folder, modified))
        return found, gone

    def lines(self, database: Database, found: Found, cursor: Cursor | None) -> Iterable[tuple[bytes, Cursor]]:
        read = _Read() if cursor is None else place(cursor, _Read)
        generation = _generation(database, found.session_id)
        events = openclaw_events.in_rows(database, found.session_id, read.seq)
        if events is None:
            events = openclaw_events.in_archive(database, found, read.seq)
            generation = generation if cursor is None else read.generation
        if events is None:
            if cursor is not None and not _is_deleted(database, found.session_id):
                raise Restarted(f"the events of {found.session_id} are gone")
            return
        if cursor is not None and (generation, events.before, events.at) != (read.generation, read.count, read.at):
            raise Restarted(f"the events of {found.session_id} were rewritten")
        for count, event in enumerate(events.behind, start=read.count + 1):
            yield event.line(), msgspec.to_builtins(_Read(generation, event.seq, event.at, count))

    def header(self, database: Database, found: Found) -> bytes:
        window = database.one("SELECT * FROM session_windows WHERE session_id = ?", found.session_id)
        own = chosen(window, _WINDOW)
        if "label" in database.columns("session_nodes"):
            query = "SELECT label FROM session_nodes WHERE session_key = ?"
            own |= database.one(query, decoded(window.get("session_key") or ""))
        return line("session_windows", own) if own else b""

    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        if record.get("table") == "session_windows":
            return [_about(fields.record(record, "row"))]
        return pi_events.normalise(record)

    def sources(self, found: Found) -> Sequence[Source]:
        return self._files.sources(found) if _is_file(found.path) else super().sources(found)

    def read_new(self, found: Found, source: Source, cursor: Cursor | None) -> Batch | None:
        if _is_file(source.path):
            return self._files.read_new(found, source, cursor)
        return super().read_new(found, source, cursor)

    def bookmark(self, source: Source, cursor: Cursor) -> Bookmark:
        return self._files.bookmark(source, cursor) if _is_file(source.path) else super().bookmark(source, cursor)

    def recognises(self, source: Source, cursor: Cursor, bookmark: Bookmark | None) -> bool | None:
        if _is_file(source.path):
            return self._files.recognises(source, cursor, bookmark)
        return super().recognises(source, cursor, bookmark)

    def read_again(self, source: Source, start: int, end: int) -> Iterator[bytes]:
        if _is_file(source.path):
            return self._files.read_again(source, start, end)
        return super().read_again(source, start, end)

    def restored(self, machine: Machine, session_id: str, source_path: str, cwd: Path) -> Path | None:
        """Only sessions that were files can be put back by writing one."""
        return self._files.restored(machine, session_id, source_path, cwd)

    def stream_path(self, main: Path, stream: str) -> Path:
        return self._files.stream_path(main, stream)


def _is_file(path: Path) -> bool:
    return path.suffix == ".jsonl"


def _text(value: Any) -> str:
    return decoded(value) if isinstance(value, bytes) else ""


def _is_deleted(database: Database, session_id: str) -> bool:
    """Whether OpenClaw keeps what it deleted of a session for itself."""
    if not database.columns("session_transcript_archives"):
        return False
    return bool(database.one("SELECT 1 FROM session_transcript_archives WHERE session_id = ? LIMIT 1", session_id))


def _generation(database: Database, session_id: str) -> str:
    if not database.columns("transcript_rewrite_watermarks"):
        return ""
    query = "SELECT generation FROM transcript_rewrite_watermarks WHERE session_id = ?"
    return _text(database.one(query, session_id).get("generation"))


def _about(window: dict[str, Any]) -> About:
    parents = (window.get(name) for name in ("previous_session_id", "parent_session_key", "spawned_by"))
    return About(
        title=fields.text(window.get("label")) or fields.text(window.get("display_name")),
        model=fields.text(window.get("model")),
        parent=next(filter(None, map(fields.text, parents)), ""),
        at=common.moment(window.get("created_at")),
    )
