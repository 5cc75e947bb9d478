"""Where Codex keeps its sessions, and what their records mean."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sessions.transcripts.codex import BEGUN, SESSION, codex_lines, rollout_name, thread_id, write_codex
from tracecraft.sessions.harness import Found, Harness, Machine
from tracecraft.sessions.harnesses.codex import Codex
from tracecraft.sessions.message import About, Message, Spent, ToolCall, Usage
from tracecraft.sessions.registry import harness

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CODEX: Harness = Codex()
AT = "2026-11-20T10:29:15.926Z"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

_KINDS = ["message", "reasoning", "function_call", "function_call_output", "token_count", "agent_message", "error"]
_KINDS += ["thread_settings_applied", "task_started", "web_search_call", "tool_search_output"]


def on(home: Path, **environ: str) -> Machine:
    return Machine(home, environ)


def compress(path: Path) -> Path:
    packed = path.with_name(path.name + ".zst")
    packed.write_bytes(zstd.compress(path.read_bytes(), 3))
    path.unlink()
    return packed


class TestDiscovery:
    def test_it_is_registered(self) -> None:
        assert isinstance(harness("codex"), Codex)

    def test_a_session_is_found_with_what_its_first_line_tells(self, tmp_path: Path) -> None:
        path = write_codex(tmp_path, 30, cwd="/srv/a")
        os.utime(path, (1000, 1000))
        assert list(CODEX.discover(on(tmp_path))) == [Found("codex", SESSION, path, "/srv/a", 1000)]
        assert [source.path for source in CODEX.sources(Found("codex", SESSION, path))] == [path]

    def test_it_is_looked_for_where_the_environment_says(self, tmp_path: Path) -> None:
        write_codex(tmp_path, 3)
        (tmp_path / ".codex").rename(tmp_path / "mine")
        assert list(CODEX.discover(on(tmp_path))) == []
        assert len(list(CODEX.discover(on(tmp_path, CODEX_HOME=str(tmp_path / "mine"))))) == 1

    def test_those_begun_last_come_first(self, tmp_path: Path) -> None:
        days = [BEGUN + timedelta(days=13 * n, hours=n) for n in range(30)]
        ids = [thread_id(n, day) for n, day in enumerate(days)]
        for day, session in zip(days, ids, strict=True):
            write_codex(tmp_path, 2, session_id=session, begun=day)
        assert [found.session_id for found in CODEX.discover(on(tmp_path))] == ids[::-1]

    def test_of_a_folder_only_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "here").mkdir()
        (tmp_path / "link").symlink_to("here")
        for n, cwd in enumerate(("here", "link", "here/sub", "elsewhere")):
            write_codex(tmp_path, 2, session_id=thread_id(n), cwd=str(tmp_path / cwd))
        found = CODEX.discover(on(tmp_path), tmp_path / "here")
        assert {each.session_id for each in found} == {thread_id(0), thread_id(1)}

    def test_the_first_line_counts_whatever_was_copied_behind_it(self, tmp_path: Path) -> None:
        path = write_codex(tmp_path, 2, cwd="/fork")
        with path.open("ab") as file:
            file.writelines(codex_lines(5, session_id=thread_id(9), cwd="/parent"))
        (found,) = CODEX.discover(on(tmp_path))
        assert (found.session_id, found.cwd) == (SESSION, "/fork")

    def test_archived_ones_are_found(self, tmp_path: Path) -> None:
        path = write_codex(tmp_path, 3)
        archived = tmp_path / ".codex" / "archived_sessions" / path.name
        archived.parent.mkdir()
        path.rename(archived)
        assert [found.path for found in CODEX.discover(on(tmp_path))] == [archived]

    def test_compressed_ones_are_found_and_read(self, tmp_path: Path) -> None:
        path = write_codex(tmp_path, 30, cwd="/srv/a")
        content = path.read_bytes()
        packed = compress(path)
        (found,) = CODEX.discover(on(tmp_path))
        assert (found.session_id, found.path, found.cwd) == (SESSION, packed, "/srv/a")
        batch = CODEX.read_new(found, CODEX.sources(found)[0], None)
        assert batch is not None
        assert b"".join(batch.chunks) == content

    def test_of_twins_the_plain_one_counts(self, tmp_path: Path) -> None:
        path = write_codex(tmp_path, 3)
        content = path.read_bytes()
        compress(path)
        path.write_bytes(content)
        assert [found.path for found in CODEX.discover(on(tmp_path))] == [path]

    def test_what_is_no_rollout_is_passed_over(self, tmp_path: Path) -> None:
        path = write_codex(tmp_path, 3)
        for name in ("notes.jsonl", "rollout-x.jsonl", path.name + ".tmp", path.name.replace(SESSION, "x")):
            shutil.copy(path, path.with_name(name))
        path.with_name(rollout_name(thread_id(1))).symlink_to(path)
        path.with_name(rollout_name(thread_id(2))).mkdir()
        (tmp_path / ".codex" / "sessions" / "tmp").mkdir()
        (tmp_path / ".codex" / "sessions" / "2027").write_text("")
        assert [found.path for found in CODEX.discover(on(tmp_path))] == [path]

    @pytest.mark.parametrize("content", [b"", b"\0\0\n", b'{"payload":[]}\n', b"x" * 2_000_000, b"[" * 9999 + b"\n"])
    def test_one_whose_first_line_tells_nothing_is_of_no_folder(self, tmp_path: Path, content: bytes) -> None:
        path = write_codex(tmp_path, 3)
        path.write_bytes(content)
        assert [found.cwd for found in CODEX.discover(on(tmp_path))] == [""]
        assert list(CODEX.discover(on(tmp_path), tmp_path)) == []

    def test_a_damaged_one_is_passed_over(self, tmp_path: Path) -> None:
        write_codex(tmp_path, 3).with_name(rollout_name(thread_id(1)) + ".zst").write_bytes(b"garbage")
        assert [found.session_id for found in CODEX.discover(on(tmp_path))] == [SESSION]


class TestRestored:
    @pytest.mark.parametrize("source", ["/else/.codex/sessions/2026/03/01/{}", "/archived_sessions/{}.zst", "{}"])
    def test_it_is_where_it_would_be_found(self, tmp_path: Path, source: str) -> None:
        path = CODEX.restored(on(tmp_path), SESSION, source.format(rollout_name()), tmp_path)
        assert path == tmp_path / ".codex" / "sessions" / "2026" / "03" / "01" / rollout_name()

    @pytest.mark.parametrize("name", [rollout_name(thread_id(1)), "x.jsonl", "", "rollout-../../..", "a\nb"])
    def test_what_was_no_rollout_of_it_cannot_be(self, tmp_path: Path, name: str) -> None:
        assert CODEX.restored(on(tmp_path), SESSION, f"/x/{name}", tmp_path) is None

    def test_nobody_is_known_to_work_on_it(self, tmp_path: Path) -> None:
        path = write_codex(tmp_path, 3)
        assert CODEX.process(on(tmp_path), Found("codex", SESSION, path)) is None


def entries(kind: str, **payload: Any) -> list[Any]:
    return list(CODEX.normalise({"timestamp": AT, "type": kind, "payload": payload}))


def item(kind: str, **payload: Any) -> list[Any]:
    return entries("response_item", **{"type": kind, **payload})


def event(kind: str, **payload: Any) -> list[Any]:
    return entries("event_msg", **{"type": kind, **payload})


def message(role: str, text: str, **more: Any) -> list[Any]:
    return item("message", role=role, content=[{"type": "input_text", "text": text}], **more)


class TestMeaning:
    def test_the_session(self) -> None:
        meta = {"id": "t1", "cwd": "/a", "cli_version": "0.169.0", "git": {"branch": "main"}, "source": "exec"}
        about = About(cwd="/a", branch="main", version="0.169.0", session="t1", at=AT)
        assert entries("session_meta", **meta) == [about]
        spawned = {"subagent": {"thread_spawn": {"parent_thread_id": "t0"}}}
        for parent in ({"forked_from_id": "t0"}, {"parent_thread_id": "t0"}, {"source": spawned}):
            (told,) = entries("session_meta", **{**meta, **parent})
            assert told.parent == "t0"

    def test_turns_and_models(self) -> None:
        context = {"turn_id": "u1", "cwd": "/a", "model": "gpt-5-codex"}
        assert entries("turn_context", **context) == [About(cwd="/a", model="gpt-5-codex", turn="u1", at=AT)]
        assert event("task_started", turn_id="u1") == [About(turn="u1", at=AT)]
        settings = {"cwd": "/a", "model": "gpt-5-codex"}
        assert event("thread_settings_applied", thread_settings=settings) == [
            About(cwd="/a", model="gpt-5-codex", at=AT)
        ]

    def test_what_was_said(self) -> None:
        assert message("user", "Hello") == [Message("user", "Hello", at=AT)]
        answer = [{"type": "output_text", "text": "Hi"}, {"type": "output_text", "text": "there"}]
        assert item("message", role="assistant", content=answer) == [Message("assistant", "Hi\nthere", at=AT)]
        picture = item("message", role="user", content=[{"type": "input_image", "image_url": "data:"}])
        assert picture == [Message("user", "[image]", at=AT)]

    def test_what_nobody_typed(self) -> None:
        assert message("developer", "Be good") == [Message("system", "Be good", injected=True, at=AT)]
        for text in ("<environment_context>\n<cwd>", "# AGENTS.md instructions for /a", "<user_instructions>"):
            assert message("user", text) == [Message("user", text, injected=True, at=AT)]

    @pytest.mark.parametrize(("origin", "injected"), [("user", False), ("harness", True), ("skills", True)])
    def test_newer_versions_tell_who_typed(self, origin: str, injected: bool) -> None:
        told = {"content_item_metadata": [{"provenance": {"type": origin}}]}
        said = message("user", "<environment_context>", internal_chat_message_metadata_passthrough=told)
        assert said == [Message("user", "<environment_context>", injected=injected, at=AT)]

    def test_thoughts(self) -> None:
        summary = [{"type": "summary_text", "text": "Plan"}, {"type": "summary_text", "text": "Do"}]
        assert item("reasoning", summary=summary, content=None, encrypted_content="x") == [
            Message("assistant", thinking="Plan\nDo", at=AT)
        ]
        assert item("reasoning", summary=[], encrypted_content="x") == []

    def test_calls(self) -> None:
        calls = [
            (item("function_call", name="f", arguments='{"a": 1}', call_id="c"), ToolCall("c", "f", {"a": 1})),
            (item("function_call", name="f", arguments='{"a', call_id="c"), ToolCall("c", "f", '{"a')),
            (item("function_call", name="f", namespace="mcp", arguments=None, id="i"), ToolCall("i", "mcp.f")),
            (
                item("custom_tool_call", name="apply_patch", input="***", call_id="c"),
                ToolCall("c", "apply_patch", "***"),
            ),
            (
                item("local_shell_call", action={"command": ["ls"]}, id="i"),
                ToolCall("i", "local_shell", {"command": ["ls"]}),
            ),
            (item("web_search_call", action={"query": "q"}, id="i"), ToolCall("i", "web_search", {"query": "q"})),
            (
                item("tool_search_call", arguments={"query": "q"}, call_id="c"),
                ToolCall("c", "tool_search", {"query": "q"}),
            ),
        ]
        for told, call in calls:
            assert told == [Message("assistant", calls=(call,), at=AT)]

    @pytest.mark.parametrize(
        ("output", "text", "failed"),
        [
            ("Chunk ID: a1\nProcess exited with code 0\nOutput:\nok", None, False),
            ("Chunk ID: a1\nProcess exited with code 2\nOutput:\nno", None, True),
            ("Exit code: 127\nnot found", None, True),
            ("Exit code: 0\nit said\nExit code later", None, False),
            (json.dumps({"output": "no", "metadata": {"exit_code": 1}}), "no", True),
            (json.dumps({"output": "ok", "metadata": {"exit_code": 0}}), "ok", False),
            (json.dumps({"answer": 42}), None, False),
            ({"content": "no", "success": False}, "no", True),
            ({"type": "input_text", "text": "a.txt"}, "a.txt", False),
            ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], "a\nb", False),
        ],
    )
    @pytest.mark.parametrize("kind", ["function_call_output", "custom_tool_call_output"])
    def test_results(self, kind: str, output: Any, text: str | None, failed: bool) -> None:
        told = item(kind, call_id="c", output=output)
        assert told == [Message("tool", output if text is None else text, answers="c", failed=failed, at=AT)]

    def test_what_events_alone_tell(self) -> None:
        assert event("thread_name_updated", thread_name="A") == [About(title="A", title_rank=2, at=AT)]
        assert event("turn_aborted", reason="interrupted") == [Message("system", "turn aborted: interrupted", at=AT)]
        assert event("error", message="quota") == [Message("system", "quota", failed=True, at=AT)]

    @pytest.mark.parametrize("kind", ["user_message", "agent_message", "agent_reasoning", "item_completed", "new"])
    def test_what_items_tell_too_is_told_once(self, kind: str) -> None:
        assert event(kind, message="Hi", text="Hi", item={"type": "UserMessage", "content": []}) == []

    def test_compactions_hold_no_second_history(self) -> None:
        history = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "old"}]}]
        assert entries("compacted", message="So far", replacement_history=history) == [
            Message("user", "So far", injected=True, at=AT)
        ]
        assert entries("compacted", message="", token_usage_record={"usage": {"input_tokens": 1}}) == []

    def test_usage(self) -> None:
        tokens = {
            "input_tokens": 100,
            "cached_input_tokens": 60,
            "cache_write_input_tokens": 10,
            "output_tokens": 20,
            "reasoning_output_tokens": 15,
        }
        usage = Usage(30, 20, 60, 10, 15)
        info = {"total_token_usage": tokens, "last_token_usage": {"input_tokens": 5}}
        assert event("token_count", info=info) == [Spent("total", usage, running=True, at=AT)]
        assert event("token_count", info=None) == []
        record = {"thread_id": "t1", "turn_id": "u1", "response_id": "r1", "usage": tokens}
        assert entries("token_usage_record", **record) == [
            About(session="t1", at=AT),
            Spent("r1", usage, rank=1, at=AT),
        ]

    @given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
    def test_any_record_is_survived(self, record: dict[str, Any]) -> None:
        list(CODEX.normalise(record))

    @given(
        st.sampled_from(
            ["response_item", "event_msg", "session_meta", "turn_context", "token_usage_record", "compacted"]
        ),
        st.fixed_dictionaries(
            {"type": st.sampled_from(_KINDS) | JSON},
            optional={
                "role": st.sampled_from(["user", "assistant", "developer"]) | JSON,
                "content": JSON | st.lists(st.dictionaries(st.sampled_from(["type", "text"]), JSON)),
                "summary": JSON,
                "arguments": JSON | st.sampled_from(["{", '{"a":' * 500]),
                "output": JSON | st.dictionaries(st.sampled_from(["output", "content", "metadata"]), JSON),
                "info": JSON | st.fixed_dictionaries({"total_token_usage": st.just({"input_tokens": -5}) | JSON}),
                "usage": JSON | st.dictionaries(st.sampled_from(["input_tokens", "cached_input_tokens"]), JSON),
                "id": JSON,
                "git": JSON,
                "source": JSON | st.fixed_dictionaries({"subagent": JSON}),
                "model": JSON,
                "message": JSON,
                "internal_chat_message_metadata_passthrough": JSON
                | st.fixed_dictionaries(
                    {"content_item_metadata": JSON | st.lists(st.fixed_dictionaries({"provenance": JSON}))}
                ),
            },
        ),
    )
    def test_wrong_types_anywhere_are_survived(self, kind: str, payload: dict[str, Any]) -> None:
        for entry in CODEX.normalise({"type": kind, "payload": payload, "timestamp": AT}):
            if isinstance(entry, Spent):
                assert min(entry.usage.input, entry.usage.output, entry.usage.cache_read) >= 0


def test_generated_rollouts_look_like_what_they_stand_for(tmp_path: Path) -> None:
    begun = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    short, long = (b"".join(codex_lines(count, seed=3)) for count in (20, 50))
    assert long.startswith(short)
    path = write_codex(tmp_path, 4, begun=begun, session_id=thread_id(1, begun))
    assert path.parts[-4:-1] == ("2026", "05", "06")
