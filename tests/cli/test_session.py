"""The commands that read mirrored sessions, as people and agents use them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_startup import imported
from tests.sessions.stored import (
    SESSION,
    put_02_session,
    put_session,
    said,
)
from tests.sessions.transcripts import claude, codex
from tests.support.world import World

two_stores = pytest.mark.parametrize("world", ["folder", "ministack"], indirect=True)
MIRROR = ("session", "mirror", "--all-harnesses", "--no-redact", "--yes")
USED = {"usage": {"input": 1000, "output": 100, "cacheRead": 0, "cacheWrite": 0}}


def spent(model: str, cost: float | None = None, **more: Any) -> bytes:
    usage = {**USED["usage"], **({"cost": {"total": cost}} if cost is not None else {})}
    return said("assistant", "done", model=model, usage=usage, **more)


def lines(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


# list


@two_stores
def test_list_shows_what_sessions_are_about(world: World) -> None:
    home = Path(world.environment("ada")["HOME"])
    claude.write_claude(home, 60, agents=1)
    codex.write_codex(home, 60)
    world.run("ada", *MIRROR)
    put_02_session(world.open(), [b"{}\n", b"{}\n"], compacted=1)
    found = {
        one["harness"] + one["short_id"]: one for one in world.run("b", "session", "list", "--json").json["sessions"]
    }
    assert set(found) == {"claude-code7d3c1f52", f"codex{codex.SESSION[:8]}", "codex0190c0de"}
    ours = found["claude-code7d3c1f52"]
    assert (ours["cwd"], ours["agent"], ours["state"]) == (claude.CWD, "ada", "live")
    assert ours["title"]
    assert set(ours["models"]) <= {*claude.MODELS}
    assert ours["messages"]["assistant"] > 1
    assert sum(tokens["output"] for tokens in ours["tokens"].values()) > 0
    assert found["codex0190c0de"]["title"] is None
    assert found["codex0190c0de"]["size"] == 6

    text = world.run("b", "session", "list").out.splitlines()
    assert text[0].split()[:4] == ["SESSION", "HARNESS", "AGENT", "TITLE"]
    assert len(text) == 4
    assert len(world.run("b", "session", "list", "--harness", "codex", "--json").json["sessions"]) == 2
    assert len(world.run("b", "session", "list", "--agent", "ada", "--json").json["sessions"]) == 2
    assert len(world.run("b", "session", "list", "--limit", "1").out.splitlines()) == 2


def test_list_orders(folder_world: World) -> None:
    project = folder_world.open()
    put_session(project, [spent("claude-opus-4-5")], session_id="dear")
    put_session(project, [spent("gpt-5", cost=0.001), b"x" * 5000 + b"\n"], session_id="large")
    put_session(project, [spent("no-such-model")], session_id="odd")

    def order(*choices: str) -> list[str]:
        found = folder_world.run("a", "session", "list", *choices, "--json").json["sessions"]
        return [one["session_id"] for one in found]

    assert order() == ["odd", "large", "dear"]
    assert order("--sort-by", "size")[0] == "large"
    assert order("--sort-by", "cost") == ["dear", "large", "odd"]
    assert order("--sort-by", "cost", "--limit", "1") == ["dear"]
    assert order("--limit", "0") == order()


def test_a_cost_is_reported_or_estimated_or_said_to_be_unknown(folder_world: World) -> None:
    project = folder_world.open()
    put_session(project, [spent("claude-opus-4-5")], session_id="estimated")
    put_session(project, [spent("claude-opus-4-5", cost=0.5)], session_id="reported")
    put_session(project, [spent("no-such-model")], session_id="unknown")
    put_session(project, [said("user", "hi")], session_id="nothing")
    listed = folder_world.run("a", "session", "list", "--json").json["sessions"]
    costs = {one["session_id"]: one["cost"] for one in listed}
    assert costs["reported"] == {"usd": 0.5, "source": "reported", "unpriced": []}
    assert costs["estimated"]["usd"] == pytest.approx(1000 * 5e-6 + 100 * 25e-6)
    assert costs["estimated"]["source"].startswith("genai-prices ")
    assert costs["unknown"] == {"usd": None, "source": None, "unpriced": ["no-such-model"]}
    assert costs["nothing"] == {"usd": None, "source": None, "unpriced": []}
    text = folder_world.run("a", "session", "list").out
    assert re.search(r"unknown .* unpriced ", text)
    assert "$0.00" not in text


def test_without_the_price_list_nothing_is_priced(folder_world: World) -> None:
    absent = folder_world.root / "absent"
    absent.mkdir()
    (absent / "genai_prices.py").write_text("raise ImportError('not installed')")
    put_session(folder_world.open(), [spent("claude-opus-4-5")])
    found = folder_world.run("a", "session", "list", "--json", PYTHONPATH=str(absent)).json["sessions"]
    assert found[0]["cost"] == {"usd": None, "source": None, "unpriced": ["claude-opus-4-5"]}


def test_the_price_list_is_loaded_only_where_a_price_is_asked_for(folder_world: World) -> None:
    put_session(folder_world.open(), [said("user", "hi")], session_id="free")
    put_session(folder_world.open(), [spent("gpt-5", cost=0.5)], session_id="paid")
    for command in (("list",), ("show", "paid"), ("search", "hi"), ("stats",)):
        code, names = imported(folder_world, "session", *command)
        assert code == 0
        assert not names & {"genai_prices", "asyncio", "obstore", "pydantic"}, command


def test_no_sessions(folder_world: World) -> None:
    assert folder_world.run("a", "session", "list").out == "no sessions\n"
    assert folder_world.run("a", "session", "list", "--json").json == {"schema": 1, "sessions": []}
    assert folder_world.run("a", "session", "stats", "--json").json["sessions"] == {}
    assert folder_world.run("a", "session", "verify", "--json").json == {"schema": 1, "sound": True, "sessions": []}
    for command in (("show", "x"), ("search", "x"), ("export", "x", "--format", "jsonl"), ("stats", "x")):
        error = folder_world.run("a", "session", *command, "--json", exits=4).error
        assert error["code"] == "not_found"


# search, stats, export


@two_stores
def test_search_tells_where(world: World) -> None:
    put_session(
        world.open(), [said("user", "where is the needle?\nhere")], others={"sub.jsonl": [said("user", "needle")]}
    )
    shown = world.run("a", "session", "search", "NEEDLE").out
    assert shown == (
        f"pi {SESSION[:8]}\n"
        "  title: where is the needle? here\n"
        "  2026-01-01 10:00:00 user: where is the needle? here\n"
        "  2026-01-01 10:00:00 user in sub.jsonl: needle\n"
    )
    found = lines(world.run("a", "session", "search", "NEEDLE", "--limit", "1", "--json").out)
    assert found == [
        {
            "schema": 1, "harness": "pi", "session_id": SESSION, "stream": "", "role": "title", "at": "",
            "field": "text", "match": "needle", "excerpt": "where is the needle? here",
        }
    ]  # fmt: skip
    world.run("a", "session", "search", "needle", "--harness", "codex", exits=4)
    world.run("a", "session", "search", "(", "--regex", exits=2)
    world.run("a", "session", "search", "", exits=2)


@two_stores
def test_stats_count_the_whole_session_and_all_of_them(world: World) -> None:
    call = {"role": "assistant", "model": "claude-opus-4-5", **USED}
    content = [{"type": "toolCall", "id": "1", "name": "Bash", "arguments": {}}]
    data = [
        said("user", "go", "2026-01-01T10:00:00Z"),
        json.dumps({"type": "message", "id": "m", "message": {**call, "content": content}}).encode() + b"\n",
        said("toolResult", "no", "2026-01-01T10:05:00Z", toolCallId="1", isError=True),
        b"broken {\n",
    ]
    put_session(world.open(), data, others={"sub.jsonl": [spent("gpt-5")]}, redactions={"aws-key": 1})
    one = world.run("a", "session", "stats", SESSION, "--json").json
    assert one["messages"] == {"user": 1, "assistant": 2, "tool": 1}
    assert (one["tools"], one["failed"], one["unreadable"]) == ({"Bash": 1}, 1, 1)
    assert one["tokens"]["claude-opus-4-5"] == {
        "input": 1000, "output": 100, "cache_read": 0, "cache_write": 0, "reasoning": 0,
    }  # fmt: skip
    assert set(one["tokens"]) == {"claude-opus-4-5", "gpt-5"}
    assert one["cost"]["usd"] == pytest.approx(0.0075 + 0.00225)
    assert one["duration_s"] == 300
    assert one["redactions"] == {"aws-key": 5}
    assert [stream["stream"] for stream in one["streams"]] == ["", "sub.jsonl"]
    assert "tools      Bash 1 (1 failed)" in world.run("a", "session", "stats", SESSION).out

    put_session(world.open(), [said("user", "go")], session_id="other", harness="codex")
    every = world.run("a", "session", "stats", "--json").json
    assert every["sessions"] == {"pi": 1, "codex": 1}
    assert every["messages"]["assistant"] == 2
    assert every["cost"] == one["cost"]
    assert "2 sessions: codex 1, pi 1" in world.run("a", "session", "stats").out


def test_what_was_counted_while_mirroring_is_what_the_whole_session_comes_to(folder_world: World) -> None:
    home = Path(folder_world.environment("ada")["HOME"])
    for count in (40, 90, 300):
        claude.write_claude(home, count, agents=2)
        codex.write_codex(home, count)
        folder_world.run("ada", *MIRROR)
    listed = folder_world.run("b", "session", "list", "--json").json["sessions"]
    assert len(listed) == 2
    for one in listed:
        whole = folder_world.run("b", "session", "stats", one["session_id"], "--json").json
        for field in ("messages", "tokens", "title", "branch"):
            assert whole[field] == one[field], field
        assert whole["cost"]["usd"] == pytest.approx(one["cost"]["usd"])
    every = folder_world.run("b", "session", "stats", "--json").json
    assert sum(every["messages"].values()) == sum(sum(one["messages"].values()) for one in listed)


@two_stores
def test_export_writes_complete_files_and_nothing_half(world: World) -> None:
    data = [said("user", "<b>hi</b>"), b"\xff\x00\n"]
    known = put_session(world.open(), data, others={"n.txt": [b"text"]})
    folder = world.folder("a")
    told = world.run("a", "session", "export", SESSION, "--format", "jsonl", "-o", "s.jsonl").out
    assert told == f"wrote s.jsonl ({len(b''.join(data))} bytes)\n"
    assert (folder / "s.jsonl").read_bytes() == b"".join(data)
    assert (folder / "s.jsonl").stat().st_mode & 0o777 == 0o600
    world.run("a", "session", "export", SESSION, "--format", "jsonl", "--stream", "n.txt", "-o", "s.jsonl", "--json")
    assert (folder / "s.jsonl").read_bytes() == b"text"
    markdown = world.run("a", "session", "export", SESSION, "--format", "markdown").out
    assert "> &lt;b&gt;hi&lt;/b&gt;" in markdown
    world.run("a", "session", "export", SESSION, "--format", "markdown", "--output", "s.md")
    assert (folder / "s.md").read_text() == markdown

    project = world.open()
    project.store.put(project.layout.part("pi", SESSION, 1, known.parts[1].uuid), b"other")
    world.run("a", "session", "export", SESSION, "--format", "jsonl", "-o", "s.jsonl", exits=1)
    assert (folder / "s.jsonl").read_bytes() == b"text"
    assert sorted(path.name for path in folder.iterdir()) == ["s.jsonl", "s.md"]
