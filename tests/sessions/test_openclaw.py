"""Sessions of OpenClaw, in databases and in files: found, read on, and understood."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.sessions.databases.openclaw import OpenClawDatabase, event, opening, session_file, turn
from tests.sessions.databases.reading import (
    abouts,
    drain,
    entries,
    found,
    messages,
    needs_samples,
    photograph,
    records,
    sample,
    spent,
)
from tests.sessions.databases.strategies import events_of_pi, holds_only_its_types, rows_of
from tests.sessions.databases.writing import writer
from tracecraft.sessions.harness import Found, Machine, Restarted
from tracecraft.sessions.harnesses.openclaw import OpenClaw
from tracecraft.sessions.message import About, Message, ToolCall, Usage

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OPENCLAW = OpenClaw()
BIG = "step ok " * 500


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, {})


@pytest.fixture
def database(machine: Machine) -> Iterator[OpenClawDatabase]:
    made = OpenClawDatabase(machine.home / ".openclaw")
    made.session()
    yield made
    made.close()


def asked(text: str, number: int = 50) -> dict[str, Any]:
    return event("message", number, message={"role": "user", "content": text})


@pytest.mark.parametrize(
    ("environ", "state"),
    [
        ({}, ".openclaw"),
        ({}, ".openclaw-work"),
        ({}, ".clawdbot"),
        ({}, ".moltbot"),
        ({}, ".moldbot"),
        ({"OPENCLAW_HOME": "HOME/inner"}, "inner/.openclaw"),
        ({"OPENCLAW_STATE_DIR": "HOME/state"}, "state"),
        ({"OPENCLAW_STATE_DIR": "~/state"}, "state"),
    ],
)
def test_sessions_are_found_wherever_openclaw_keeps_them(tmp_path: Path, environ: dict[str, str], state: str) -> None:
    OpenClawDatabase(tmp_path / state, "main").session("a", str(tmp_path / "shop"))
    OpenClawDatabase(tmp_path / state, "other").session("b", str(tmp_path / "elsewhere"))
    session_file(tmp_path / state, "c", opening("c", str(tmp_path / "shop")), "older")
    machine = Machine(tmp_path, {name: value.replace("HOME", str(tmp_path)) for name, value in environ.items()})
    assert set(found(OPENCLAW, machine)) == {"a", "b", "c"}
    assert set(found(OPENCLAW, machine, tmp_path / "shop")) == {"a", "c"}
    assert found(OPENCLAW, machine)["a"].modified == 1795171285.0


def test_files_that_were_left_behind_by_the_migration_are_not_found_again(machine: Machine) -> None:
    state = machine.home / ".openclaw"
    for name in ("moved", "moved-topic-1", "gone", "failed"):
        session_file(state, name, opening(name.partition("-")[0], "/srv/shop"))
    database = OpenClawDatabase(state)
    for name in ("moved", "moved-topic-1", "gone"):
        database.session(name)
    database.delete("gone", kept=True)
    sessions = found(OPENCLAW, machine)
    assert set(sessions) == {"moved", "moved-topic-1", "failed"}
    assert sessions["moved"].path.suffix == ".sqlite"
    assert sessions["failed"].path.suffix == ".jsonl"
    (machine.home / ".clawdbot").symlink_to(state)
    assert set(found(OPENCLAW, machine)) == set(sessions)


def test_archives_and_logs_beside_session_files_are_none(machine: Machine) -> None:
    state = machine.home / ".openclaw"
    path = session_file(state, "a", opening("a", "/srv/shop"))
    for name in ("b.jsonl.deleted.1", "b.jsonl.reset.1", "b.trajectory.jsonl", "b.checkpoint.1.jsonl", "sessions.json"):
        path.with_name(name).write_bytes(path.read_bytes())
    path.with_name("c.jsonl").write_text("no json\n")
    path.with_name("d.jsonl").write_text('{"type":"message"}\n')
    assert set(found(OPENCLAW, machine)) == {"a"}


def test_the_files_of_an_agent_whose_database_cannot_be_read_wait(machine: Machine, database: OpenClawDatabase) -> None:
    session_file(machine.home / ".openclaw", "s1", opening("s1", "/srv/shop"))
    session_file(machine.home / ".openclaw", "s2", opening("s2", "/srv/shop"), "fine")
    database.close()
    (database.agent / "agent" / "openclaw-agent.sqlite").write_bytes(b"broken" * 1000)
    assert set(found(OPENCLAW, machine)) == {"s2"}


def test_events_are_exported_as_they_are_behind_a_line_of_the_session(
    machine: Machine, database: OpenClawDatabase
) -> None:
    database.append([*turn(1), asked(BIG)])
    session = found(OPENCLAW, machine)["s1"]
    first, cursor = drain(OPENCLAW, session)
    assert records(first)[0]["table"] == "session_windows"
    assert records(first[1:]) == [*opening("s1", "/srv/shop"), *turn(1), asked(BIG)]
    database.append(turn(2))
    second, cursor = drain(OPENCLAW, session, cursor)
    assert records(second[1:]) == turn(2)
    assert drain(OPENCLAW, session, cursor) == ([], cursor)


def test_only_the_session_itself_is_exported(machine: Machine, database: OpenClawDatabase) -> None:
    database.session("s2")
    database.append([asked("of another")], "s2")
    lines, _ = drain(OPENCLAW, found(OPENCLAW, machine)["s1"])
    for private in (b"sk-secret", b"another", b"s2", b"agent:main"):
        assert private not in b"".join(lines)


def test_the_first_schema_is_read_as_it_is(machine: Machine) -> None:
    database = OpenClawDatabase.first(machine.home / ".openclaw")
    database.session()
    database.append([asked(BIG)])
    session = found(OPENCLAW, machine)["s1"]
    lines, cursor = drain(OPENCLAW, session)
    assert records(lines[1:]) == [*opening("s1", "/srv/shop"), asked(BIG)]
    for column in ("event_zstd BLOB", "event_utf8_bytes INTEGER", "navigation_json TEXT"):
        database.run(f"ALTER TABLE transcript_events ADD COLUMN {column}")
    assert drain(OPENCLAW, session, cursor) == ([], cursor)


@pytest.mark.parametrize("change", ["rewrite", "replace", "shorten", "delete"])
def test_a_rewrite_is_noticed(machine: Machine, database: OpenClawDatabase, change: str) -> None:
    database.append(turn(1))
    session = found(OPENCLAW, machine)["s1"]
    (source,) = OPENCLAW.sources(session)
    _, cursor = drain(OPENCLAW, session)
    if change == "rewrite":
        database.rewrite([*opening("s1", "/srv/shop"), *turn(2), *turn(3)])
    elif change == "replace":
        database.run("UPDATE transcript_rewrite_watermarks SET generation = 'other'")
    elif change == "shorten":
        database.run("DELETE FROM transcript_events WHERE seq > 4")
    else:
        database.delete(kept=False)
    with pytest.raises(Restarted):
        OPENCLAW.read_new(session, source, cursor)
    anew, cursor = drain(OPENCLAW, session)
    assert bool(anew) == (change != "delete")
    assert drain(OPENCLAW, session, cursor) == ([], cursor)


def test_a_copy_that_went_its_own_way_is_told_from_the_original(
    machine: Machine, database: OpenClawDatabase, tmp_path: Path
) -> None:
    database.append(turn(1))
    database.close()
    session = found(OPENCLAW, machine)["s1"]
    copy = tmp_path / "copy" / "agent" / session.path.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(session.path.read_bytes())
    _, cursor = drain(OPENCLAW, session)
    copied = Found("openclaw", "s1", copy)
    assert drain(OPENCLAW, copied, cursor) == ([], cursor)
    sql = "INSERT INTO transcript_events (session_id, seq, created_at, event_json) VALUES ('s1', 7, {}, '{{}}')"
    for path, at in ((session.path, 1), (copy, 2)):
        with writer(path) as harness:
            harness.run(sql.format(at))
    _, cursor = drain(OPENCLAW, session, cursor)
    with pytest.raises(Restarted):
        drain(OPENCLAW, copied, cursor)


def test_a_session_that_openclaw_deleted_keeps_what_was_read_of_it(
    machine: Machine, database: OpenClawDatabase
) -> None:
    database.append(turn(1))
    session = found(OPENCLAW, machine)["s1"]
    _, cursor = drain(OPENCLAW, session)
    database.delete(kept=True)
    assert drain(OPENCLAW, session, cursor) == ([], cursor)
    assert drain(OPENCLAW, session) == ([], None)
    assert found(OPENCLAW, machine) == {}


@pytest.mark.parametrize("in_file", [True, False])
def test_an_archived_session_is_read_on(machine: Machine, database: OpenClawDatabase, in_file: bool) -> None:
    database.append(turn(1))
    session = found(OPENCLAW, machine)["s1"]
    first, cursor = drain(OPENCLAW, session)
    database.append([*turn(2), asked(BIG)])
    whole, _ = drain(OPENCLAW, session)
    database.archive(in_file=in_file)
    before = photograph(database.agent / "sessions") if in_file else {}
    second, cursor = drain(OPENCLAW, session, cursor)
    assert records(first[1:] + second[1:]) == records(whole[1:])
    assert drain(OPENCLAW, session, cursor) == ([], cursor)
    assert drain(OPENCLAW, found(OPENCLAW, machine)["s1"])[0] == whole
    if in_file:
        assert photograph(database.agent / "sessions") == before


def test_an_archive_that_is_not_there_is_read_later(machine: Machine, database: OpenClawDatabase) -> None:
    session = found(OPENCLAW, machine)["s1"]
    (source,) = OPENCLAW.sources(session)
    database.archive(in_file=True)
    (archive,) = (database.agent / "sessions" / "cold").iterdir()
    data = archive.read_bytes()
    for broken in (data[: len(data) // 2], zstd.compress(b"x" * 70_000_000), b"none"):
        archive.write_bytes(broken)
        with pytest.raises(OSError, match=r"zstd|compressed"):
            OPENCLAW.read_new(session, source, None)
    archive.unlink()
    with pytest.raises(FileNotFoundError):
        OPENCLAW.read_new(session, source, None)


def test_an_archive_cannot_lead_out_of_its_folder(machine: Machine, database: OpenClawDatabase) -> None:
    session = found(OPENCLAW, machine)["s1"]
    database.archive(in_file=True)
    (archive,) = (database.agent / "sessions" / "cold").iterdir()
    archive.rename(machine.home / "elsewhere.jsonl.zst")
    database.run("UPDATE session_transcript_cold_archives SET archive_name = '../../../../../elsewhere.jsonl.zst'")
    assert drain(OPENCLAW, session) == ([], None)


def test_reading_writes_nothing_while_openclaw_writes(machine: Machine, database: OpenClawDatabase) -> None:
    database.append([*turn(1), asked(BIG)])
    session = found(OPENCLAW, machine)["s1"]
    database.close()
    with writer(session.path) as harness:
        harness.run(
            "BEGIN IMMEDIATE",
            "INSERT INTO transcript_events (session_id, seq, created_at, event_json) VALUES ('s1', 8, 1, '{}')",
        )
        before = photograph(machine.home)
        assert any(name.endswith("-wal") for name in before)
        lines, cursor = drain(OPENCLAW, session)
        assert found(OPENCLAW, machine) == {"s1": session}
        assert photograph(machine.home) == before
        harness.run("COMMIT")
        assert drain(OPENCLAW, session, cursor)[0] == [lines[0], b"{}\n"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", '{"a":\n1}', '{"type":"message","message":7}', "[" * 100_000])
def test_an_event_that_is_none_is_kept_as_the_text_it_is(
    machine: Machine, database: OpenClawDatabase, text: str
) -> None:
    database.append_text(text)
    session = found(OPENCLAW, machine)["s1"]
    lines, cursor = drain(OPENCLAW, session)
    entries(OPENCLAW, lines)
    last = json.loads(lines[-1])
    assert last == {"table": "transcript_events", "row": {"seq": 2, "event_json": text}} or last == json.loads(text)
    assert drain(OPENCLAW, session, cursor) == ([], cursor)


@pytest.mark.parametrize("data", [b"", b"no zstd", zstd.compress(b"x" * 9_000_000), zstd.compress(b"{}")[:-3]])
def test_an_event_that_cannot_be_decompressed_does_not_stop_the_others(
    machine: Machine, database: OpenClawDatabase, data: bytes
) -> None:
    sql = "INSERT INTO transcript_events (session_id, seq, created_at, event_zstd) VALUES ('s1', 2, 1, ?)"
    database.run(sql, data)
    database.append([asked("next")])
    lines, _ = drain(OPENCLAW, found(OPENCLAW, machine)["s1"])
    assert json.loads(lines[-2]) == {"table": "transcript_events", "row": {"seq": 2, "event_json": ""}}
    assert json.loads(lines[-1]) == asked("next")


def test_a_cursor_that_somebody_changed_is_not_followed(machine: Machine, database: OpenClawDatabase) -> None:
    session = found(OPENCLAW, machine)["s1"]
    (source,) = OPENCLAW.sources(session)
    for cursor in ({}, {"generation": 7}, {"seq": 2**70}, {"generation": "g", "seq": 1, "count": 2}, {"end": 9}):
        with pytest.raises(Restarted):
            OPENCLAW.read_new(session, source, cursor)


def test_events_mean_what_was_said(machine: Machine, database: OpenClawDatabase) -> None:
    database.run("UPDATE session_windows SET display_name = 'a name', previous_session_id = 's0'")
    database.append([*turn(1), event("compaction", 20, summary="so far"), asked("next", 21)])
    told = entries(OPENCLAW, drain(OPENCLAW, found(OPENCLAW, machine)["s1"])[0])
    at = "2026-11-20T10:41:{}.000Z".format
    assert abouts(told) == [
        About(title="a name", model="m-0", parent="s0", at="2026-11-20T10:41:24+00:00"),
        About(cwd="/srv/shop", version="4", at=at("00")),
        About(model="m-1", at=at("01")),
    ]
    call = ToolCall("call_1", "read", {"path": "README.md"})
    assert messages(told) == [
        Message("user", "question 1", at=at(10)),
        Message("assistant", thinking="let me see", calls=(call,), model="m-1", at=at(11)),
        Message("tool", "no such file", answers="call_1", tool="read", failed=True, at=at(12)),
        Message("assistant", "answer 1", model="m-1", at=at(14)),
        Message("user", "so far", injected=True, at=at(20)),
        Message("user", "next", at=at(21)),
    ]
    assert spent(told) == (Usage(input=1200, output=80, cache_read=600, cache_write=10, reasoning=20), 1.0)


def test_a_label_is_the_title(machine: Machine, database: OpenClawDatabase) -> None:
    database.run("UPDATE session_windows SET display_name = 'a name'")
    database.run("UPDATE session_nodes SET label = 'a label'")
    lines, _ = drain(OPENCLAW, found(OPENCLAW, machine)["s1"])
    assert abouts(entries(OPENCLAW, lines))[0].title == "a label"


def test_a_session_in_a_file_is_read_on_line_by_line(machine: Machine) -> None:
    path = session_file(machine.home / ".openclaw", "s1", opening("s1", "/srv/shop"))
    session = found(OPENCLAW, machine)["s1"]
    _, cursor = drain(OPENCLAW, session)
    with path.open("a") as file:
        file.write(json.dumps(asked("next")) + '\n{"half')
    second, cursor = drain(OPENCLAW, session, cursor)
    assert [message.text for message in messages(entries(OPENCLAW, second))] == ["next"]
    path.write_text("")
    (source,) = OPENCLAW.sources(session)
    with pytest.raises(Restarted):
        OPENCLAW.read_new(session, source, cursor)


def test_only_sessions_in_files_can_be_put_back(machine: Machine) -> None:
    state = machine.home / ".openclaw"
    old = "/home/x/.openclaw/agents/main/sessions/s1.jsonl"
    cwd = Path("/srv/shop")
    assert OPENCLAW.restored(machine, "s1", old, cwd) == state / "agents/main/sessions/s1.jsonl"
    for path in (old.replace("s1", ".."), "/agents/../sessions/s1.jsonl", "s1.jsonl", "", "/x/y/openclaw-agent.sqlite"):
        assert OPENCLAW.restored(machine, "s1", path, cwd) is None
    OpenClawDatabase(state).close()
    assert OPENCLAW.restored(machine, "s1", old, cwd) is None


@given(rows_of("session_windows", "transcript_events") | events_of_pi)
def test_any_record_means_something_or_nothing(record: dict[str, Any]) -> None:
    holds_only_its_types(OPENCLAW.normalise(record))


@needs_samples
def test_the_sample_is_what_plain_sql_says(machine: Machine) -> None:
    name = "openclaw/GENERATED-openclaw-2026.9.6-openclaw-agent.sqlite"
    path = sample(name, machine.home / ".openclaw/agents/main/agent/openclaw-agent.sqlite")
    before = photograph(machine.home)
    (session,) = found(OPENCLAW, machine).values()
    lines, _ = drain(OPENCLAW, session)
    assert photograph(machine.home) == before
    database = sqlite3.connect(path)
    query = "SELECT event_json, event_zstd FROM transcript_events ORDER BY seq"
    stored = [(text or zstd.decompress(data).decode()) for text, data in database.execute(query)]
    database.close()
    assert [line.decode() for line in lines[1:]] == [text + "\n" for text in stored]
    told = entries(OPENCLAW, lines)
    said = [event["message"] for event in map(json.loads, stored) if event["type"] == "message"]
    roles = {"toolResult": "tool"}
    assert [message.role for message in messages(told)] == [roles.get(each["role"], each["role"]) for each in said]
    used = [each["usage"] for each in said if each["role"] == "assistant"]
    usage, cost = spent(told)
    assert len(used) == 5
    assert usage == Usage(
        input=sum(each["input"] for each in used),
        output=sum(each["output"] for each in used),
        cache_read=sum(each["cacheRead"] for each in used),
        cache_write=sum(each["cacheWrite"] for each in used),
        reasoning=sum(each["reasoningTokens"] for each in used),
    )
    assert cost == pytest.approx(sum(each["cost"]["total"] for each in used))


@needs_samples
@pytest.mark.parametrize("name", ["jazzyalex-large", "jazzyalex-schema_drift"])
def test_samples_in_files_are_what_their_json_says(machine: Machine, name: str) -> None:
    path = sample(f"openclaw/{name}.jsonl", machine.home / ".openclaw/agents/main/sessions/s.jsonl")
    (session,) = found(OPENCLAW, machine).values()
    lines, _ = drain(OPENCLAW, session)
    assert b"".join(lines) == path.read_bytes()
    kinds = [record["type"] for record in records(lines)]
    assert len(messages(entries(OPENCLAW, lines))) == kinds.count("message") + kinds.count("custom_message")
