"""Programs that use the SDK, as processes of their own, and what is in the store of their runs afterwards."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tests.support.world import COMMAND_SECONDS, Result, World
from tracecraft.runs import log, reading
from tracecraft.runs.log import Line
from tracecraft.runs.meta import RunMeta

AGENT = "a"


def begin(world: World, source: str, **variables: str) -> subprocess.Popen[str]:
    """Start a program in a folder and home of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", "import tracecraft\n" + textwrap.dedent(source)],
        cwd=world.folder(AGENT),
        env=world.environment(AGENT, **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(world: World, source: str, *, exits: int | None = 0, **variables: str) -> Result:
    """Run a program; fails the test when it ends otherwise than `exits` (None: however it ends)."""
    process = begin(world, source, **variables)
    try:
        out, err = process.communicate(timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    result = Result(process.returncode, out, err)
    assert exits is None or result.code == exits, result
    return result


@dataclass(frozen=True)
class Stored:
    """A run as the store has it."""

    meta: RunMeta
    status: str
    lines: list[Line]

    def of(self, kind: type[Any]) -> list[Any]:
        return [line for line in self.lines if type(line) is kind]

    @property
    def spans(self) -> dict[str, log.Span]:
        """Spans by their names."""
        return {line.name: line for line in self.of(log.Span)}

    @property
    def metrics(self) -> dict[str, float]:
        return {name: value for line in self.of(log.Metrics) for name, value in line.values.items()}

    def parent_of(self, name: str) -> str:
        """The name of the span that a span lies in."""
        names: dict[str, str] = {line.span: line.name for line in self.of(log.Span)}
        return names.get(str(self.spans[name].parent), "")

    @property
    def statuses(self) -> dict[str, str]:
        """How each span ended, by name."""
        names = {line.span: line.name for line in self.of(log.Span)}
        return {names[line.span]: line.status for line in self.of(log.SpanEnd)}


def runs(world: World) -> dict[str, Stored]:
    """Every run of the project, by name. Nothing of any may be missing."""
    project = world.open()
    keys = [info.key for info in project.store.list(project.layout.runs())]
    ids = [run for key in keys if (run := project.layout.run_meta_of(key)) is not None]
    found = {}
    for run in ids:
        view = reading.read_run(project, run)
        assert not view.gaps
        assert not view.broken
        found[view.meta.name] = Stored(view.meta, view.status, [line for _, line in reading.lines(project, run)])
    assert len(found) == len(ids), "names of runs in one test differ"
    return found


def only_run(world: World) -> Stored:
    (found,) = runs(world).values()
    return found


def event_bodies(world: World, kinds: Sequence[str]) -> list[dict[str, Any]]:
    project = world.open()
    found = []
    for info in project.store.list(project.layout.events()):
        event = project.layout.event_of(info.key)
        if event is not None and event.type in kinds:
            found.append(msgspec.json.decode(project.store.get(info.key).data, type=dict[str, Any]))
    return found
