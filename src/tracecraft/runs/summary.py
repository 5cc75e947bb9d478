"""What the lines of a run come to: last values, sums, counts. Summaries of several writers can be merged."""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec

from tracecraft.runs.log import Artifact, Line, Lost, Metrics, Note, Params, Span, SpanEnd, Tags, Usage

MOST_NAMES = 1000
"""Names of metrics and of params that a summary keeps; `cut` tells that there were more."""
_LONGEST_VALUE = 500
_MOST_POINTS = 16
_CALLS_REMEMBERED = 4096
_COUNTERS: dict[type[Line], str] = {Span: "spans", Note: "notes", Artifact: "artifacts"}


# Lists of runs hold these by the ten thousand. They are in no cycle (`gc=False`), so that the collector need
# not go through them again and again while they are read.
class Metric(msgspec.Struct, omit_defaults=True, gc=False):
    """A metric so far, of its finite values. `last` is the value with the latest `at`. `points` is every `stride`-th
    value, at most 16."""

    last: float
    at: float
    step: float | None = None
    min: float = 0.0
    max: float = 0.0
    count: int = 0
    stride: int = 1
    points: list[float] = []

    def add(self, value: float, at: float, step: float | None) -> None:
        if at >= self.at:
            self.last, self.at, self.step = value, at, step
        count = self.count
        if count == 0:
            self.min = self.max = value
        elif value < self.min:
            self.min = value
        elif value > self.max:
            self.max = value
        if count % self.stride == 0:
            self.points.append(value)
            if len(self.points) > _MOST_POINTS:
                self.points, self.stride = self.points[::2], 2 * self.stride
        self.count = count + 1

    def merge(self, other: Metric) -> None:
        if other.at >= self.at:
            self.last, self.at, self.step = other.last, other.at, other.step
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)
        if other.count > self.count:
            self.points, self.stride = list(other.points), other.stride
        self.count += other.count


class Given(msgspec.Struct, array_like=True, gc=False):
    """A value and when it was given; the later one counts."""

    at: float
    value: Any


class Tokens(msgspec.Struct, omit_defaults=True, gc=False):
    """Sums of tokens: `input` with what came from or went into a cache, `output` with `reasoning`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    def add(self, other: Tokens, sign: int = 1) -> None:
        self.input += sign * other.input
        self.output += sign * other.output
        self.cache_read += sign * other.cache_read
        self.cache_write += sign * other.cache_write
        self.reasoning += sign * other.reasoning


class Spent(msgspec.Struct, omit_defaults=True, gc=False):
    """What one agent's calls of one model used. `cost` is what was reported, in US dollars; `unreported` are the
    tokens of the calls whose cost nobody reported, which `calls_unreported` counts."""

    agent: str = ""
    model: str = ""
    provider: str = ""
    calls: int = 0
    tokens: Tokens = msgspec.field(default_factory=Tokens)
    cost: float = 0.0
    unreported: Tokens = msgspec.field(default_factory=Tokens)
    calls_unreported: int = 0

    def add(self, tokens: Tokens, cost: float | None, sign: int = 1) -> None:
        self.calls += sign
        self.tokens.add(tokens, sign)
        if cost is None:
            self.unreported.add(tokens, sign)
            self.calls_unreported += sign
        else:
            self.cost += sign * cost


class Running(msgspec.Struct, omit_defaults=True):
    """The last sum heard of a session that reports sums."""

    at: float
    agent: str = ""
    model: str = ""
    provider: str = ""
    tokens: Tokens = msgspec.field(default_factory=Tokens)
    cost: float | None = None


class Summary(msgspec.Struct, omit_defaults=True):
    """What is known of a run, or of one writer's part of it. `first` and `last` are times of lines."""

    params: dict[str, Given] = {}
    tags: dict[str, Given] = {}
    metrics: dict[str, Metric] = {}
    usage: list[Spent] = []
    running: dict[str, Running] = {}
    agents: list[str] = []
    lines: int = 0
    spans: int = 0
    failed: int = 0
    notes: int = 0
    artifacts: int = 0
    lost: int = 0
    cut: bool = False
    first: float = 0.0
    last: float = 0.0

    @property
    def tag_names(self) -> list[str]:
        """The tags the run has now, in order."""
        return sorted(name for name, given in self.tags.items() if given.value)

    def spent(self) -> list[Spent]:
        """Usage by agent, model and provider, sums that were reported as such included."""
        whole = [msgspec.convert(msgspec.to_builtins(spent), Spent) for spent in self.usage]
        for known in self.running.values():
            _spent_of(whole, known.agent, known.model, known.provider).add(known.tokens, known.cost)
        return whole

    def merge(self, other: Summary) -> None:
        """Add what another writer's part of the same run comes to."""
        _merge_given(self.params, other.params)
        _merge_given(self.tags, other.tags)
        for name, metric in other.metrics.items():
            if name in self.metrics:
                self.metrics[name].merge(metric)
            else:
                self.metrics[name] = msgspec.structs.replace(metric, points=list(metric.points))
        for spent in other.usage:
            mine = _spent_of(self.usage, spent.agent, spent.model, spent.provider)
            mine.calls += spent.calls
            mine.tokens.add(spent.tokens)
            mine.cost += spent.cost
            mine.unreported.add(spent.unreported)
            mine.calls_unreported += spent.calls_unreported
        for call, known in other.running.items():
            if call not in self.running or known.at >= self.running[call].at:
                self.running[call] = known
        self.agents.extend(name for name in other.agents if name not in self.agents)
        for count in ("lines", "spans", "failed", "notes", "artifacts", "lost"):
            setattr(self, count, getattr(self, count) + getattr(other, count))
        self.cut = self.cut or other.cut
        self._time(other.first)
        self._time(other.last)

    def _time(self, at: float) -> None:
        if at:
            if at < self.first or not self.first:
                self.first = at
            if at > self.last:
                self.last = at


