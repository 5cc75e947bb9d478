"""Where Claude Code keeps its sessions, and what their records mean."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sessions.transcripts.claude import CWD, SESSION, claude_lines, folder_name, write_claude
from tracecraft.errors import UsageError
from tracecraft.sessions.harness import Found, Harness, Machine
from tracecraft.sessions.harnesses.claude_code import ClaudeCode, _base36, _checksum, _folder_name
from tracecraft.sessions.message import About, Message, Spent, ToolCall, Usage
from tracecraft.sessions.registry import harness

CLAUDE: Harness = ClaudeCode()
AT = "2026-02-09T06:41:12.734Z"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def on(home: Path, **environ: str) -> Machine:
    return Machine(home, environ)


def put(home: Path, cwd: str, session: str, *records: dict[str, Any]) -> Path:
    path = home / ".claude" / "projects" / folder_name(cwd) / f"{session}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def only(machine: Machine, cwd: Path | None = None) -> Found:
    (found,) = CLAUDE.discover(machine, cwd)
    return found


class TestDiscovery:
    def test_it_is_registered(self) -> None:
        assert isinstance(harness("claude-code"), ClaudeCode)

    def test_a_session_is_found_with_what_its_records_tell(self, tmp_path: Path) -> None:
        path = write_claude(tmp_path, 30)
        os.utime(path, (1000, 1000))
        assert only(on(tmp_path)) == Found("claude-code", SESSION, path, CWD, 1000)

    def test_nothing_is_found_where_nothing_is(self, tmp_path: Path) -> None:
        assert list(CLAUDE.discover(on(tmp_path))) == []
        assert list(CLAUDE.discover(on(tmp_path), tmp_path)) == []

    @pytest.mark.parametrize(
        ("environ", "root"),
        [
            ({}, ".claude"),
            ({}, ".config/claude"),
            ({"XDG_CONFIG_HOME": "{home}/xdg"}, "xdg/claude"),
            ({"CLAUDE_CONFIG_DIR": "{home}/mine"}, "mine"),
        ],
    )
    def test_it_is_looked_for_where_the_environment_says(
        self, tmp_path: Path, environ: dict[str, str], root: str
    ) -> None:
        (tmp_path / root).parent.mkdir(parents=True, exist_ok=True)
        write_claude(tmp_path, 10)
        (tmp_path / ".claude").rename(tmp_path / root)
        machine = on(tmp_path, **{name: value.format(home=tmp_path) for name, value in environ.items()})
        assert only(machine).path.is_relative_to(tmp_path / root)

    def test_a_chosen_folder_is_the_only_one(self, tmp_path: Path) -> None:
        write_claude(tmp_path, 10)
        assert list(CLAUDE.discover(on(tmp_path, CLAUDE_CONFIG_DIR=str(tmp_path / "other")))) == []

    def test_of_a_folder_only_its_own(self, tmp_path: Path) -> None:
        here = tmp_path / "a.b_c ü"
        here.mkdir()
        put(tmp_path, str(here), "mine", {"cwd": str(here)})
        put(tmp_path, str(tmp_path / "a-b-c-ü"), "of-another-folder-with-this-name", {"cwd": str(tmp_path / "a-b-c-ü")})
        put(tmp_path, str(here), "put-here", {"type": "mode"}, {"cwd": "/somewhere/else"})
        put(tmp_path, str(here), "tells-nothing", {"type": "mode"})
        put(tmp_path, "/elsewhere", "elsewhere", {"cwd": "/elsewhere"})
        found = {found.session_id: found.cwd for found in CLAUDE.discover(on(tmp_path), here)}
        assert found == {"mine": str(here), "put-here": "/somewhere/else", "tells-nothing": str(here)}
        assert len(list(CLAUDE.discover(on(tmp_path)))) == 5

    def test_a_folder_is_found_through_a_link_to_it(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        put(tmp_path, str(tmp_path / "real"), "s", {"cwd": str(tmp_path / "real")})
        assert only(on(tmp_path), tmp_path / "link").session_id == "s"

    def test_long_names_are_cut_and_told_apart_by_what_records_say(self, tmp_path: Path) -> None:
        here = Path("/srv/" + "long/" * 60)
        name = folder_name(str(here))[:200]
        for session, ending, cwd in (("mine", "abc123", here), ("other", "def456", here / "sub")):
            path = put(tmp_path, "x", session, {"cwd": str(cwd)})
            path.parent.rename(path.parent.with_name(f"{name}-{ending}"))
        assert only(on(tmp_path), here).session_id == "mine"

    def test_a_name_of_the_folder_may_be_chosen(self, tmp_path: Path) -> None:
        path = put(tmp_path, "chosen", "s", {"cwd": str(tmp_path)})
        put(tmp_path, "chosen", "of-another", {"cwd": "/elsewhere"})
        environ = {"CLAUDE_CONFIG_DIR": str(tmp_path / ".claude"), "CLAUDE_CODE_PROJECT_DIR_NAME": "chosen"}
        assert only(on(tmp_path, **environ), tmp_path).path == path
        del environ["CLAUDE_CONFIG_DIR"]
        assert list(CLAUDE.discover(on(tmp_path, **environ), tmp_path)) == []

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        path = put(tmp_path, str(tmp_path), "s", {"cwd": str(tmp_path)})
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "secret.jsonl").write_text("{}\n")
        path.with_name("link.jsonl").symlink_to(elsewhere / "secret.jsonl")
        path.with_suffix("").mkdir()
        (path.with_suffix("") / "subagents").symlink_to(elsewhere)
        (path.parent.parent / "linked").symlink_to(elsewhere)
        assert [source.stream for source in CLAUDE.sources(only(on(tmp_path)))] == [""]

    def test_garbage_is_found_and_tells_nothing(self, tmp_path: Path) -> None:
        path = put(tmp_path, str(tmp_path), "s")
        path.write_bytes(b'\0\0\0\n{"cwd": 5}\n[]\n{"cwd"')
        assert only(on(tmp_path)).cwd == ""


class TestSources:
    def test_streams_of_a_session(self, tmp_path: Path) -> None:
        main = write_claude(tmp_path, 20, agents=2)
        home = main.with_suffix("")
        nested = home / "subagents" / "workflows" / "run-1" / "agent-x.jsonl"
        nested.parent.mkdir(parents=True)
        nested.write_text('{"sessionId":"s"}\n')
        (home / "workflows").mkdir()
        (home / "workflows" / "wf_1.json").write_text("{}")
        (home / "tool-results" / "bad\nname.txt").write_text("x")
        found = only(on(tmp_path))
        sources = {source.stream: source.whole for source in CLAUDE.sources(found)}
        assert sources == {
            "": False,
            "subagents/agent-a51d20cf3b9e7700.jsonl": False,
            "subagents/agent-a51d20cf3b9e7701.jsonl": False,
            "subagents/workflows/run-1/agent-x.jsonl": False,
            "subagents/agent-a51d20cf3b9e7700.meta.json": True,
            "subagents/agent-a51d20cf3b9e7701.meta.json": True,
            "tool-results/a51d20cf3b9e7700.txt": True,
            "tool-results/a51d20cf3b9e7701.txt": True,
            "workflows/wf_1.json": True,
        }
        assert all(source.path == CLAUDE.stream_path(main, source.stream) for source in CLAUDE.sources(found))
        assert CLAUDE.sources(found)[0].path == main

    def test_old_subagents_belong_to_the_session_that_they_name(self, tmp_path: Path) -> None:
        main = put(tmp_path, "/a", "s", {"cwd": "/a", "sessionId": "s"})
        put(tmp_path, "/a", "t", {"cwd": "/a", "sessionId": "t"})
        agent = put(tmp_path, "/a", "agent-1", {"sessionId": "s", "isSidechain": True})
        put(tmp_path, "/a", "agent-2", {"sessionId": "gone"})
        os.utime(main, (1000, 1000))
        os.utime(agent, (2000, 2000))
        found = {found.session_id: found for found in CLAUDE.discover(on(tmp_path))}
        assert set(found) == {"s", "t"}
        assert found["s"].modified == 2000
        assert [source.path for source in CLAUDE.sources(found["s"])] == [main, agent]
        assert CLAUDE.stream_path(main, "agent-1.jsonl") == agent
        assert [source.stream for source in CLAUDE.sources(found["t"])] == [""]

    def test_an_agent_file_is_asked_until_it_tells_and_again_when_it_is_replaced(self, tmp_path: Path) -> None:
        put(tmp_path, "/a", "s", {"sessionId": "s"})
        agent = put(tmp_path, "/a", "agent-1")
        assert len(CLAUDE.sources(only(on(tmp_path)))) == 1
        agent.write_text('{"sessionId":"gone"}\n')
        assert len(CLAUDE.sources(only(on(tmp_path)))) == 1
        other = agent.with_name("other")
        other.write_text('{"sessionId":"s"}\n')
        other.replace(agent)
        assert len(CLAUDE.sources(only(on(tmp_path)))) == 2


class TestProcess:
    def registered(self, home: Path, pid: int | str, session: Any) -> None:
        folder = home / ".claude" / "sessions"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{pid}.json").write_text(json.dumps({"pid": pid, "sessionId": session}))

    def test_a_registered_process_that_lives(self, tmp_path: Path) -> None:
        write_claude(tmp_path, 5)
        self.registered(tmp_path, os.getpid(), SESSION)
        assert CLAUDE.process(on(tmp_path), only(on(tmp_path))) == os.getpid()

    def test_nobody_is_at_work(self, tmp_path: Path) -> None:
        write_claude(tmp_path, 5)
        done = subprocess.Popen([sys.executable, "-c", ""])
        done.wait()
        self.registered(tmp_path, done.pid, SESSION)
        self.registered(tmp_path, os.getppid(), "another session")
        self.registered(tmp_path, "not-a-pid", SESSION)
        self.registered(tmp_path, "9" * 30, SESSION)
        self.registered(tmp_path, os.getpid(), ["odd"])
        assert CLAUDE.process(on(tmp_path), only(on(tmp_path))) is None

    @pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux tells when a process started")
    def test_a_process_that_got_the_number_of_a_dead_one(self, tmp_path: Path) -> None:
        write_claude(tmp_path, 5)
        self.registered(tmp_path, os.getpid(), SESSION)
        os.utime(tmp_path / ".claude" / "sessions" / f"{os.getpid()}.json", (1000, 1000))
        assert CLAUDE.process(on(tmp_path), only(on(tmp_path))) is None


class TestRestored:
    def test_it_is_where_it_would_be_found(self, tmp_path: Path) -> None:
        cwd = tmp_path / "new.place"
        cwd.mkdir()
        path = CLAUDE.restored(on(tmp_path), SESSION, "/other/machine/x.jsonl", cwd)
        assert path == tmp_path / ".claude" / "projects" / folder_name(str(cwd)) / f"{SESSION}.jsonl"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join(claude_lines(20, cwd="/other/place")))
        assert only(on(tmp_path), cwd).path == path

    def test_a_long_name_is_the_one_that_is_there(self, tmp_path: Path) -> None:
        here = Path("/srv/" + "long/" * 60)
        path = CLAUDE.restored(on(tmp_path), "s", "", here)
        assert path is not None
        assert path.parent.name.startswith(folder_name(str(here))[:200] + "-")
        there = tmp_path / ".claude" / "projects" / (folder_name(str(here))[:200] + "-1abc")
        there.mkdir(parents=True)
        assert CLAUDE.restored(on(tmp_path), "s", "", here) == there / "s.jsonl"

    def test_a_chosen_name_is_used(self, tmp_path: Path) -> None:
        machine = on(tmp_path, CLAUDE_CONFIG_DIR=str(tmp_path / "c"), CLAUDE_CODE_PROJECT_DIR_NAME="chosen")
        assert CLAUDE.restored(machine, "s", "", tmp_path) == tmp_path / "c" / "projects" / "chosen" / "s.jsonl"

    @pytest.mark.parametrize("session", ["../../../.bashrc", "a/b", "a\0b", "a\nb"])
    def test_no_id_leads_out(self, tmp_path: Path, session: str) -> None:
        with pytest.raises(UsageError):
            CLAUDE.restored(on(tmp_path), session, "", tmp_path)

    def test_checksums_of_long_names(self) -> None:
        assert [_base36(_checksum(cwd)) for cwd in ("", "a", "ab", "hello", "polygenelubricants")] == [
            "0",
            "2p",
            "2e9",
            "1n1e4y",
            "zik0zk",
        ]
        assert _folder_name("/" + "a" * 199) == "-" + "a" * 199
        assert len(_folder_name("/" + "a" * 200)) > 201


def entries(**record: Any) -> list[Any]:
    return list(CLAUDE.normalise({"timestamp": AT, **record}))


def said(kind: str, content: Any, **more: Any) -> list[Any]:
    return entries(type=kind, message={"role": kind, "content": content, **more.pop("message", {})}, **more)


class TestMeaning:
    def test_what_a_user_types(self) -> None:
        assert said("user", "Hello") == [Message("user", "Hello", at=AT)]
        image = {"type": "image", "source": {"data": "aGk="}}
        assert said("user", [{"type": "text", "text": "See"}, image]) == [Message("user", "See\n[image]", at=AT)]

    @pytest.mark.parametrize("mark", ["isMeta", "isCompactSummary", "isVisibleInTranscriptOnly", "isSidechain"])
    def test_what_is_marked_as_not_typed(self, mark: str) -> None:
        assert said("user", "Hello", **{mark: True}) == [Message("user", "Hello", injected=True, at=AT)]

    @pytest.mark.parametrize(
        "text",
        [
            "<local-command-stdout></local-command-stdout>",
            "<command-name>/clear</command-name>\n            <command-message>clear</command-message>",
            "<system-reminder>Mind the gap</system-reminder>",
            "[Request interrupted by user for tool use]",
        ],
    )
    def test_what_the_harness_says(self, text: str) -> None:
        assert said("user", text) == [Message("user", text, injected=True, at=AT)]

    def test_results_of_tools(self) -> None:
        good = {"type": "tool_result", "tool_use_id": "t1", "content": "done"}
        bad = {"type": "tool_result", "tool_use_id": "t2", "is_error": True}
        bad["content"] = [{"type": "text", "text": "Exit"}, {"type": "text", "text": "code 1"}, {"type": "image"}]
        assert said("user", [good, bad]) == [
            Message("tool", "done", answers="t1", at=AT),
            Message("tool", "Exit\ncode 1\n[image]", answers="t2", failed=True, at=AT),
        ]

    def test_an_answer(self) -> None:
        content = [
            {"type": "thinking", "thinking": "Hm", "signature": "x"},
            {"type": "text", "text": "Reading."},
            {"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "/a"}},
        ]
        usage = {
            "input_tokens": 3,
            "output_tokens": 7,
            "cache_read_input_tokens": 500,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        }
        message = {"id": "m1", "model": "opus", "usage": usage}
        assert said("assistant", content, requestId="r1", message=message) == [
            Message("assistant", "Reading.", "Hm", (ToolCall("t1", "Read", {"file_path": "/a"}),), model="opus", at=AT),
            Spent("m1:r1", Usage(3, 7, 500, 30), "opus", at=AT),
        ]

    def test_usage_is_told_even_where_nothing_was_said(self) -> None:
        usage = {"output_tokens": 7, "cache_creation": {"ephemeral_5m_input_tokens": 10}}
        blank = said("assistant", [{"type": "text", "text": "\n\n"}], message={"id": "m1", "usage": usage})
        assert blank == [Spent("m1:", Usage(0, 7, 0, 10), at=AT)]

    def test_what_the_harness_made_up_costs_nothing(self) -> None:
        message = {"model": "<synthetic>", "usage": {"output_tokens": 9}}
        content = [{"type": "text", "text": "API Error: 529"}]
        assert said("assistant", content, message=message, isApiErrorMessage=True) == [
            Message("system", "API Error: 529", failed=True, at=AT)
        ]
        assert said("assistant", content, message=message) == [Message("system", "API Error: 529", at=AT)]

    def test_facts_of_the_session(self) -> None:
        told = entries(type="progress", cwd="/a", gitBranch="main", version="2.1.41", data={"type": "bash_progress"})
        assert told == [About(cwd="/a", branch="main", version="2.1.41", at=AT)]
        assert entries(type="progress", cwd="/worktree", isSidechain=True) == []

    def test_titles(self) -> None:
        titles = [
            ({"type": "summary", "summary": "A"}, 1),
            ({"type": "ai-title", "aiTitle": "A"}, 2),
            ({"type": "custom-title", "customTitle": "A"}, 3),
        ]
        for record, rank in titles:
            assert entries(**record) == [About(title="A", title_rank=rank, at=AT)]

    def test_queued_prompts_and_notices(self) -> None:
        queued = {"type": "queued_command", "prompt": [{"type": "text", "text": "And this"}]}
        assert entries(type="attachment", attachment=queued) == [Message("user", "And this", at=AT)]
        assert entries(type="attachment", attachment={"type": "hook_success", "content": "x"}) == []
        assert entries(type="system", subtype="compact_boundary", content="Conversation compacted") == [
            Message("system", "Conversation compacted", at=AT)
        ]

    @pytest.mark.parametrize(
        "kind",
        ["file-history-snapshot", "queue-operation", "pr-link", "mode", "tag", "worktree-state", "from-tomorrow"],
    )
    def test_other_records_mean_nothing(self, kind: str) -> None:
        assert entries(type=kind, content="x", message={"content": "x"}) == []

    @given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
    def test_any_record_is_survived(self, record: dict[str, Any]) -> None:
        list(CLAUDE.normalise(record))

    @given(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["user", "assistant", "system", "summary", "ai-title", "attachment"]) | JSON},
            optional={
                "message": st.fixed_dictionaries(
                    {},
                    optional={
                        "content": JSON
                        | st.lists(
                            st.fixed_dictionaries(
                                {"type": st.sampled_from(["text", "thinking", "tool_use", "tool_result"]) | JSON},
                                optional={"text": JSON, "thinking": JSON, "content": JSON, "id": JSON, "name": JSON},
                            )
                        ),
                        "usage": JSON | st.dictionaries(st.sampled_from(["input_tokens", "cache_creation"]), JSON),
                        "id": JSON,
                        "model": JSON,
                    },
                )
                | JSON,
                "attachment": st.fixed_dictionaries({"type": st.just("queued_command"), "prompt": JSON}) | JSON,
                "timestamp": JSON,
                "content": JSON,
                "cwd": JSON,
                "requestId": JSON,
                "costUSD": JSON,
                "isMeta": JSON,
            },
        )
    )
    def test_wrong_types_anywhere_are_survived(self, record: dict[str, Any]) -> None:
        for entry in CLAUDE.normalise(record):
            if isinstance(entry, Spent):
                assert min(entry.usage.input, entry.usage.output, entry.usage.cache_write) >= 0
