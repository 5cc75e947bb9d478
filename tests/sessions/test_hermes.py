"""Sessions of Hermes Agent: found, read on, and understood."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.sessions.databases.hermes import HermesDatabase
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
from tests.sessions.databases.strategies import holds_only_its_types, rows_of
from tracecraft.sessions.harness import Found, Machine, Restarted
from tracecraft.sessions.harnesses.hermes import Hermes
from tracecraft.sessions.message import About, Message, ToolCall, Usage

HERMES = Hermes()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, {})


@pytest.fixture
def database(machine: Machine) -> Iterator[HermesDatabase]:
    made = HermesDatabase(machine.home / ".hermes" / "state.db")
    made.session()
    yield made
    made.close()


def test_sessions_are_found_by_their_folder_in_the_home_and_in_profiles(machine: Machine, tmp_path: Path) -> None:
    HermesDatabase(machine.home / ".hermes" / "state.db").session("a", cwd=str(tmp_path / "shop"))
    profile = HermesDatabase(machine.home / ".hermes" / "profiles" / "work" / "state.db")
    profile.session("b", cwd=str(tmp_path / "shop"))
    profile.session("c", cwd=str(tmp_path / "other"))
    profile.session("d", cwd=None)
    assert set(found(HERMES, machine)) == {"a", "b", "c", "d"}
    assert set(found(HERMES, machine, tmp_path / "shop")) == {"a", "b"}
    assert found(HERMES, machine)["c"].cwd == str(tmp_path / "other")


def test_another_home_is_named_by_the_environment(tmp_path: Path) -> None:
    HermesDatabase(tmp_path / "elsewhere" / "state.db").session("a")
    assert set(found(HERMES, Machine(tmp_path, {"HERMES_HOME": str(tmp_path / "elsewhere")}))) == {"a"}
    assert set(found(HERMES, Machine(tmp_path, {"HERMES_HOME": "~/elsewhere"}))) == {"a"}
    assert found(HERMES, Machine(tmp_path, {})) == {}


def test_what_is_no_database_is_passed_over(machine: Machine, database: HermesDatabase) -> None:
    for name, content in {"text": b"hello" * 1000, "empty": b"", "cut": b"SQLite format 3\0"}.items():
        path = machine.home / ".hermes" / "profiles" / name / "state.db"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    (machine.home / ".hermes" / "profiles" / "folder" / "state.db").mkdir(parents=True)
    assert set(found(HERMES, machine)) == {"s1"}


def test_new_messages_come_behind_a_line_of_the_session(machine: Machine, database: HermesDatabase) -> None:
    session = found(HERMES, machine)["s1"]
    assert drain(HERMES, session) == ([], None)
    database.turn(1)
    first, cursor = drain(HERMES, session)
    assert [record["table"] for record in records(first)] == ["sessions", *["messages"] * 4]
    database.run("UPDATE sessions SET title = 'Now it has one'")
    assert drain(HERMES, session, cursor) == ([], cursor)
    database.turn(2)
    second, cursor = drain(HERMES, session, cursor)
    assert records(second)[0]["row"]["title"] == "Now it has one"
    again, _ = drain(HERMES, session)
    assert [line for line in again if b'"messages"' in line] == [
        line for line in first + second if b'"messages"' in line
    ]


def test_only_the_session_itself_is_exported(machine: Machine, database: HermesDatabase) -> None:
    database.session("s2", system_prompt="a prompt of another")
    database.message(content="of another session", session_id="s2")
    database.run("UPDATE sessions SET system_prompt = 'my prompt', user_id = 'u@x', billing_base_url = 'https://k:s@x'")
    database.message(content="mine")
    (header, message), _ = drain(HERMES, found(HERMES, machine)["s1"])
    for private in (b"prompt", b"u@x", b"https", b"another", b"s2"):
        assert private not in header + message


@pytest.mark.parametrize("change", ["compact", "rewind", "replace", "delete one", "delete all"])
def test_changes_of_messages_that_were_read_are_noticed(
    machine: Machine, database: HermesDatabase, change: str
) -> None:
    database.turn(1)
    session = found(HERMES, machine)["s1"]
    (source,) = HERMES.sources(session)
    _, cursor = drain(HERMES, session)
    if change == "compact":
        database.compact()
    elif change == "rewind":
        database.rewind(2)
    elif change == "replace":
        database.replace()
    elif change == "delete one":
        database.run("DELETE FROM messages WHERE id = 2")
    else:
        database.run("DELETE FROM messages")
    for _ in range(2):
        with pytest.raises(Restarted):
            HERMES.read_new(session, source, cursor)
        database.message(content="and more")
    anew, cursor = drain(HERMES, session)
    assert "and more" in [message.text for message in messages(entries(HERMES, anew))]
    assert drain(HERMES, session, cursor) == ([], cursor)


def test_a_copy_that_went_its_own_way_is_told_from_the_original(machine: Machine, database: HermesDatabase) -> None:
    database.turn(1)
    session = found(HERMES, machine)["s1"]
    copy = machine.home / "elsewhere" / "state.db"
    other = HermesDatabase(copy)
    other.session()
    other.turn(1)
    copied = Found("hermes", "s1", copy)
    _, cursor = drain(HERMES, session)
    assert drain(HERMES, copied, cursor) == ([], cursor)
    database.message(timestamp=1.5)
    other.message(timestamp=2.5)
    _, cursor = drain(HERMES, session, cursor)
    with pytest.raises(Restarted):
        drain(HERMES, copied, cursor)


def test_what_happens_to_another_session_does_not_matter(machine: Machine, database: HermesDatabase) -> None:
    database.turn(1)
    database.session("s2")
    database.turn(2, "s2")
    session = found(HERMES, machine)["s1"]
    _, cursor = drain(HERMES, session)
    database.compact("s2")
    database.run("DELETE FROM messages WHERE session_id = 's2'")
    assert drain(HERMES, session, cursor) == ([], cursor)


def test_messages_mean_what_was_said(machine: Machine, database: HermesDatabase) -> None:
    database.run(
        "UPDATE sessions SET title = 'Tea', git_branch = 'main', cost_status = 'estimated', estimated_cost_usd = 0.25"
    )
    database.turn(1)
    database.message("user", [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "x"}}])
    database.message("session_meta", "bookkeeping")
    told = entries(HERMES, drain(HERMES, found(HERMES, machine)["s1"])[0])
    at = "2026-11-20T10:40:26.250000+00:00"
    assert told[0] == About(
        title="Tea", cwd="/srv/shop", branch="main", model="m-1", at="2026-11-20T10:40:25.500000+00:00"
    )
    assert messages(told) == [
        Message("user", "question 1", at=at),
        Message("assistant", thinking="let me see", calls=(ToolCall("call_1", "terminal", {"a": 1}),), at=at),
        Message(
            "tool",
            '{"output": "x", "exit_code": 1, "error": null}',
            answers="call_1",
            tool="terminal",
            failed=True,
            at=at,
        ),
        Message("assistant", "answer 1", at=at),
        Message("user", "look", at=at),
    ]
    assert spent(told) == (Usage(input=100, output=10, cache_read=7, reasoning=3), 0.25)


def test_usage_is_what_the_session_used_so_far(machine: Machine, database: HermesDatabase) -> None:
    session = found(HERMES, machine)["s1"]
    database.turn(1)
    first, cursor = drain(HERMES, session)
    database.turn(2)
    database.run("UPDATE sessions SET actual_cost_usd = 1.5, estimated_cost_usd = 9, cost_status = 'unknown'")
    second, _ = drain(HERMES, session, cursor)
    assert spent(entries(HERMES, first)) == (Usage(input=100, output=10, cache_read=7, reasoning=3), None)
    assert spent(entries(HERMES, first + second)) == (Usage(input=200, output=20, cache_read=14, reasoning=6), 1.5)


@pytest.mark.parametrize(
    ("columns", "parent"),
    [
        ({"parent_session_id": "s1"}, "s1"),
        ({"model_config": '{"_delegate_from": "s1", "api_key": "sk-secret"}'}, "s1"),
        ({"model_config": '{"_branched_from": "s0", "max": 9}'}, "s0"),
        ({"model_config": '{"_branched_from": {"sk-secret": 1}}'}, ""),
        ({"model_config": "not json"}, ""),
        ({}, ""),
    ],
)
def test_a_session_tells_which_one_it_came_from(
    machine: Machine, database: HermesDatabase, columns: dict[str, Any], parent: str
) -> None:
    database.session("s2", **columns)
    database.message(session_id="s2")
    lines, _ = drain(HERMES, found(HERMES, machine)["s2"])
    assert abouts(entries(HERMES, lines))[0].parent == parent
    assert b"secret" not in lines[0]


def test_an_older_schema_is_read_as_it_is(machine: Machine) -> None:
    database = HermesDatabase.oldest(machine.home / ".hermes" / "state.db")
    database.session()
    database.message()
    session = found(HERMES, machine)["s1"]
    lines, cursor = drain(HERMES, session)
    assert records(lines)[1]["row"]["content"] == "hello"
    database.run("ALTER TABLE messages ADD COLUMN active INTEGER NOT NULL DEFAULT 1")
    database.run("ALTER TABLE messages ADD COLUMN compacted INTEGER NOT NULL DEFAULT 0")
    assert drain(HERMES, session, cursor) == ([], cursor)


HOSTILE = [
    None,
    7,
    -1.5,
    9e999,
    "",
    "\x00json:{broken",
    "\x00json:" + "[" * 100_000,
    b"\xff\xfe\x00",
    "\ud800".encode("utf-8", "surrogatepass"),
    '{"a": "\n"}',
    "x" * 300_000,
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:20])
def test_no_value_breaks_a_line(machine: Machine, database: HermesDatabase, value: Any) -> None:
    database.run("PRAGMA ignore_check_constraints = ON")
    database.message("user")
    for column in ("content", "tool_calls", "tool_name", "reasoning_details", "active", "compacted"):
        try:
            database.run(f"UPDATE messages SET {column} = ?", value)  # noqa: S608
        except sqlite3.IntegrityError:
            assert value is None
    database.run("UPDATE sessions SET title = ?, model_config = ?, cwd = ?, input_tokens = ?", *[value] * 4)
    session = found(HERMES, machine)["s1"]
    lines, cursor = drain(HERMES, session)
    assert len(lines) == 2
    entries(HERMES, lines)
    database.message(content="and more")
    assert len(drain(HERMES, session, cursor)[0]) == 2


def test_a_cursor_that_somebody_changed_is_not_followed(machine: Machine, database: HermesDatabase) -> None:
    database.turn(1)
    session = found(HERMES, machine)["s1"]
    (source,) = HERMES.sources(session)
    for cursor in ({}, {"id": "x"}, {"id": 2**70}, {"end": 5}, {"id": 2, "count": 1, "active": 3, "compacted": 0}):
        with pytest.raises(Restarted):
            HERMES.read_new(session, source, cursor)


def test_a_session_that_is_gone_has_nothing(machine: Machine, database: HermesDatabase) -> None:
    session = found(HERMES, machine)["s1"]
    database.run("DELETE FROM sessions")
    assert drain(HERMES, session) == ([], None)


def test_it_cannot_be_put_back_by_writing_a_file(machine: Machine, database: HermesDatabase) -> None:
    assert HERMES.restored(machine, "s1", "/home/x/.hermes/state.db", Path("/srv/shop")) is None
    assert HERMES.process(machine, found(HERMES, machine)["s1"]) is None


@given(rows_of("sessions", "messages"))
def test_any_record_means_something_or_nothing(record: dict[str, Any]) -> None:
    holds_only_its_types(HERMES.normalise(record))


@needs_samples
def test_the_sample_is_what_plain_sql_says(machine: Machine) -> None:
    path = sample("hermes/GENERATED-hermes-0.19.0-state.db", machine.home / ".hermes" / "state.db")
    before = photograph(machine.home)
    (session,) = found(HERMES, machine).values()
    lines, _ = drain(HERMES, session)
    told = entries(HERMES, lines)
    database = sqlite3.connect(path)
    rows = database.execute("SELECT role, content, tool_call_id, reasoning FROM messages ORDER BY id").fetchall()
    assert [(m.role, m.text, m.answers or None, m.thinking or None) for m in messages(told)] == rows
    calls = [
        call for (calls,) in database.execute("SELECT tool_calls FROM messages") for call in json.loads(calls or "[]")
    ]
    assert [(call.id, call.name) for m in messages(told) for call in m.calls] == [
        (call["id"], call["function"]["name"]) for call in calls
    ]
    (sums,) = database.execute(
        "SELECT input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens FROM sessions"
    ).fetchall()
    assert spent(told) == (Usage(*sums), None)
    database.close()
    exported = sample("hermes/GENERATED-hermes-0.19.0-export.jsonl", machine.home / "export.jsonl").read_text()
    assert abouts(told)[0].title == json.loads(exported)["title"]
    (machine.home / "export.jsonl").unlink()
    after = photograph(machine.home)
    assert after == before