class Summing:
    """Adds up the lines of one writer, in their order."""

    def __init__(self) -> None:
        self.summary = Summary()
        self._calls: dict[str, Usage] = {}

    def feed(self, line: Line) -> None:
        summary = self.summary
        summary.lines += 1
        summary._time(line.at)
        if line.agent and line.agent not in summary.agents:
            summary.agents.append(line.agent)
        match line:
            case Metrics():
                self._metrics(line)
            case Params():
                self._given(summary.params, line.at, line.values)
            case Tags():
                self._given(summary.tags, line.at, dict.fromkeys(line.add, True) | dict.fromkeys(line.remove, False))
            case Usage():
                self._usage(line)
            case SpanEnd():
                summary.failed += line.status == "failed"
            case Lost():
                summary.lost += line.count
        if (counter := _COUNTERS.get(type(line))) is not None:
            setattr(summary, counter, getattr(summary, counter) + 1)

    def _metrics(self, line: Metrics) -> None:
        metrics, at, step = self.summary.metrics, line.at, line.step
        for name, value in line.values.items():
            if not isfinite(value):
                continue  # JSON could not hold it, and no sum or extreme could be told from then on
            metric = metrics.get(name)
            if metric is None:
                if len(metrics) >= MOST_NAMES:
                    self.summary.cut = True
                    continue
                metric = metrics[name] = Metric(value, at, step)
            metric.add(value, at, step)

    def _given(self, known: dict[str, Given], at: float, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if name not in known and len(known) >= MOST_NAMES:
                self.summary.cut = True
                continue
            known[name] = Given(at, _short(value))

    def _usage(self, line: Usage) -> None:
        tokens = _tokens_of(line)
        if line.running:
            self.summary.running[line.call] = Running(line.at, line.agent, line.model, line.provider, tokens, line.cost)
            return
        if line.call:
            before = self._calls.get(line.call)
            if before is not None and before.output > line.output:
                return
            if before is not None:
                _spent_of(self.summary.usage, before.agent, before.model, before.provider).add(
                    _tokens_of(before), before.cost, -1
                )
            self._calls[line.call] = line
            if len(self._calls) > _CALLS_REMEMBERED:
                del self._calls[next(iter(self._calls))]
        _spent_of(self.summary.usage, line.agent, line.model, line.provider).add(tokens, line.cost)


def _tokens_of(line: Usage) -> Tokens:
    return Tokens(line.input, line.output, line.cache_read, line.cache_write, line.reasoning)


def _spent_of(usage: list[Spent], agent: str, model: str, provider: str) -> Spent:
    for spent in usage:
        if (spent.agent, spent.model, spent.provider) == (agent, model, provider):
            return spent
    usage.append(Spent(agent, model, provider))
    return usage[-1]


def _merge_given(mine: dict[str, Given], others: dict[str, Given]) -> None:
    for name, given in others.items():
        if name not in mine or given.at >= mine[name].at:
            mine[name] = given


def _short(value: Any) -> Any:
    """A value as a summary keeps it: of a long one, the beginning of its JSON as text."""
    data = msgspec.json.encode(value)
    return value if len(data) <= _LONGEST_VALUE else data[:_LONGEST_VALUE].decode(errors="ignore") + "…"
