"""Runs as JSON Lines, without loss: the record of each, then every line of its log as it was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft.records import encode
from tracecraft.runs.exporting.trace import tell_missing
from tracecraft.runs.fragments import Log
from tracecraft.runs.reading import read_meta

if TYPE_CHECKING:
    from tracecraft.project import Project


def write(project: Project, runs: Iterable[str]) -> Iterator[bytes]:
    """For each run: a line with its `meta`, one for each `line` with its `writer`, and one that tells the `end`."""
    for run in runs:
        yield from _run(project, run)


def _run(project: Project, run: str) -> Iterator[bytes]:
    meta = read_meta(project, run).record
    yield _line({"run": run, "meta": msgspec.Raw(msgspec.json.format(encode(meta), indent=-1))})
    log, count = Log(project, run), 0
    for found in log.in_order():
        count += 1
        yield _line({"run": run, "writer": found.writer, "line": msgspec.Raw(found.data)})
    tell_missing(project, run, log.gaps, log.broken)
    gaps = [gap._asdict() for gap in log.gaps]
    yield _line({"run": run, "end": {"lines": count, "gaps": gaps, "broken": list(log.broken)}})


def _line(document: dict[str, Any]) -> bytes:
    return msgspec.json.encode(document) + b"\n"
