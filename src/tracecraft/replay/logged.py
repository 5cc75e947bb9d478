"""The lines of a run's log as happenings: spans with how long they took, metrics, usage, notes, artifacts, output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tracecraft.replay.happening import Happening, Kind, excerpt, in_line
from tracecraft.runs.log import (
    Artifact,
    Input,
    Line,
    Lost,
    Metrics,
    Note,
    Output,
    Params,
    Span,
    SpanEnd,
    Tags,
    Text,
    Usage,
)

MOST_OF_A_KIND = 10_000
"""Lines of one kind that are shown of a run; of more, every second, third and so on."""

_THINNED: tuple[Kind, ...] = ("metric", "usage", "text", "span")


class Logged:
    """Makes happenings of a run's lines, which come by time."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._found: list[Happening] = []
        self._spans: dict[str, int] = {}

    def feed(self, line: Line) -> None:
        how = _LINES.get(type(line))
        if how is not None:
            how(self, line)

    def happenings(self) -> tuple[Sequence[Happening], int]:
        """What was fed, by time, and how many of it were left out."""
        kept = list(_thinned(self._found))
        return kept, len(self._found) - len(kept)

    def _add(self, line: Line, kind: Kind, title: str, details: Mapping[str, Any], *, bad: bool = False) -> None:
        told = {name: excerpt(value) for name, value in details.items() if value not in (None, "", 0)}
        self._found.append(
            Happening(line.at, line.agent, kind, title, bad=bad, run=self._run, span=line.span, details=told)
        )

    def _change(self, line: Line, change: Callable[[Happening], dict[str, Any]]) -> None:
        """Tell more of the span that a line is in."""
        index = self._spans.get(line.span)
        if index is not None:
            span = self._found[index]
            self._found[index] = msgspec.structs.replace(span, **change(span))

    def _span(self, line: Span) -> None:
        self._spans[line.span] = len(self._found)
        self._add(line, "span", line.name, {"kind": line.kind, "model": line.model, "parent": line.parent})

    def _span_end(self, line: SpanEnd) -> None:
        failed = line.status == "failed"
        why = {"error": excerpt(line.error)} if line.error else {}
        self._change(
            line,
            lambda span: {
                "until": max(line.at, span.at),
                "bad": failed,
                "details": {**span.details, "status": line.status, **why},
            },
        )

    def _within(self, line: Input | Output) -> None:
        name = "input" if isinstance(line, Input) else "output"
        value = excerpt(line.value)
        self._change(line, lambda span: {"details": {**span.details, name: value}})

    def _metrics(self, line: Metrics) -> None:
        told = ", ".join(f"{name} {value:g}" for name, value in list(line.values.items())[:4])
        self._add(line, "metric", told, {"values": line.values, "step": line.step})

    def _params(self, line: Params) -> None:
        told = ", ".join(f"{name} = {in_line(value, 40)}" for name, value in list(line.values.items())[:4])
        self._add(line, "param", told, {"values": line.values})

    def _tags(self, line: Tags) -> None:
        self._add(line, "param", "tags " + ", ".join([*line.add, *(f"-{tag}" for tag in line.remove)]), {})

    def _note(self, line: Note) -> None:
        self._add(line, "note", in_line(line.text), {"text": line.text})

    def _usage(self, line: Usage) -> None:
        cost = f", ${line.cost:.4f}" if line.cost is not None else ""
        title = f"{line.model or 'a model'}: {line.input} in, {line.output} out{cost}"
        told = {name: value for name, value in msgspec.to_builtins(line).items() if name not in _COMMON}
        self._add(line, "usage", title, told)

    def _artifact(self, line: Artifact) -> None:
        told = {"sha256": line.sha256, "size": line.size, "files": len(line.files)}
        self._add(line, "artifact", f"keeps {line.name}", told)

    def _text(self, line: Text) -> None:
        self._add(line, "text", in_line(line.text), {"stream": line.stream, "text": line.text})

    def _lost(self, line: Lost) -> None:
        self._add(line, "gap", f"{line.count} lines were lost: neither disk nor store took them", {}, bad=True)


_COMMON = ("type", "id", "at", "agent", "span", "running")
_LINES: dict[type[Line], Callable[[Logged, Any], None]] = {
    Span: Logged._span,
    SpanEnd: Logged._span_end,
    Input: Logged._within,
    Output: Logged._within,
    Metrics: Logged._metrics,
    Params: Logged._params,
    Tags: Logged._tags,
    Note: Logged._note,
    Usage: Logged._usage,
    Artifact: Logged._artifact,
    Text: Logged._text,
    Lost: Logged._lost,
}


def _thinned(found: Sequence[Happening]) -> Iterable[Happening]:
    """What is shown where there is more than anybody could look at."""
    counts: dict[Kind, int] = {}
    for happening in found:
        counts[happening.kind] = counts.get(happening.kind, 0) + 1
    strides = {kind: -(-counts.get(kind, 0) // MOST_OF_A_KIND) or 1 for kind in _THINNED}
    seen: dict[Kind, int] = {}
    for happening in found:
        nth = seen[happening.kind] = seen.get(happening.kind, -1) + 1
        if happening.bad or nth % strides.get(happening.kind, 1) == 0:
            yield happening
