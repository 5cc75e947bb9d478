"""Sessions of OpenCode, in a log of events, in rows and in files: found, read on, and understood."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.sessions.databases.opencode import START, TOKENS, OpenCodeDatabase, write_json
from tests.sessions.databases.reading import (
    abouts,
    drain,
    entries,
    found,
    messages,
    needs_samples,
    photograph,
    sample,
    spent,
)
from tests.sessions.databases.strategies import holds_only_its_types, lines_of_opencode
from tests.sessions.databases.writing import writer
from tracecraft.sessions.harness import Machine, Restarted
from tracecraft.sessions.harnesses.opencode import OpenCode
from tracecraft.sessions.message import About, Message, ToolCall, Usage

OPENCODE = OpenCode()
DATA = Path(".local", "share", "opencode")
ONE_TURN = Usage(input=600, output=40, cache_read=300, cache_write=5, reasoning=10)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, {})


@pytest.fixture(params=["log", "no log", "empty log"])
def database(machine: Machine, request: pytest.FixtureRequest) -> Iterator[OpenCodeDatabase]:
    path = machine.home / DATA / "opencode.db"
    if request.param == "no log":
        made = OpenCodeDatabase.without_log(path)
    else:
        made = OpenCodeDatabase(path, logs=request.param == "log")
    made.session()
    yield made
    made.close()


def said(told: Any) -> list[tuple[str, str]]:
    return [(message.role, message.text or message.thinking or message.calls[0].id) for message in messages(told)]


def turn(number: int) -> list[tuple[str, str]]:
    return [
        ("user", f"question {number}"),
        ("assistant", "let me see"),
        ("assistant", f"call_{number}"),
        ("tool", "x"),
        ("assistant", f"answer {number}"),
    ]


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({}, ".local/share/opencode/opencode.db"),
        ({}, ".local/share/opencode/opencode-dev.db"),
        ({"XDG_DATA_HOME": "HOME/data"}, "data/opencode/opencode.db"),
        ({"OPENCODE_DB": "HOME/mine.sqlite"}, "mine.sqlite"),
        ({"OPENCODE_DB": "mine.sqlite"}, ".local/share/opencode/mine.sqlite"),
    ],
)
def test_sessions_are_found_wherever_opencode_keeps_them(tmp_path: Path, environ: dict[str, str], path: str) -> None:
    database = OpenCodeDatabase(tmp_path / path)
    database.session("a", str(tmp_path / "shop"))
    database.session("b", str(tmp_path / "elsewhere"))
    machine = Machine(tmp_path, {name: value.replace("HOME", str(tmp_path)) for name, value in environ.items()})
    assert set(found(OPENCODE, machine)) == {"a", "b"}
    assert set(found(OPENCODE, machine, tmp_path / "shop")) == {"a"}
    assert found(OPENCODE, machine)["a"].modified == (START + 1) / 1000
    assert found(OPENCODE, Machine(tmp_path, {"OPENCODE_DB": ":memory:"})) == {}


def test_what_is_no_database_is_passed_over(machine: Machine, database: OpenCodeDatabase) -> None:
    (machine.home / DATA / "opencode-x.db").write_bytes(b"broken" * 1000)
    (machine.home / DATA / "opencode-y.db").mkdir()
    assert set(found(OPENCODE, machine)) == {"s1"}


def test_a_session_is_read_on_and_nothing_is_told_twice(machine: Machine, database: OpenCodeDatabase) -> None:
    database.turn(1)
    session = found(OPENCODE, machine)["s1"]
    first, cursor = drain(OPENCODE, session)
    database.turn(2)
    database.title("Now it has one")
    database.question(3)
    second, cursor = drain(OPENCODE, session, cursor)
    assert drain(OPENCODE, session, cursor) == ([], cursor)
    told = entries(OPENCODE, first + second)
    assert said(told) == [*turn(1), *turn(2), turn(3)[0]]
    assert abouts(told)[0].cwd == "/srv/shop"
    assert "Now it has one" in [about.title for about in abouts(told)]
    twice = Usage(input=1200, output=80, cache_read=600, cache_write=10, reasoning=20)
    assert spent(told) == (twice, 1.0)


@pytest.mark.parametrize("logs", [True, False])
def test_an_answer_is_told_once_however_often_it_is_read_while_it_is_written(machine: Machine, logs: bool) -> None:
    database = OpenCodeDatabase(machine.home / DATA / "opencode.db", logs=logs, start=int(time.time() * 1000))
    database.session()
    session = found(OPENCODE, machine)["s1"]
    lines: list[bytes] = []
    cursor = None

    def read_too() -> None:
        nonlocal cursor
        new, cursor = drain(OPENCODE, session, cursor)
        lines.extend(new)

    database.written = read_too
    for number in (1, 2, 3):
        database.turn(number)
    told = entries(OPENCODE, lines)
    assert said(told) == turn(1) + turn(2) + turn(3)
    assert spent(told)[1] == 1.5


def test_only_the_session_itself_is_exported(machine: Machine, database: OpenCodeDatabase) -> None:
    database.session("s2")
    database.turn(7, "s2")
    database.turn(1)
    lines, _ = drain(OPENCODE, found(OPENCODE, machine)["s1"])
    for private in (b"sk-secret", b"question 7", b"s2"):
        assert private not in b"".join(lines)


def test_an_answer_that_was_given_up_is_told_in_the_end(machine: Machine) -> None:
    path = machine.home / DATA / "opencode.db"
    recent = OpenCodeDatabase.without_log(path, start=int(time.time() * 1000))
    recent.session()
    recent.question(1)
    recent.answer(1)
    session = found(OPENCODE, machine)["s1"]
    lines, cursor = drain(OPENCODE, session)
    assert said(entries(OPENCODE, lines)) == turn(1)[:1]
    recent.question(2)
    recent.answer(2)
    lines, cursor = drain(OPENCODE, session, cursor)
    assert said(entries(OPENCODE, lines)) == [*turn(1)[1:], turn(2)[0]]
    recent.run("UPDATE part SET time_updated = time_updated - 3600000 WHERE message_id = 'msg_2b'")
    recent.run("UPDATE message SET time_created = time_created - 1 WHERE id = 'msg_2b'")
    old = OpenCodeDatabase.without_log(machine.home / DATA / "opencode-old.db")
    old.session("s2")
    old.question(1, "s2")
    old.answer(1, "s2")
    lines, _ = drain(OPENCODE, found(OPENCODE, machine)["s2"])
    assert said(entries(OPENCODE, lines)) == turn(1)


@pytest.mark.parametrize("change", ["part", "part gone", "part more", "message gone", "all gone"])
def test_changes_of_rows_that_were_read_are_noticed(machine: Machine, change: str) -> None:
    database = OpenCodeDatabase.without_log(machine.home / DATA / "opencode.db")
    database.session()
    database.turn(1)
    database.turn(2)
    session = found(OPENCODE, machine)["s1"]
    (source,) = OPENCODE.sources(session)
    _, cursor = drain(OPENCODE, session)
    if change == "part":
        database.part("prt_1e", "msg_1b", type="text", text="changed")
    elif change == "part gone":
        database.run("DELETE FROM part WHERE id = 'prt_1c'")
    elif change == "part more":
        database.part("prt_1f", "msg_1b", type="text", text="more")
    elif change == "message gone":
        database.run("DELETE FROM message WHERE id = 'msg_1a'")
    else:
        database.run("DELETE FROM session")
    with pytest.raises(Restarted):
        OPENCODE.read_new(session, source, cursor)
    anew, cursor = drain(OPENCODE, session)
    assert bool(anew) == (change != "all gone")
    assert drain(OPENCODE, session, cursor) == ([], cursor)


@pytest.mark.parametrize("change", ["other event", "cut", "pruned", "gone"])
def test_changes_of_the_log_are_noticed(machine: Machine, change: str) -> None:
    database = OpenCodeDatabase(machine.home / DATA / "opencode.db")
    database.session()
    database.turn(1)
    session = found(OPENCODE, machine)["s1"]
    (source,) = OPENCODE.sources(session)
    _, cursor = drain(OPENCODE, session)
    if change == "other event":
        database.run("UPDATE event SET id = id || 'x'")
    elif change == "cut":
        database.run("DELETE FROM event WHERE seq > 5")
    elif change == "pruned":
        database.run("DELETE FROM event WHERE seq < 5")
    else:
        database.run("DELETE FROM event_sequence")
    with pytest.raises(Restarted):
        OPENCODE.read_new(session, source, cursor)
    anew, _ = drain(OPENCODE, session)
    assert ("user", "question 1") in said(entries(OPENCODE, anew))


@pytest.mark.parametrize("logged", ["at last", "at first", "in between"])
def test_a_log_that_was_not_always_kept_is_not_trusted(machine: Machine, logged: str) -> None:
    database = OpenCodeDatabase(machine.home / DATA / "opencode.db", logs=logged != "at last")
    database.session()
    database.turn(1)
    session = found(OPENCODE, machine)["s1"]
    first, cursor = drain(OPENCODE, session)
    database.logs = logged == "at last"
    database.turn(2)
    if logged == "in between":
        database.logs = True
        database.turn(3)
    if logged != "at last":
        with pytest.raises(Restarted):
            drain(OPENCODE, session, cursor)
        first, cursor = [], None
    second, _ = drain(OPENCODE, session, cursor)
    turns = (1, 2, 3) if logged == "in between" else (1, 2)
    assert said(entries(OPENCODE, first + second)) == [each for number in turns for each in turn(number)]


def test_what_the_harness_forgets_of_old_results_is_not_told_again(machine: Machine) -> None:
    database = OpenCodeDatabase(machine.home / DATA / "opencode.db")
    database.session()
    database.turn(1)
    session = found(OPENCODE, machine)["s1"]
    first, cursor = drain(OPENCODE, session)
    state = {"status": "completed", "input": {}, "output": "x", "time": {"start": 1, "end": 2, "compacted": 3}}
    database.part("prt_1d", "msg_1b", type="tool", tool="bash", callID="call_1", state=state)
    second, _ = drain(OPENCODE, session, cursor)
    assert said(entries(OPENCODE, first + second)) == turn(1)


def test_reading_writes_nothing_while_opencode_writes(machine: Machine, database: OpenCodeDatabase) -> None:
    database.turn(1)
    database.close()
    session = found(OPENCODE, machine)["s1"]
    with writer(session.path) as harness:
        harness.run("BEGIN IMMEDIATE", "UPDATE session SET title = 'x'", "DELETE FROM part")
        before = photograph(machine.home)
        assert any(name.endswith("-wal") for name in before)
        lines, cursor = drain(OPENCODE, session)
        assert said(entries(OPENCODE, lines)) == turn(1)
        assert photograph(machine.home) == before
        harness.run("ROLLBACK")
        assert drain(OPENCODE, session, cursor) == ([], cursor)


def test_messages_mean_what_was_said(machine: Machine, database: OpenCodeDatabase) -> None:
    database.turn(1)
    parts: list[tuple[str, dict[str, Any]]] = [("user", {"synthetic": True}), ("user", {})]
    for number, (role, more) in enumerate(parts, start=2):
        database.message(f"msg_{number}a", role=role)
        database.part(f"prt_{number}a", f"msg_{number}a", type="text", text="note", **more)
    error = {"name": "APIError", "data": {"message": "too many requests"}}
    created = database.message("msg_4b", role="assistant", modelID="m-1", tokens=TOKENS)
    database.message("msg_4b", created=created, role="assistant", modelID="m-1", error=error, time={"completed": 5})
    told = entries(OPENCODE, drain(OPENCODE, found(OPENCODE, machine)["s1"])[0])
    plain = [
        Message(m.role, m.text, m.thinking, m.calls, m.answers, m.tool, m.failed, m.injected) for m in messages(told)
    ]
    assert plain == [
        Message("user", "question 1"),
        Message("assistant", thinking="let me see"),
        Message("assistant", calls=(ToolCall("call_1", "bash", {"command": "ls"}),)),
        Message("tool", "x", answers="call_1", tool="bash", failed=True),
        Message("assistant", "answer 1"),
        Message("user", "note", injected=True),
        Message("user", "note"),
        Message("system", "too many requests"),
    ]
    assert all(message.at for message in messages(told))
    assert abouts(told)[0] == About(cwd="/srv/shop", model="m-0", version="1.18", at="2026-11-20T10:29:42.001000+00:00")


def test_a_session_of_a_subagent_tells_its_parent(machine: Machine) -> None:
    database = OpenCodeDatabase.without_log(machine.home / DATA / "opencode.db")
    database.session()
    database.session("s2", parent_id="s1")
    database.turn(1, "s2")
    lines, _ = drain(OPENCODE, found(OPENCODE, machine)["s2"])
    assert abouts(entries(OPENCODE, lines))[0].parent == "s1"


HOSTILE = ["", "{", "[]", "7", "null", '{"role": 7, "time": "x"}', "[" * 100_000, '{"a": "\n"}', b"\xff\x00", 7, 9e999]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:20])
def test_no_value_breaks_a_line(machine: Machine, database: OpenCodeDatabase, value: Any) -> None:
    database.turn(1)
    for table in ("part", "message", *(["event"] if database.logs else [])):
        database.run(f"UPDATE {table} SET data = ?", value)  # noqa: S608
        session = found(OPENCODE, machine)["s1"]
        lines, cursor = drain(OPENCODE, session)
        assert lines
        entries(OPENCODE, lines)
        assert drain(OPENCODE, session, cursor) == ([], cursor)
    database.run("UPDATE session SET directory = ?, title = ?, model = ?, version = ?, time_updated = ?", *[value] * 5)
    entries(OPENCODE, drain(OPENCODE, found(OPENCODE, machine)["s1"])[0])
    database.run("UPDATE message SET time_created = 'x'")
    database.run("UPDATE part SET time_updated = 'x'")
    drain(OPENCODE, found(OPENCODE, machine)["s1"])


def test_a_cursor_that_somebody_changed_is_not_followed(machine: Machine, database: OpenCodeDatabase) -> None:
    database.turn(1)
    session = found(OPENCODE, machine)["s1"]
    (source,) = OPENCODE.sources(session)
    for cursor in ({}, {"mode": "x"}, {"mode": "events", "seq": "1", "id": "x"}, {"mode": ["events"]}, {"end": 9}):
        with pytest.raises(Restarted):
            OPENCODE.read_new(session, source, cursor)


class Tree:
    """The JSON files of a session with one turn."""

    def __init__(self, data: Path) -> None:
        self.storage = data / "storage"
        session = {"id": "s1", "directory": "/srv/shop", "title": "T", "version": "1.1", "time": {"created": START}}
        self.session = write_json(
            self.storage / "session" / "p" / "s1.json", {**session, "share": {"secret": "sk-secret"}}
        )
        self.message("msg_a", START + 1, role="user")
        self.part("msg_a", "prt_a", type="text", text="question 1")
        self.message("msg_b", START + 2, role="assistant", modelID="m-1", cost=0.5, tokens=TOKENS)
        self.part("msg_b", "prt_b", type="text", text="answer 1")

    def message(self, name: str, created: int, **data: Any) -> Path:
        path = self.storage / "message" / "s1" / f"{name}.json"
        return write_json(path, {"id": name, "sessionID": "s1", "time": {"created": created}, **data})

    def part(self, message: str, name: str, **data: Any) -> Path:
        return write_json(self.storage / "part" / message / f"{name}.json", {"id": name, **data})


@pytest.fixture
def tree(machine: Machine) -> Tree:
    return Tree(machine.home / DATA)


def test_files_are_read_as_messages_with_their_parts(machine: Machine, tree: Tree) -> None:
    before = photograph(machine.home)
    session = found(OPENCODE, machine, Path("/srv/shop"))["s1"]
    first, cursor = drain(OPENCODE, session)
    assert b"sk-secret" not in b"".join(first)
    assert photograph(machine.home) == before
    told = entries(OPENCODE, first)
    assert said(told)[0] == ("user", "question 1")
    assert abouts(told)[0].title == "T"
    tree.message("msg_b", START + 2, role="assistant", modelID="m-1", cost=0.5, tokens=TOKENS, finish="stop")
    tree.message("msg_c", START + 3, role="user")
    tree.part("msg_c", "prt_c", type="text", text="question 2")
    second, cursor = drain(OPENCODE, session, cursor)
    tree.message("msg_d", START + 4, role="assistant")
    third, cursor = drain(OPENCODE, session, cursor)
    assert drain(OPENCODE, session, cursor) == ([], cursor)
    told = entries(OPENCODE, first + second + third)
    assert said(told) == [("user", "question 1"), ("assistant", "answer 1"), ("user", "question 2")]
    assert spent(told) == (ONE_TURN, 0.5)


@pytest.mark.parametrize("change", ["part written again", "part gone", "message gone"])
def test_changes_of_files_that_were_read_are_noticed(machine: Machine, tree: Tree, change: str) -> None:
    tree.message("msg_c", START + 3, role="assistant", error={})
    session = found(OPENCODE, machine)["s1"]
    (source,) = OPENCODE.sources(session)
    _, cursor = drain(OPENCODE, session)
    if change == "part written again":
        path = tree.part("msg_b", "prt_b", type="text", text="changed")
        later = path.stat().st_mtime_ns + 2_000_000_000
        os.utime(path, ns=(later, later))
    elif change == "part gone":
        (tree.storage / "part" / "msg_b" / "prt_b.json").unlink()
    else:
        (tree.storage / "message" / "s1" / "msg_a.json").unlink()
    with pytest.raises(Restarted):
        OPENCODE.read_new(session, source, cursor)


def test_files_that_were_moved_into_the_database_are_not_found_again(machine: Machine, tree: Tree) -> None:
    assert found(OPENCODE, machine)["s1"].path == tree.session
    database = OpenCodeDatabase(machine.home / DATA / "opencode.db")
    database.session()
    assert found(OPENCODE, machine)["s1"].path.name == "opencode.db"


@pytest.mark.parametrize("identity", ["../../../x", "a/b", "*", "[a-z]*", "", "x\0y", 7])
def test_names_in_files_do_not_lead_elsewhere(machine: Machine, tree: Tree, identity: Any) -> None:
    write_json(machine.home / DATA / "x" / "prt.json", {"type": "text", "text": "private"})
    write_json(tree.session, {"id": identity, "directory": "/srv/shop"})
    tree.message("msg_a", START + 1, role="user", id=identity)
    for session in OPENCODE.discover(machine):
        drain(OPENCODE, session)
    write_json(tree.session, {"id": "s1", "directory": "/srv/shop"})
    lines, _ = drain(OPENCODE, found(OPENCODE, machine)["s1"])
    assert b"private" not in b"".join(lines)


def test_broken_files_do_not_stop_the_others(machine: Machine, tree: Tree) -> None:
    for path in ("session/p/x.json", "session/p/y.json", "message/s1/msg_0.json", "part/msg_a/prt_0.json"):
        (tree.storage / path).write_bytes(b"{broken")
    lines, _ = drain(OPENCODE, found(OPENCODE, machine)["s1"])
    assert ("user", "question 1") in said(entries(OPENCODE, lines))


def test_it_cannot_be_put_back_by_writing_a_file(machine: Machine) -> None:
    assert OPENCODE.restored(machine, "s1", "/home/x/opencode.db", Path("/srv/shop")) is None


@given(lines_of_opencode)
def test_any_record_means_something_or_nothing(record: dict[str, Any]) -> None:
    holds_only_its_types(OPENCODE.normalise(record))


@needs_samples
@pytest.mark.parametrize("drop_log", [False, True])
def test_the_sample_is_what_its_export_says(machine: Machine, drop_log: bool) -> None:
    path = sample("opencode/GENERATED-opencode-1.18.33.db", machine.home / DATA / "opencode.db")
    exported = json.loads(sample("opencode/GENERATED-opencode-1.18.33-export.json", machine.home / "x").read_text())
    if drop_log:
        database = sqlite3.connect(path)
        database.executescript("DELETE FROM event")
        database.close()
    before = photograph(machine.home)
    (session,) = found(OPENCODE, machine).values()
    lines, _ = drain(OPENCODE, session)
    assert photograph(machine.home) == before
    told = entries(OPENCODE, lines)
    expected: list[tuple[str, str]] = []
    for message in exported["messages"]:
        for part in message["parts"]:
            if part["type"] == "tool":
                expected += [("assistant", part["callID"]), ("tool", part["state"]["output"])]
            elif part["type"] in ("text", "reasoning"):
                expected.append((message["info"]["role"], part["text"]))
    assert len(expected) == 12
    assert said(told) == expected
    tokens = exported["info"]["tokens"]
    assert spent(told)[0] == Usage(
        input=tokens["input"],
        output=tokens["output"] + tokens["reasoning"],
        cache_read=tokens["cache"]["read"],
        cache_write=tokens["cache"]["write"],
        reasoning=tokens["reasoning"],
    )
    titles = [about.title for about in abouts(told) if about.title]
    assert titles[-1] == exported["info"]["title"]
    assert abouts(told)[0].cwd == exported["info"]["directory"]


@needs_samples
@pytest.mark.parametrize(
    ("name", "said_in_it"),
    [("GENERATED-opencode-1.1.27-storage/storage", 2), ("legacy-tree-jazzyalex/storage_v2", 6)],
)
def test_samples_of_files_are_read(machine: Machine, name: str, said_in_it: int) -> None:
    storage = sample(f"opencode/{name}", machine.home / DATA / "storage")
    told = [entry for session in OPENCODE.discover(machine) for entry in entries(OPENCODE, drain(OPENCODE, session)[0])]
    texts = [
        part["text"]
        for path in storage.rglob("part/*/*.json")
        if (part := json.loads(path.read_text()))["type"] == "text"
    ]
    assert len(texts) >= said_in_it
    assert sorted(message.text for message in messages(told) if message.text in texts) == sorted(texts)
