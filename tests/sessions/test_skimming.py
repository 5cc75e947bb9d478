"""Statistics are the same whether records are decoded as a whole or only what the harness declares of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sessions.databases.strategies import anything, events_of_pi, lines_of_opencode, rows_of
from tests.sessions.transcripts.claude import claude_lines
from tests.sessions.transcripts.codex import codex_lines
from tracecraft.sessions import registry
from tracecraft.sessions.statistics import Fold

SAMPLES = os.environ.get("TRACECRAFT_TEST_SAMPLES", "")
SKIMMED = ("claude-code", "codex", "pi")
PI: list[dict[str, Any]] = [
    {"type": "session", "version": 3, "id": "s", "cwd": "/srv/shop", "timestamp": "2026-03-01T09:00:00.000Z"},
    {"type": "model_change", "id": "a", "timestamp": "2026-03-01T09:00:01.000Z", "modelId": "m-1"},
    {"type": "message", "id": "b", "message": {"role": "user", "content": "Fix it", "timestamp": 1772355602000}},
    {
        "type": "message",
        "timestamp": "2026-03-01T09:00:03.000Z",
        "message": {
            "role": "assistant",
            "model": "m-2",
            "content": [
                {"type": "thinking", "thinking": "so"},
                {"type": "text", "text": "Now"},
                {"type": "toolCall", "id": "c", "name": "bash", "arguments": {"command": "ls"}},
            ],
            "usage": {"input": 9, "output": 2, "cacheRead": 1, "cacheWrite": 1, "cost": {"total": 0.5}},
            "timestamp": 1772355603000,
        },
    },
    {
        "type": "message",
        "message": {
            "role": "toolResult",
            "toolCallId": "c",
            "content": [{"type": "text", "text": "a"}],
            "isError": True,
        },
    },
    {"type": "message", "message": {"role": "bashExecution", "command": "ls", "output": "a", "exitCode": 1}},
    {"type": "message", "message": {"role": "branchSummary", "summary": "before"}},
    {"type": "message", "message": {"role": "custom", "content": [{"type": "text", "text": "noted"}]}},
    {"type": "message", "message": {"role": "assistant", "content": [], "errorMessage": "aborted"}},
    {"type": "custom_message", "content": [{"type": "text", "text": "told"}]},
    {"type": "compaction", "summary": "all that"},
    {"type": "session_info", "name": "A name"},
]
"""An event of each kind."""

RECORDS: dict[str, list[dict[str, Any]]] = {
    "claude-code": [*map(json.loads, claude_lines(400, words=2)), *map(json.loads, claude_lines(60, 1, agent="a1"))],
    "codex": [
        *map(json.loads, codex_lines(300, words=2)),
        *map(json.loads, codex_lines(300, 1, words=2, paginated=False)),
    ],
    "pi": PI,
}


def folded(harness: Any, lines: Iterable[bytes]) -> dict[str, Any]:
    fold = Fold()
    fold.feed_lines(harness, lines)
    return fold.to_json()


def check(name: str, lines: list[bytes]) -> None:
    harness = registry.harness(name)
    assert folded(harness, lines) == folded(SimpleNamespace(normalise=harness.normalise), lines)


def written(records: Iterable[Any]) -> list[bytes]:
    return [json.dumps(record).encode() for record in records]


@pytest.mark.parametrize("name", SKIMMED)
def test_records_as_harnesses_write_them(name: str) -> None:
    check(name, written(RECORDS[name]))


@pytest.mark.parametrize("name", SKIMMED)
def test_records_as_harnesses_write_them_fit_what_is_declared(name: str) -> None:
    """Others are understood too, but slowly."""
    decoder = msgspec.json.Decoder(registry.harness(name).skimmed)  # type: ignore[attr-defined]  # not all have it
    for line in written(RECORDS[name]):
        decoder.decode(line)


@pytest.mark.parametrize("name", SKIMMED)
def test_sample_records(name: str) -> None:
    if not SAMPLES:
        pytest.skip("TRACECRAFT_TEST_SAMPLES does not name the folder of samples")
    paths = sorted(Path(SAMPLES, name).glob("**/*.jsonl"))
    assert paths
    for path in paths:
        check(name, path.read_bytes().split(b"\n"))


def _places(record: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a record with every key or index in it."""
    inner = record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    for key, value in inner:
        yield record, key
        yield from _places(value)


@st.composite
def spoilt(draw: st.DrawFn, records: list[dict[str, Any]]) -> dict[str, Any]:
    """A record in which things are missing or not what they should be."""
    record: dict[str, Any] = deepcopy(draw(st.sampled_from(records)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(record))
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        if isinstance(container, dict) and draw(st.booleans()):
            del container[key]
        else:
            container[key] = draw(anything | st.sampled_from(["true", {}, [], [None], {"type": "text", "text": "x"}]))
    return record


@pytest.mark.parametrize("name", SKIMMED)
@given(data=st.data())
def test_records_as_nobody_would_write_them(name: str, data: st.DataObject) -> None:
    check(name, written(data.draw(st.lists(spoilt(RECORDS[name]), min_size=1, max_size=6))))


@given(st.lists(events_of_pi | anything, max_size=4))
def test_odd_events_of_pi(events: list[Any]) -> None:
    for name in ("pi", "openclaw"):
        check(name, written(events))


@given(st.lists(rows_of("sessions", "messages"), max_size=4), st.lists(lines_of_opencode, max_size=4))
def test_odd_rows_of_databases(hermes: list[Any], opencode: list[Any]) -> None:
    check("hermes", written(hermes))
    check("opencode", written(opencode))


@pytest.mark.parametrize("name", SKIMMED)
@given(st.data())
def test_lines_that_are_cut(name: str, data: st.DataObject) -> None:
    line = json.dumps(data.draw(st.sampled_from(RECORDS[name])), ensure_ascii=False).encode()
    at = data.draw(st.integers(0, len(line)))
    check(name, [line[:at], line[at:], line[:at] + data.draw(st.binary(max_size=2)) + line[at:]])
