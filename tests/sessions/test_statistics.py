"""Statistics come to what a transcript holds, however often its harness repeats itself, and however it is cut up."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sessions.transcripts.claude import claude_lines
from tests.sessions.transcripts.codex import BEGUN, SESSION, codex_lines, thread_id
from tracecraft.sessions.harness import Harness
from tracecraft.sessions.message import About, Entry, Message, Spent, ToolCall, Usage
from tracecraft.sessions.registry import harness
from tracecraft.sessions.statistics import OTHERS, Fold, Statistics

CLAUDE, CODEX = harness("claude-code"), harness("codex")
SAMPLES = os.environ.get("TRACECRAFT_TEST_SAMPLES", "")


def told(*entries: Entry, bounded: bool = False) -> Statistics:
    fold = Fold(bounded=bounded)
    for entry in entries:
        fold.feed(entry)
    return fold.statistics


def folded(kind: Harness, lines: Iterable[bytes], *, bounded: bool = False) -> Statistics:
    fold = Fold(bounded=bounded)
    for line in lines:
        fold.feed_line(kind, line)
    return fold.statistics


def sample(*names: str) -> list[bytes]:
    if not SAMPLES:
        pytest.skip("TRACECRAFT_TEST_SAMPLES does not name the folder of samples")
    (path,) = Path(SAMPLES, names[0]).glob(names[1])
    return path.read_bytes().splitlines(keepends=True)


class TestUsage:
    def test_of_one_key_the_largest_output_counts(self) -> None:
        spent = [Spent("k", Usage(10, output), "m") for output in (2, 9, 9, 3)]
        assert told(*spent, Spent("other", Usage(1, 1), "m")).usage == {"m": Usage(11, 10)}

    def test_a_running_total_counts_by_its_growth_for_the_model_of_its_time(self) -> None:
        statistics = told(
            About(model="a"),
            Spent("t", Usage(10, 1), running=True),
            Spent("t", Usage(10, 1), running=True),
            About(model="b"),
            Spent("t", Usage(25, 4, 8), running=True),
        )
        assert statistics.usage == {"a": Usage(10, 1), "b": Usage(15, 3, 8)}
        assert statistics.models == ["a", "b"]

    def test_a_running_total_that_shrinks_has_begun_anew(self) -> None:
        totals = [Spent("t", Usage(tokens, 0), "m", running=True) for tokens in (10, 30, 5, 7)]
        assert told(*totals).usage == {"m": Usage(37)}

    def test_running_totals_of_several_keys_add_up(self) -> None:
        totals = [Spent(key, Usage(tokens), "m", running=True) for key, tokens in (("a", 5), ("b", 7), ("a", 6))]
        assert told(*totals).usage == {"m": Usage(13)}

    @pytest.mark.parametrize("order", [1, -1])
    def test_only_the_highest_rank_counts(self, order: int) -> None:
        spent: list[Entry] = [Spent("t", Usage(100), "m", 1.0, running=True), Spent("r", Usage(7), "m", rank=1)]
        statistics = told(*spent[::order])
        assert statistics.usage == {"m": Usage(7)}
        assert statistics.cost is None

    def test_cost_counts_as_its_usage_does(self) -> None:
        spent = [Spent("k", Usage(0, 1), "m", 0.25), Spent("k", Usage(0, 2), "m", 0.5), Spent("l", Usage(), "m", 1.0)]
        assert told(*spent).cost == 1.5
        assert told(*(Spent("t", Usage(n), "m", n / 4, running=True) for n in (1, 2, 4))).cost == 1.0
        assert told(Spent("k", Usage(1), "m")).cost is None

    def test_usage_of_no_model_is_kept(self) -> None:
        assert told(Spent("k", Usage(1))).usage == {"": Usage(1)}


class TestTitles:
    def test_the_first_thing_that_somebody_typed(self) -> None:
        statistics = told(
            Message("user", "<reminder>", injected=True),
            Message("user", "  \n"),
            Message("user", "Fix\n\tthe \x1b[31mbuild " + "x" * 100),
            Message("user", "later"),
        )
        assert statistics.title == ("Fix the [31mbuild " + "x" * 100)[:80]

    def test_one_that_the_harness_gave(self) -> None:
        first = Message("user", "typed")
        assert told(first, About(title="given"), Message("user", "more")).title == "given"
        assert told(About(title="given"), first).title == "given"
        assert told(About(title="b", title_rank=2), About(title="a", title_rank=1)).title == "b"
        assert told(About(title="b", title_rank=2), About(title="c\nd", title_rank=2)).title == "c d"
        assert told(About(title="given"), About(cwd="/")).title == "given"


class TestFacts:
    def test_the_later_counts_and_nothing_says_nothing(self) -> None:
        statistics = told(
            About(cwd="/a", branch="main", version="1", parent="p"), About(cwd="/b", model="m"), About(branch="topic")
        )
        assert (statistics.cwd, statistics.branch, statistics.version, statistics.parent) == ("/b", "topic", "1", "p")

    def test_messages_tools_and_failures_are_counted(self) -> None:
        call = ToolCall("1", "Read")
        statistics = told(
            Message("user", "a"),
            Message("user", "b", injected=True),
            Message("assistant", calls=(call, call, ToolCall("2", "Bash")), model="m"),
            Message("tool", failed=True),
            Message("tool"),
            Message("system", failed=True),
        )
        assert statistics.messages == {"user": 1, "injected": 1, "assistant": 1, "tool": 2, "system": 1}
        assert statistics.tools == {"Read": 2, "Bash": 1}
        assert statistics.failed == 1
        assert statistics.models == ["m"]

    def test_times(self) -> None:
        times = ("2026-02-09T06:00:10Z", "", "soon", "2026-02-09T06:00:00.5Z", "2026-02-09T07:00:20+01:00")
        statistics = told(*(Message("user", "x", at=at) for at in times))
        assert (statistics.first, statistics.last) == ("2026-02-09T06:00:00.5Z", "2026-02-09T07:00:20+01:00")
        assert statistics.duration == 19.5
        assert Statistics().duration == 0


class TestCopies:
    OWN = thread_id(1)
    OLDER, NEWER = thread_id(2, BEGUN - timedelta(hours=1)), thread_id(3, BEGUN + timedelta(seconds=1))

    def test_what_was_copied_from_a_parent_does_not_count(self) -> None:
        statistics = told(
            About(session=self.OWN, cwd="/own", parent="p"),
            About(session="p", cwd="/parent", title="parent"),
            About(turn=self.OLDER, model="parents"),
            Message("user", "of the parent", at="2020-01-01T00:00:00Z"),
            Spent("k", Usage(100)),
            Spent("t", Usage(1000), running=True),
            About(turn=self.NEWER, model="own"),
            Message("user", "own", at="2026-03-01T09:00:01Z"),
            Spent("l", Usage(1)),
            Spent("t", Usage(1002), running=True),
        )
        assert (statistics.cwd, statistics.title, statistics.models) == ("/own", "own", ["own"])
        assert statistics.messages == {"user": 1}
        assert statistics.usage == {"own": Usage(3)}
        assert statistics.first == "2026-03-01T09:00:01Z"

    def test_what_cannot_be_told_to_be_copied_counts(self) -> None:
        old_turn, odd_turn = About(turn=self.OLDER), About(turn="turn-1")
        typed = Message("user", "x")
        assert told(About(session=self.OWN), old_turn, typed).messages == {"user": 1}
        assert told(About(session=self.OWN, parent="p"), old_turn, odd_turn, typed).messages == {"user": 1}
        assert told(About(session="own"), About(session="p"), odd_turn, typed).messages == {"user": 1}

    def test_a_fork_of_codex(self) -> None:
        parent = list(codex_lines(60))
        begun = BEGUN + timedelta(hours=1)
        own = list(codex_lines(60, 7, session_id=thread_id(5, begun), begun=begun, meta={"forked_from_id": SESSION}))
        fork = [own[0], *parent, *own[1:]]
        alone, together = folded(CODEX, own), folded(CODEX, fork)
        assert together.usage == alone.usage
        assert together.parent == SESSION
        # What stands between the copy and the first turn is the harness's own.
        assert together.messages.items() >= {(role, n) for role, n in alone.messages.items() if role != "injected"}


class TestGoingOn:
    @pytest.mark.parametrize("bounded", [True, False])
    @pytest.mark.parametrize("kind", ["claude", "codex", "legacy"])
    @given(cuts=st.lists(st.integers(0, 120), max_size=4))
    def test_a_fold_goes_on_from_plain_json(self, bounded: bool, kind: str, cuts: list[int]) -> None:
        lines, made_by = {
            "claude": (list(claude_lines(120, 1, words=3)), CLAUDE),
            "codex": (list(codex_lines(120, 1, words=3)), CODEX),
            "legacy": (list(codex_lines(120, 1, words=3, paginated=False)), CODEX),
        }[kind]
        fold, done = Fold(bounded=bounded), 0
        for cut in [*sorted(cuts), len(lines)]:
            for line in lines[done:cut]:
                fold.feed_line(made_by, line)
            done = max(done, cut)
            fold = Fold.from_json(json.loads(json.dumps(fold.to_json())), bounded=bounded)
        assert fold.statistics == folded(made_by, lines)

    def test_the_json_has_the_statistics_at_its_top(self) -> None:
        fold = Fold()
        fold.feed(Message("user", "Hello", at="2026-02-09T06:00:10Z"))
        saved = fold.to_json()
        assert saved["title"] == "Hello"
        assert saved["messages"] == {"user": 1}

    def test_a_bounded_fold_stays_small(self) -> None:
        fold = Fold(bounded=True)
        for n in range(3000):
            entries: list[Entry] = [
                Spent(f"key-{n}-" + "x" * 10_000, Usage(1, 1), f"model-{n}" + "x" * 10_000),
                Message(f"role-{n}" + "x" * 10_000, calls=(ToolCall("", f"tool-{n}" + "x" * 10_000),)),
                About(title="x" * 10_000, cwd="x" * 100_000, branch="x" * 10_000, session="s" * 10_000),
            ]
            for entry in entries:
                fold.feed(entry)
        saved = fold.to_json()
        assert len(json.dumps(saved)) < 300_000
        assert len(saved["state"]["spent"]) == 64
        assert saved["usage"][OTHERS]["output"] == 3000 - 200

    def test_an_unbounded_fold_forgets_no_key(self) -> None:
        spent = [Spent(f"k{n % 500}", Usage(0, 5), "m") for n in range(1000)]
        assert told(*spent).usage == {"m": Usage(0, 2500)}

    @given(
        st.dictionaries(st.sampled_from(["title", "messages", "usage", "state", "cost", "x"]), st.none() | st.text())
    )
    def test_what_no_fold_wrote_is_a_beginning(self, saved: dict[str, Any]) -> None:
        fold = Fold.from_json(saved)
        fold.feed(Message("user", "Hello"))
        assert fold.statistics.messages["user"] == 1


class TestHostileLines:
    def test_broken_lines_are_counted_and_passed_over(self) -> None:
        lines = list(claude_lines(40))
        spoilt = [*lines[:20], b"\0\0\0\n", b'{"cut\n', b"\n", b" \r\n", b"[]\n", b"[" * 99_999 + b"\n", *lines[20:]]
        statistics = folded(CLAUDE, spoilt)
        assert statistics.unreadable == 4
        statistics.unreadable = 0
        assert statistics == folded(CLAUDE, lines)

    def test_records_that_a_harness_cannot_take_are_counted(self) -> None:
        class Fragile:
            def normalise(self, record: dict[str, Any]) -> Iterable[Any]:
                yield Message("user", record["text"])

        fold = Fold()
        for line in (b'{"text": "a"}', b"{}", b'{"text": 5}', b'{"text": "b"}'):
            fold.feed_line(Fragile(), line)  # type: ignore[arg-type]  # only what the fold asks for
        assert fold.statistics.unreadable >= 1
        assert fold.statistics.messages["user"] >= 2
        assert fold.statistics.title == "a"

    def test_half_characters_are_no_reason_to_lose_anything(self) -> None:
        fold = Fold()
        fold.feed_line(CLAUDE, b'{"type":"user","message":{"content":"cut \\ud83d here"},"gitBranch":"\\ud83d"}\n')
        fold.feed(Message("user\ud83d", "x"))
        json.dumps(fold.to_json(), ensure_ascii=False).encode()
        assert fold.statistics.title == "cut ? here"

    @given(st.lists(st.binary(max_size=60), max_size=6))
    def test_any_bytes_are_survived(self, lines: list[bytes]) -> None:
        for kind in (CLAUDE, CODEX):
            folded(kind, lines)


def claude_by_hand(lines: Iterable[bytes]) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """Tokens by model and calls by tool, counted from the raw records alone."""
    answers: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    tools: Counter[str] = Counter()
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record["type"] != "assistant":
            continue
        message = record["message"]
        tools.update(block["name"] for block in message["content"] if block["type"] == "tool_use")
        key = (message["id"], record["requestId"])
        if key not in answers or message["usage"]["output_tokens"] > answers[key][1]["output_tokens"]:
            answers[key] = (message["model"], message["usage"])
    models: dict[str, Counter[str]] = {}
    for model, usage in answers.values():
        models.setdefault(model, Counter()).update(
            input=usage["input_tokens"],
            output=usage["output_tokens"],
            cache_read=usage["cache_read_input_tokens"],
            cache_write=usage["cache_creation_input_tokens"],
        )
    return models, tools


def shown(usage: Usage) -> Counter[str]:
    names = ("input", "output", "cache_read", "cache_write")
    return Counter({name: getattr(usage, name) for name in names})


def codex_by_hand(lines: Iterable[bytes]) -> Counter[str]:
    """The last running total."""
    totals = [
        record["payload"]["info"]["total_token_usage"]
        for record in map(json.loads, lines)
        if record["payload"].get("type") == "token_count" and record["payload"]["info"]
    ]
    last = max(totals, key=lambda total: total["total_tokens"])
    cached = last["cached_input_tokens"] + last["cache_write_input_tokens"]
    return Counter(
        input=last["input_tokens"] - cached,
        output=last["output_tokens"],
        cache_read=last["cached_input_tokens"],
        cache_write=last["cache_write_input_tokens"],
    )


def all_of(statistics: Statistics) -> Counter[str]:
    total: Counter[str] = Counter({"input": 0, "output": 0, "cache_read": 0, "cache_write": 0})
    for usage in statistics.usage.values():
        total.update(shown(usage))
    return total


class TestAgainstFiguresOfTheirOwn:
    @pytest.mark.parametrize("bounded", [True, False])
    @pytest.mark.parametrize("seed", range(3))
    def test_generated_claude(self, seed: int, bounded: bool) -> None:
        lines = list(claude_lines(2000, seed, words=3))
        models, tools = claude_by_hand(lines)
        statistics = folded(CLAUDE, lines, bounded=bounded)
        assert {model: shown(usage) for model, usage in statistics.usage.items()} == models
        assert statistics.tools == tools
        assert statistics.unreadable == 0

    @pytest.mark.parametrize("bounded", [True, False])
    @pytest.mark.parametrize("paginated", [True, False])
    def test_generated_codex(self, paginated: bool, bounded: bool) -> None:
        lines = list(codex_lines(2000, 1, paginated=paginated, words=3))
        last = max(at for at, line in enumerate(lines) if b'"token_count"' in line)
        statistics = folded(CODEX, lines[: last + 1], bounded=bounded)
        assert all_of(statistics) == codex_by_hand(lines)
        assert set(statistics.models) == set(statistics.usage) == {"gpt-5-codex", "gpt-5.6-luna"}

    @pytest.mark.parametrize("bounded", [True, False])
    @pytest.mark.parametrize(
        "name", ["growth-1_*", "growth-2_*", "growth-3_*", "one-malformed-line*", "v2.1.34-small*", "v2.1.41*"]
    )
    def test_samples_of_claude(self, name: str, bounded: bool) -> None:
        lines = sample("claude-code", name)
        models, tools = claude_by_hand(lines)
        statistics = folded(CLAUDE, lines, bounded=bounded)
        assert {model: shown(usage) for model, usage in statistics.usage.items() if any(shown(usage).values())} == {
            model: usage for model, usage in models.items() if model != "<synthetic>"
        }
        assert statistics.tools == tools
        assert statistics.unreadable == (name == "one-malformed-line*")

    def test_what_a_sample_of_claude_is_about(self) -> None:
        lines = sample("claude-code", "growth-3*")
        statistics = folded(CLAUDE, lines)
        records = [json.loads(line) for line in lines]
        typed = [r for r in records if r["type"] == "user" and isinstance(r["message"]["content"], str)]
        results = [r for r in records if r["type"] == "user" and "tool_use_id" in str(r["message"]["content"])]
        blocks = [block for r in records if r["type"] == "assistant" for block in r["message"]["content"]]
        answers = [block for block in blocks if block["type"] != "text" or block["text"].strip()]
        times = sorted(r["timestamp"] for r in records if r["type"] in ("user", "assistant", "progress", "system"))
        assert statistics.title == "Implement the following plan: # Consolidate logging to single file per worktree"
        assert statistics.cwd == "/Users/alex/workspace/cli/.worktrees/2"
        assert statistics.branch == [r["gitBranch"] for r in records if "gitBranch" in r][-1]
        assert statistics.version == "2.1.37"
        assert statistics.models == ["claude-opus-4-6"]
        assert statistics.messages["user"] == len(typed)
        assert statistics.messages["tool"] == len(results)
        assert statistics.messages["assistant"] == len(answers)
        assert statistics.failed == sum('"is_error":true' in line.decode() for line in lines)
        assert (statistics.first, statistics.last) == (times[0], times[-1])
        first, last = (datetime.fromisoformat(at) for at in (times[0], times[-1]))
        assert statistics.duration == pytest.approx((last - first).total_seconds())

    def test_the_summary_of_a_sample_is_its_title(self) -> None:
        statistics = folded(CLAUDE, sample("claude-code", "one-malformed*"))
        assert statistics.title == "Add agent name to logging context"

    @pytest.mark.parametrize("name", ["GENERATED-codex-0.169.0-growth-1*", "GENERATED-codex-0.169.0-rollout*"])
    def test_samples_of_codex(self, name: str) -> None:
        lines = sample("codex", name)
        records = [json.loads(line) for line in lines]
        statistics = folded(CODEX, lines)
        assert all_of(statistics) == codex_by_hand(lines)
        by_response = [r["payload"]["usage"] for r in records if r["type"] == "token_usage_record"]
        assert statistics.usage["gpt-5-codex"].output == sum(usage["output_tokens"] for usage in by_response)
        assert statistics.usage["gpt-5-codex"].reasoning == sum(u["reasoning_output_tokens"] for u in by_response)
        assert statistics.title == "Summarise the README"
        assert (statistics.cwd, statistics.branch, statistics.version) == ("/srv/w/demo", "main", "0.169.0")
        users = [r for r in records if r["payload"].get("item", {}).get("type") == "UserMessage"]
        assert statistics.messages["user"] == len(users)
        assert statistics.messages["injected"] == 2
        assert statistics.tools == {"exec_command": sum(r["payload"].get("type") == "function_call" for r in records)}
        assert statistics.failed == 0

    def test_a_sample_of_codex_with_records_of_every_kind(self) -> None:
        lines = sample("codex", "jazzyalex-small*")
        statistics = folded(CODEX, lines)
        assert all_of(statistics) == codex_by_hand(lines)
        assert statistics.unreadable == 0
        assert statistics.title == "List the files [image]"
