"""The spans of a run as a tree: what was done within what, for how long, with which inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tracecraft.runs.log import Artifact, Input, Line, Metrics, Note, Output, Span, SpanEnd, Usage
from tracecraft.runs.summary import Summing

MOST = 20_000
"""Spans that a tree holds; of what comes later only the number is known."""
MOST_WITHIN = 1000
"""Notes, metrics, artifacts and calls that are kept of one span each."""

_WITHIN = (Note, Metrics, Artifact, Usage)


class Value(msgspec.Struct, frozen=True):
    """An input or an output. `cut` is how many bytes of it were left out when it was recorded."""

    value: Any
    cut: int = 0


class Node(msgspec.Struct):
    """A span. `status` is `ok`, `failed`, `running`, or `unfinished` where its run does not go on any more.

    Times are seconds since 1970 by the clock of who recorded it; `ended` is None while it has not ended. `within` are
    notes, metrics, artifacts and usage that were recorded in it, `children` the spans in it, both in order of time.
    """

    span: str
    name: str
    kind: str = "step"
    agent: str = ""
    model: str = ""
    writer: str = ""
    started: float = 0.0
    ended: float | None = None
    status: str = "running"
    error: str = ""
    inputs: list[Value] = []
    outputs: list[Value] = []
    within: list[Line] = []
    children: list[Node] = []

    @property
    def seconds(self) -> float | None:
        return None if self.ended is None else max(0.0, self.ended - self.started)

    def usage(self) -> Summing:
        """What the span's own calls of models come to, without those of spans in it."""
        summing = Summing()
        for line in self.within:
            if isinstance(line, Usage):
                summing.feed(line)
        return summing


class Tree(msgspec.Struct):
    """The spans of a run that are in no other, and what was recorded in none. `left_out` counts spans beyond MOST."""

    roots: list[Node]
    loose: list[Line]
    left_out: int = 0

    def walk(self) -> Iterator[tuple[int, Node]]:
        """Every span with how deep it lies, each before those in it. Deep nesting is no recursion."""
        waiting = [(0, node) for node in reversed(self.roots)]
        while waiting:
            depth, node = waiting.pop()
            yield depth, node
            waiting.extend((depth + 1, child) for child in reversed(node.children))


def build(lines: Iterable[tuple[str, Line]], status: str) -> Tree:
    """The tree of a run's lines, which come by time, and its status. A span whose parent is not known is a root.

    Spans may begin in one process and end in another, and come in any order: nothing of a span is lost because its
    beginning came later.
    """
    nodes: dict[str, Node] = {}
    parents: dict[str, str] = {}
    late: dict[str, list[Line]] = {}
    tree = Tree([], [])
    for writer, line in lines:
        if isinstance(line, Span):
            _begin(tree, nodes, parents, writer, line)
            for waiting in late.pop(line.span, []):
                _take(nodes, waiting)
        elif line.span in nodes:
            _take(nodes, line)
        elif line.span and isinstance(line, SpanEnd | Input | Output | _WITHIN) and len(late) < MOST:
            late.setdefault(line.span, []).append(line)
        elif isinstance(line, _WITHIN) and len(tree.loose) < MOST:
            tree.loose.append(line)
    tree.loose.extend(line for waiting in late.values() for line in waiting if isinstance(line, _WITHIN))
    _link(tree, nodes, parents)
    if status != "running":
        for node in nodes.values():
            if node.status == "running":
                node.status = "unfinished"
    return tree


def _begin(tree: Tree, nodes: dict[str, Node], parents: dict[str, str], writer: str, line: Span) -> None:
    if line.span in nodes:
        return
    if len(nodes) >= MOST:
        tree.left_out += 1
        return
    nodes[line.span] = Node(
        line.span, line.name, line.kind, line.agent, line.model, writer, line.at,
        inputs=[], outputs=[], within=[], children=[],
    )  # fmt: skip
    parents[line.span] = line.parent


def _take(nodes: dict[str, Node], line: Line) -> None:
    node = nodes[line.span]
    match line:
        case SpanEnd():
            node.ended, node.status, node.error = line.at, line.status, line.error
        case Input():
            node.inputs.append(Value(line.value, line.cut))
        case Output():
            node.outputs.append(Value(line.value, line.cut))
        case Note() | Metrics() | Artifact() | Usage() if len(node.within) < MOST_WITHIN:
            node.within.append(line)


def _link(tree: Tree, nodes: dict[str, Node], parents: dict[str, str]) -> None:
    """Hang every span below its parent. Of spans that are each other's parents the first one is a root."""
    for span, node in sorted(nodes.items(), key=lambda item: item[1].started):
        parent = parents[span]
        if parent in nodes and not _is_above(parents, span, parent):
            nodes[parent].children.append(node)
        else:
            parents[span] = ""
            tree.roots.append(node)


def _is_above(parents: dict[str, str], span: str, other: str) -> bool:
    """Whether `span` is `other` or above it."""
    seen: set[str] = set()
    while other and other not in seen:
        if other == span:
            return True
        seen.add(other)
        other = parents.get(other, "")
    return False
