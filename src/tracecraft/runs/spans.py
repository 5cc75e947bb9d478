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

MOST_BYTES = 64 << 20
"""Bytes of inputs and outputs that are kept whole; of later ones the beginning is."""

_BEGINNING = 500
_WITHIN = (Note, Metrics, Artifact, Usage)
_OF_A_SPAN = (SpanEnd, Input, Output, *_WITHIN)


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
    return _Building().build(lines, status)


class _Building:
    def __init__(self) -> None:
        self._tree = Tree([], [])
        self._nodes: dict[str, Node] = {}
        self._parents: dict[str, str] = {}
        self._late: dict[str, list[Line]] = {}
        self._late_count = 0
        self._value_bytes = 0

    def build(self, lines: Iterable[tuple[str, Line]], status: str) -> Tree:
        for writer, line in lines:
            if isinstance(line, Span):
                self._begin(writer, line)
            elif line.span in self._nodes:
                self._take(self._nodes[line.span], line)
            elif line.span and isinstance(line, _OF_A_SPAN) and self._late_count < MOST:
                self._late.setdefault(line.span, []).append(line)
                self._late_count += 1
            else:
                self._let_lie(line)
        for line in (line for waiting in self._late.values() for line in waiting):
            self._let_lie(line)
        self._link()
        for node in self._nodes.values():
            if node.status == "running" and status != "running":
                node.status = "unfinished"
        return self._tree

    def _begin(self, writer: str, line: Span) -> None:
        if line.span in self._nodes:
            return
        if len(self._nodes) >= MOST:
            self._tree.left_out += 1
            return
        node = self._nodes[line.span] = Node(
            line.span, line.name, line.kind, line.agent, line.model, writer, line.at,
            inputs=[], outputs=[], within=[], children=[],
        )  # fmt: skip
        self._parents[line.span] = line.parent
        for waiting in self._late.pop(line.span, []):
            self._take(node, waiting)

    def _take(self, node: Node, line: Line) -> None:
        match line:
            case SpanEnd():
                node.ended, node.status, node.error = line.at, line.status, line.error
            case Input() if len(node.inputs) < MOST_WITHIN:
                node.inputs.append(self._value(line))
            case Output() if len(node.outputs) < MOST_WITHIN:
                node.outputs.append(self._value(line))
            case Note() | Metrics() | Artifact() | Usage() if len(node.within) < MOST_WITHIN:
                node.within.append(line)

    def _value(self, line: Input | Output) -> Value:
        """A value as it is, or the beginning of its JSON where the values so far take much memory."""
        data = msgspec.json.encode(line.value)
        if len(data) > _BEGINNING and self._value_bytes > MOST_BYTES:
            return Value(data[:_BEGINNING].decode(errors="ignore"), line.cut + len(data) - _BEGINNING)
        self._value_bytes += len(data)
        return Value(line.value, line.cut)

    def _let_lie(self, line: Line) -> None:
        """What was recorded in no span, or in one that never began."""
        if isinstance(line, _WITHIN) and len(self._tree.loose) < MOST:
            self._tree.loose.append(line)

    def _link(self) -> None:
        """Hang every span below its parent. Of spans that are above each other one is a root."""
        in_order = sorted(self._nodes.values(), key=lambda node: node.started)
        for node in in_order:
            parent = self._parents[node.span]
            if parent in self._nodes:
                self._nodes[parent].children.append(node)
            else:
                self._tree.roots.append(node)
        reached = {node.span for _, node in self._tree.walk()}
        for node in in_order:
            if node.span not in reached:
                self._cut_circle(node, reached)
        self._tree.roots.sort(key=lambda node: node.started)

    def _cut_circle(self, node: Node, reached: set[str]) -> None:
        """Make one of the spans a root that are above each other and above this one, so that all below are reached."""
        passed: set[str] = set()
        while node.span not in passed:
            passed.add(node.span)
            node = self._nodes[self._parents[node.span]]
        above = self._nodes[self._parents[node.span]]
        above.children = [child for child in above.children if child is not node]
        self._tree.roots.append(node)
        reached.update(below.span for _, below in Tree([node], []).walk())
