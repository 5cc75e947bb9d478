"""A run's log as exports need it: its lines in order, and its spans put together from the lines that are theirs.

The log is gone through twice. The first time tells how many lines each span has and which lines of usage count. The
second time gives a span as soon as its last line was seen. So what is in memory are the ids and times of all spans, and
the contents of those that are open at a moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft.runs.cost import cost_of_call
from tracecraft.runs.exporting.happenings import Happening, within_range
from tracecraft.runs.fragments import Gap, Log, Read
from tracecraft.runs.log import Input, Line, Note, Output, Span, SpanEnd, Usage
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.reading import read_meta, status_now
from tracecraft.runs.summary import Summary, Summing, Tokens

if TYPE_CHECKING:
    from tracecraft.project import Project


class Used(msgspec.Struct):
    """What calls of models used: `dollars` of those whose cost is known, None where none is."""

    model: str = ""
    provider: str = ""
    calls: int = 0
    tokens: Tokens = msgspec.field(default_factory=Tokens)
    dollars: float | None = None

    def add(self, line: Usage) -> None:
        self.model, self.provider = self.model or line.model, self.provider or line.provider
        self.calls += 1
        self.tokens.add(Tokens(line.input, line.output, line.cache_read, line.cache_write, line.reasoning))
        if (dollars := cost_of_call(line)) is not None:
            self.dollars = (self.dollars or 0.0) + dollars


class Extent(msgspec.Struct):
    """Where a span lies in time, in seconds since 1970, and whose it is. One that never ended ends with the log."""

    agent: str
    start: float
    end: float
    begun: bool = False
    ended: bool = False

    def take(self, line: Line) -> None:
        if isinstance(line, Span) and not self.begun:
            self.agent, self.start, self.begun = line.agent, line.at, True
        elif isinstance(line, SpanEnd):
            self.ended, self.end = True, line.at
        elif not self.ended:
            self.end = max(self.end, line.at)


class Whole(msgspec.Struct):
    """A span with all that was recorded in it. A span whose beginning is missing has no name."""

    id: str
    extent: Extent
    name: str = ""
    kind: str = "step"
    parent: str = ""
    model: str = ""
    status: str = ""
    error: str = ""
    inputs: list[Any] = msgspec.field(default_factory=list)
    outputs: list[Any] = msgspec.field(default_factory=list)
    notes: list[tuple[float, str]] = msgspec.field(default_factory=list)
    used: Used | None = None
    happened: Sequence[Happening] = ()

    @property
    def agent(self) -> str:
        return self.extent.agent

    def take(self, line: Line) -> None:
        match line:
            case Span():
                self.name, self.kind, self.parent, self.model = line.name, line.kind, line.parent, line.model
            case SpanEnd():
                self.status, self.error = line.status, line.error
            case Input():
                self.inputs.append(line.value)
            case Output():
                self.outputs.append(line.value)
            case Note():
                self.notes.append((line.at, line.text))
            case Usage():
                self.used = self.used or Used()
                self.used.add(line)


class Trace:
    """A run, read for an export. Raises Missing and BrokenRecord when it is made."""

    def __init__(self, project: Project, run: str, happened: Sequence[Happening] = ()) -> None:
        stored = read_meta(project, run)
        self.project = project
        self.meta: RunMeta = stored.record
        self.status = status_now(project, stored)
        self.happened = happened
        self.log = Log(project, run)
        self.summary = Summary()
        self.extents: dict[str, Extent] = {}
        self.models: dict[str, str] = {}
        """The model that each agent named first."""
        self._left: Counter[str] = Counter()
        self._counting: dict[tuple[str, str], tuple[float, str, int]] = {}
        for writer in self.log.writers:
            self._plan(writer)
        for extent in self.extents.values():
            extent.end = max(extent.end if extent.ended else self.summary.last, extent.start)
        tell_missing(project, run, self.log.gaps, self.log.broken)

    @property
    def start(self) -> float:
        return self.summary.first

    @property
    def end(self) -> float:
        return max(self.summary.first, self.summary.last)

    def items(self) -> Iterator[Line | Whole]:
        """Every line by time, and every span after its last line. Usage that does not count is left out."""
        left, unfinished = self._left.copy(), dict[str, Whole]()
        happened = _by_span(self.happened)
        for found in self.log.in_order():
            line = _in_range(found.line)
            counts = self._counts(found)
            if counts:
                yield line
            if not line.span:
                continue
            span = unfinished.setdefault(line.span, Whole(line.span, self.extents[line.span]))
            if counts:
                span.take(line)
            left[line.span] -= 1
            if not left[line.span]:
                span.happened = happened.get(line.span, ())
                yield unfinished.pop(line.span)

    def _plan(self, writer: str) -> None:
        summing = Summing()
        for found in self.log.of_writer(writer):
            line = _in_range(found.line)
            summing.feed(line)
            if line.span:
                self._left[line.span] += 1
                self.extents.setdefault(line.span, Extent(line.agent, line.at, line.at)).take(line)
            if isinstance(line, Usage):
                self._weigh(found, line)
            if isinstance(line, Usage | Span) and line.model:
                self.models.setdefault(line.agent, line.model)
        self.summary.merge(summing.summary)

    def _weigh(self, found: Read, line: Usage) -> None:
        """Of several lines about one call the one with the largest output counts; of running sums the last one."""
        if line.call or line.running:
            key = ("", line.call) if line.running else (found.writer, line.call)
            this = (line.at if line.running else line.output, found.writer, line.id)
            before = self._counting.get(key)
            if before is None or this[0] >= before[0]:
                self._counting[key] = this

    def _counts(self, found: Read) -> bool:
        line = found.line
        if not isinstance(line, Usage) or not (line.call or line.running):
            return True
        key = ("", line.call) if line.running else (found.writer, line.call)
        return self._counting[key][1:] == (found.writer, line.id)


def tell_missing(project: Project, run: str, gaps: Sequence[Gap], broken: Sequence[str]) -> None:
    """Say what of a run's log is not there."""
    for gap in gaps:
        project.say(f"run {run}: the lines {gap.first} to {gap.last} of the writer {gap.writer} are missing")
    for what in broken:
        project.say(f"run {run}: {what}")


def only(values: Sequence[Any]) -> Any:
    """What was recorded once as it is, what was recorded several times as a list; None for nothing."""
    return values[0] if len(values) == 1 else list(values) or None


def as_text(value: Any) -> str:
    """A text as it is, anything else as its JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _in_range(line: Line) -> Line:
    line.at = within_range(line.at)
    return line


def _by_span(happened: Sequence[Happening]) -> dict[str, list[Happening]]:
    found: dict[str, list[Happening]] = {}
    for event in happened:
        if event.span:
            found.setdefault(event.span, []).append(event)
    return found
