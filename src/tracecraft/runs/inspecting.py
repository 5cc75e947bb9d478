"""Reads one run as a whole: what it comes to, its spans as a tree, the files it kept, and the curves of its metrics."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tracecraft.runs.fragments import Log
from tracecraft.runs.log import Artifact, Line, Metrics, Text
from tracecraft.runs.plotting import Point
from tracecraft.runs.reading import RunView, lines, read_meta, status_now, summed
from tracecraft.runs.spans import Tree, build

if TYPE_CHECKING:
    from tracecraft.project import Project

MOST_POINTS = 4096
"""Points of a curve; of more every second one is left out, again and again."""
MOST_OUTPUT = 1 << 20
"""Characters of output that are kept, the last ones."""
_MOST_ARTIFACTS = 10_000


class Whole(NamedTuple):
    """A run with its spans, the files and folders it kept, the last of each name, and the end of its output."""

    view: RunView
    tree: Tree
    artifacts: dict[str, Artifact]
    output: Output


class Output:
    """What a command wrote, the last of it; `left_out` counts the bytes before that."""

    def __init__(self) -> None:
        self.texts: deque[Text] = deque()
        self.left_out = 0
        self._size = 0

    def add(self, text: Text) -> None:
        self.texts.append(text)
        self._size += len(text.text)
        while self._size > MOST_OUTPUT and len(self.texts) > 1:
            gone = len(self.texts.popleft().text)
            self._size -= gone
            self.left_out += gone

    def lines(self) -> list[tuple[str, str]]:
        """Its lines with the streams they were written to."""
        return [(text.stream, line) for text in self.texts for line in text.text.splitlines()]


class Sample(NamedTuple):
    """A value of a metric: when it was logged, in seconds since 1970, and at which step."""

    at: float
    step: float | None
    value: float


class Curve(msgspec.Struct):
    """The values of a metric by time. Of many only every `stride`-th is in `samples`; the rest tells of all `count`."""

    samples: list[Sample] = []
    stride: int = 1
    count: int = 0
    last: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, sample: Sample) -> None:
        self.last, self.low, self.high = sample.value, min(self.low, sample.value), max(self.high, sample.value)
        if self.count % self.stride == 0:
            self.samples.append(sample)
            if len(self.samples) > MOST_POINTS:
                self.samples, self.stride = self.samples[::2], 2 * self.stride
        self.count += 1

    def points(self) -> list[Point]:
        """The values over their steps, or over seconds since the first where some have no step."""
        if all(sample.step is not None for sample in self.samples):
            return [Point(sample.step or 0.0, sample.value) for sample in self.samples]
        return [Point(sample.at - self.samples[0].at, sample.value) for sample in self.samples]


def inspect(project: Project, run: str) -> Whole:
    """The run of this id as it is. Raises Missing, BrokenRecord."""
    stored = read_meta(project, run)
    log = Log(project, run)
    summary, status = summed(log), status_now(project, stored)
    artifacts: dict[str, Artifact] = {}
    output = Output()
    tree = build(_noting(log, artifacts, output), status)
    return Whole(RunView(stored.record, status, summary, log.gaps, log.broken), tree, artifacts, output)


def curves(project: Project, run: str, names: list[str]) -> dict[str, Curve]:
    """The curves of metrics, of all where none is named. Memory is bounded by their number."""
    found: dict[str, Curve] = {}
    for _, line in lines(project, run):
        if isinstance(line, Metrics):
            for name, value in line.values.items():
                if not names or name in names:
                    found.setdefault(name, Curve()).add(Sample(line.at, line.step, value))
    return found


def _noting(log: Log, artifacts: dict[str, Artifact], output: Output) -> Iterator[tuple[str, Line]]:
    for found in log.in_order():
        line = found.line
        if isinstance(line, Text):
            output.add(line)
        if isinstance(line, Artifact) and (line.name in artifacts or len(artifacts) < _MOST_ARTIFACTS):
            artifacts[line.name] = line
        yield found.writer, line
