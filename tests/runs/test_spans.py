"""Spans become a tree, in whatever order and by whatever processes they were recorded."""

from __future__ import annotations

import pytest

from tracecraft.runs import log, spans
from tracecraft.runs.spans import Tree, build


def tree(*lines: log.Line, status: str = "completed") -> Tree:
    return build((("w", line) for line in lines), status)


def outline(found: Tree) -> list[str]:
    return [f"{'.' * depth}{node.name}:{node.status}" for depth, node in found.walk()]


def span(own: str, parent: str = "", at: float = 0.0) -> log.Span:
    return log.Span(span=own, name=own, parent=parent, at=at)


def test_nesting_and_durations() -> None:
    found = tree(
        span("a", at=1), span("b", "a", at=2), log.Input(span="b", value={"q": 1}),
        log.Output(span="b", value=[1], cut=9),
        log.SpanEnd(span="b", at=5), span("c", "a", at=6), log.SpanEnd(span="c", at=7, status="failed", error="no"),
        log.Note(span="c", text="hm"), log.Note(text="outside"), log.SpanEnd(span="a", at=8),
    )  # fmt: skip
    assert outline(found) == ["a:ok", ".b:ok", ".c:failed"]
    [root] = found.roots
    assert (root.seconds, [child.seconds for child in root.children]) == (7, [3, 1])
    assert root.children[0].inputs[0].value == {"q": 1}
    assert root.children[0].outputs[0].cut == 9
    assert root.children[1].error == "no"
    assert isinstance(root.children[1].within[0], log.Note)
    assert [line.text for line in found.loose if isinstance(line, log.Note)] == ["outside"]


def test_what_did_not_end() -> None:
    assert outline(tree(span("a"), status="running")) == ["a:running"]
    assert outline(tree(span("a"), status="stale")) == ["a:unfinished"]
    assert outline(tree(span("a"), status="failed")) == ["a:unfinished"]


def test_a_beginning_that_comes_late() -> None:
    found = tree(log.Output(span="b", value=1), log.SpanEnd(span="b", at=3), span("b", "a", at=1), span("a", at=2))
    assert outline(found) == ["a:unfinished", ".b:ok"]
    assert found.roots[0].children[0].outputs[0].value == 1


def test_parents_that_are_not_there_or_turn_in_a_circle() -> None:
    found = tree(
        span("a", "nobody"), span("b", "c", at=1), span("c", "b", at=2), span("d", "d", at=3), span("below", "c"),
        span("below too", "below"),
    )  # fmt: skip
    assert sorted(node.name for _, node in found.walk()) == ["a", "b", "below", "below too", "c", "d"]
    assert [child.name for node in found.roots for child in node.children if node.name in "ad"] == []


def test_what_was_recorded_in_a_span_that_never_began_is_not_lost() -> None:
    found = tree(log.Note(span="x", text="kept"))
    assert [line.text for line in found.loose if isinstance(line, log.Note)] == ["kept"]


def test_deep_nesting_is_no_recursion() -> None:
    found = tree(*(span(str(n), str(n - 1), at=n) for n in range(spans.MOST)))
    assert max(depth for depth, _ in found.walk()) == spans.MOST - 1


def test_more_spans_than_can_be_held_are_counted() -> None:
    found = tree(*(span(str(n)) for n in range(spans.MOST + 5)))
    assert found.left_out == 5
    assert len(found.roots) == spans.MOST


def test_large_values_are_cut_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "MOST_BYTES", 5000)
    found = tree(span("a"), *(log.Input(span="a", value="x" * 3000) for _ in range(3)), log.Input(span="a", value=1))
    values = found.roots[0].inputs
    assert [len(value.value) for value in values[:3]] == [3000, 3000, 500]
    assert [value.cut for value in values] == [0, 0, 2502, 0]
    assert values[3].value == 1
