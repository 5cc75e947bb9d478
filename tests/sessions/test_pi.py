"""Sessions of Pi: found, read on, put back, and understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.sessions.databases.openclaw import event, opening, turn
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
from tests.sessions.databases.strategies import events_of_pi, holds_only_its_types
from tracecraft.sessions.harness import Machine, Restarted
from tracecraft.sessions.harnesses.pi import Pi
from tracecraft.sessions.message import About, Message, Spent, Usage

PI = Pi()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, {})


def session_file(agent: Path, session_id: str, events: list[dict[str, Any]], cwd: str = "/srv/shop") -> Path:
    folder = agent / "sessions" / f"--{cwd.strip('/').replace('/', '-')}--"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"2026-11-20T10-30-31-908Z_{session_id}.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in [*opening(session_id, cwd), *events]))
    return path


def one(record: dict[str, Any]) -> Any:
    (entry,) = PI.normalise(record)
    return entry


def test_sessions_are_found_by_their_folder(machine: Machine, tmp_path: Path) -> None:
    agent = tmp_path / ".pi" / "agent"
    session_file(agent, "a", [], str(tmp_path / "shop"))
    session_file(agent, "b", [], str(tmp_path / "elsewhere"))
    broken = session_file(agent, "c", [])
    broken.write_text('{"type":"message"}\n')
    session_file(agent, "d", []).write_bytes(b"")
    assert set(found(PI, machine)) == {"a", "b"}
    assert set(found(PI, machine, tmp_path / "shop")) == {"a"}
    assert found(PI, machine)["b"].cwd == str(tmp_path / "elsewhere")


def test_another_folder_is_named_by_the_environment(tmp_path: Path) -> None:
    session_file(tmp_path / "agent", "a", [])
    for named in (str(tmp_path / "agent"), "~/agent"):
        assert set(found(PI, Machine(tmp_path, {"PI_CODING_AGENT_DIR": named}))) == {"a"}
    assert found(PI, Machine(tmp_path, {})) == {}


def test_a_session_is_read_on_line_by_line(machine: Machine) -> None:
    path = session_file(machine.home / ".pi" / "agent", "a", turn(1))
    session = found(PI, machine)["a"]
    first, cursor = drain(PI, session)
    with path.open("a") as file:
        file.write(json.dumps(turn(2)[0]) + '\n{"half')
    second, cursor = drain(PI, session, cursor)
    assert [message.text for message in messages(entries(PI, second))] == ["question 2"]
    assert b"".join(first + second) + b'{"half' == path.read_bytes()
    path.write_text("")
    (source,) = PI.sources(session)
    with pytest.raises(Restarted):
        PI.read_new(session, source, cursor)


def test_a_session_is_put_back_where_pi_looks_for_it(machine: Machine) -> None:
    path = session_file(machine.home / ".pi" / "agent", "a", turn(1))
    assert PI.restored(machine, "a", str(path), Path("/srv/shop")) == path
    elsewhere = PI.restored(machine, "a", f"/home/x/.pi/agent/sessions/--y--/{path.name}", Path("/other/my shop"))
    assert elsewhere == machine.home / ".pi" / "agent" / "sessions" / "--other-my shop--" / path.name
    named = PI.restored(machine, "a", "/home/x/..", Path("/srv/shop"))
    assert named == path.with_name("a.jsonl")
    assert PI.restored(machine, "../a", "/home/x/..", Path("/srv/shop")) is None


AT = "2026-11-20T10:41:07.000Z"


@pytest.mark.parametrize(
    ("record", "entry"),
    [
        (event("session_info", 7, name="Tea"), About(title="Tea", at=AT)),
        (event("model_change", 7, modelId="m-2"), About(model="m-2", at=AT)),
        (event("compaction", 7, summary="so far"), Message("user", "so far", injected=True, at=AT)),
        (event("branch_summary", 7, summary="so far"), Message("user", "so far", injected=True, at=AT)),
        (event("custom_message", 7, content="note"), Message("user", "note", injected=True, at=AT)),
        (
            event("message", 7, message={"role": "custom", "content": [{"type": "text", "text": "note"}]}),
            Message("user", "note", injected=True, at=AT),
        ),
        (
            event("message", 7, message={"role": "compactionSummary", "summary": "so far"}),
            Message("user", "so far", injected=True, at=AT),
        ),
        (
            event("session", 7, cwd="/x", version=3, parentSession="/home/x/2026-11-20T10-30-31-908Z_0a1b-2c.jsonl"),
            About(cwd="/x", version="3", parent="0a1b-2c", at=AT),
        ),
        (
            {"type": "message", "message": {"role": "user", "content": "x", "timestamp": 5000}},
            Message("user", "x", at="1970-01-01T00:00:05+00:00"),
        ),
    ],
)
def test_an_event_means_what_was_said(record: dict[str, Any], entry: Any) -> None:
    assert one(record) == entry


def test_a_command_of_the_user_is_said_and_answered() -> None:
    command = {"role": "bashExecution", "command": "ls", "output": "x", "exitCode": 2}
    assert list(PI.normalise(event("message", 7, message=command))) == [
        Message("user", "! ls", at=AT),
        Message("tool", "x", tool="bash", failed=True, at=AT),
    ]


def test_a_call_that_failed_tells_why_and_used_nothing() -> None:
    nothing = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "cost": {"total": 0}}
    failed = {"role": "assistant", "content": [], "usage": nothing, "errorMessage": "aborted"}
    assert one(event("message", 7, message=failed)) == Message("system", "aborted", at=AT)


@pytest.mark.parametrize("kind", ["thinking_level_change", "custom", "label", "reset", "of tomorrow", None, 7])
def test_events_of_other_kinds_mean_nothing(kind: Any) -> None:
    assert list(PI.normalise({"type": kind, "summary": "x", "content": "x"})) == []


@given(events_of_pi)
def test_any_record_means_something_or_nothing(record: dict[str, Any]) -> None:
    holds_only_its_types(PI.normalise(record))


@needs_samples
@pytest.mark.parametrize("name", ["large-session", "GENERATED-pi-0.74.2"])
def test_samples_are_what_their_json_says(machine: Machine, name: str) -> None:
    path = sample(f"pi/{name}.jsonl", machine.home / ".pi/agent/sessions/--x--/2025_x.jsonl")
    before = photograph(machine.home)
    (session,) = found(PI, machine).values()
    lines, _ = drain(PI, session)
    assert photograph(machine.home) == before
    assert b"".join(lines) == path.read_bytes()
    told = entries(PI, lines)
    stored = [json.loads(line) for line in path.read_text().splitlines()]
    assert (session.session_id, session.cwd) == (stored[0]["id"], stored[0]["cwd"])
    said = [each["message"] for each in stored if each["type"] == "message"]
    answers = [each for each in said if each["role"] == "assistant"]
    used = [each["usage"] for each in answers]
    usage, cost = spent(told)
    assert usage == Usage(
        input=sum(each["input"] for each in used),
        output=sum(each["output"] for each in used),
        cache_read=sum(each["cacheRead"] for each in used),
        cache_write=sum(each["cacheWrite"] for each in used),
    )
    assert cost == pytest.approx(sum(each["cost"]["total"] for each in used))
    keys = [entry.key for entry in told if isinstance(entry, Spent)]
    assert len(set(keys)) == len(keys) == sum(1 for each in used if any(each[name] for name in ("input", "output")))
    by_role = [message.role for message in messages(told)]
    assert by_role.count("user") == sum(1 for each in said if each["role"] == "user")
    assert by_role.count("tool") == sum(1 for each in said if each["role"] == "toolResult")
    assert by_role.count("assistant") == sum(1 for each in answers if any(map(_says_something, each["content"])))
    calls = [block["id"] for each in answers for block in each["content"] if block["type"] == "toolCall"]
    assert [call.id for message in messages(told) for call in message.calls] == calls
    assert {about.model for about in abouts(told)} >= {each["modelId"] for each in stored if "modelId" in each}


def _says_something(block: dict[str, Any]) -> bool:
    return bool(block.get("text") or block.get("thinking") or block["type"] == "toolCall")
