"""Runs as Chrome trace events, which Perfetto and chrome://tracing show.

A run is a process, an agent a thread, or several where its spans overlap. Times are whole microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft import __version__
from tracecraft.runs.cost import cost_of_call
from tracecraft.runs.exporting.happenings import Arrow, Happening, arrows
from tracecraft.runs.exporting.lanes import Lanes, Slice
from tracecraft.runs.exporting.trace import Trace, Whole, only
from tracecraft.runs.log import Line, Metrics, Note, Usage

if TYPE_CHECKING:
    from tracecraft.project import Project

Event = dict[str, Any]

_HEAD = b'{"traceEvents":['
_RUN_ITSELF = "(run)"
_MOMENT = 1
"""Microseconds of the slice that stands for a message sent or received, as arrows join slices."""


def write(project: Project, runs: Iterable[str], happened: dict[str, list[Happening]]) -> Iterator[bytes]:
    """One JSON document, in pieces."""
    numbers, separator = count(1), _HEAD
    for pid, run in enumerate(runs, 1):
        for event in _Process(pid, Trace(project, run, happened.get(run, ())), numbers).events():
            yield separator + msgspec.json.encode(event)
            separator = b",\n"
    tail = {"displayTimeUnit": "ms", "otherData": {"producer": f"tracecraft {__version__}", "project": project.name}}
    yield (separator if separator == _HEAD else b"") + b"\n]," + msgspec.json.encode(tail)[1:] + b"\n"


class _Process:
    """The events of one run."""

    def __init__(self, pid: int, trace: Trace, numbers: Iterator[int]) -> None:
        self._pid = pid
        self._trace = trace
        self._numbers = numbers
        self._dollars = 0.0
        self._tokens = {"input": 0, "output": 0}
        spans = (Slice(id, e.agent, _micros(e.start), _micros(e.end)) for id, e in trace.extents.items())
        acting = [*trace.summary.agents, *(event.agent for event in trace.happened)]
        agents = dict.fromkeys(["", *acting])
        self._arrows = [arrow for arrow in arrows(trace.happened) if arrow.to in agents]
        moments = (piece for number, arrow in enumerate(self._arrows) for piece in _ends_of(number, arrow))
        self._lanes = Lanes(agents, [*spans, *moments])

    def events(self) -> Iterator[Event]:
        yield from self._names()
        for item in self._trace.items():
            if isinstance(item, Whole):
                yield self._slice(item)
            else:
                yield from self._of_line(item)
        for event in self._trace.happened:
            yield self._instant(event.type, event.subject, event.at, event.agent, event.details)
        for number, arrow in enumerate(self._arrows):
            yield from self._arrow(number, arrow)

    def _names(self) -> Iterator[Event]:
        title = f"{self._trace.meta.name or self._trace.meta.run} ({self._trace.status})"
        yield self._meta("process_name", 0, {"name": title})
        yield self._meta("process_sort_index", 0, {"sort_index": self._pid})
        for tid, (agent, which) in self._lanes.names.items():
            name = agent or _RUN_ITSELF
            yield self._meta("thread_name", tid, {"name": name if which == 1 else f"{name} {which}"})
            yield self._meta("thread_sort_index", tid, {"sort_index": tid})

    def _meta(self, name: str, tid: int, arguments: dict[str, Any]) -> Event:
        return {"ph": "M", "name": name, "pid": self._pid, "tid": tid, "ts": 0, "args": arguments}

    def _slice(self, span: Whole) -> Event:
        start, end = _micros(span.extent.start), _micros(span.extent.end)
        return {
            "ph": "X",
            "name": span.name or "(unnamed)",
            "cat": span.kind or "step",
            "pid": self._pid,
            "tid": self._lanes.of_slice(span.id),
            "ts": start,
            "dur": end - start,
            "args": _arguments(span),
        }

    def _of_line(self, line: Line) -> Iterator[Event]:
        match line:
            case Usage():
                self._tokens = {
                    "input": self._tokens["input"] + line.input,
                    "output": self._tokens["output"] + line.output,
                }
                yield self._counter("tokens", line.at, dict(self._tokens))
                if (dollars := cost_of_call(line)) is not None:
                    self._dollars += dollars
                    yield self._counter("cost", line.at, {"usd": self._dollars})
            case Metrics():
                for name, value in line.values.items():
                    if isfinite(value):  # JSON has no other numbers
                        yield self._counter(f"metric {name}", line.at, {"value": value})
            case Note():
                yield self._instant("note", "", line.at, line.agent, {"text": line.text})

    def _counter(self, name: str, at: float, values: dict[str, float]) -> Event:
        return {"ph": "C", "name": name, "pid": self._pid, "tid": 0, "ts": _micros(at), "args": values}

    def _instant(self, kind: str, subject: str, at: float, agent: str, details: dict[str, Any]) -> Event:
        return {
            "ph": "i",
            "s": "t",
            "name": f"{kind} {subject}".strip(),
            "cat": kind or "event",
            "pid": self._pid,
            "tid": self._lanes.of_agent(agent) or 1,
            "ts": _micros(at),
            "args": details,
        }

    def _arrow(self, number: int, arrow: Arrow) -> Iterator[Event]:
        flow, label = next(self._numbers), f"{arrow.kind} {arrow.sent.subject}"
        for piece, phase in zip(_ends_of(number, arrow), ("s", "f"), strict=True):
            where = {"pid": self._pid, "tid": self._lanes.of_slice(piece.key), "ts": piece.start}
            told = {"from": arrow.sent.agent, "to": arrow.to}
            yield {"ph": "X", "name": label, "cat": arrow.kind, "dur": _MOMENT, "args": told, **where}
            binding = {"bp": "e"} if phase == "f" else {}
            yield {"ph": phase, "name": arrow.kind, "cat": arrow.kind, "id": flow, **binding, **where}


def _ends_of(number: int, arrow: Arrow) -> Sequence[Slice]:
    """The moments between which an arrow is drawn. One that nobody is known to have taken ends where it began."""
    sent = _micros(arrow.sent.at)
    taken = max(sent, _micros(arrow.taken.at)) if arrow.taken else sent
    return (
        Slice(f"~{number}s", arrow.sent.agent, sent, sent + _MOMENT),
        Slice(f"~{number}f", arrow.to, taken, taken + _MOMENT),
    )


def _arguments(span: Whole) -> dict[str, Any]:
    told: dict[str, Any] = {
        "span": span.id,
        "model": span.model or None,
        "status": span.status if span.extent.ended else "unfinished",
        "error": span.error or None,
        "input": only(span.inputs),
        "output": only(span.outputs),
    }
    if span.used:
        told["tokens"] = span.used.tokens
        told["cost_usd"] = span.used.dollars
    return {name: value for name, value in told.items() if value is not None}


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)
