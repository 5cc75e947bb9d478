"""The formats in which runs are exported, by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from tracecraft.records import decode_many
from tracecraft.runs.exporting import atif, chrome_trace, csv_tables, happenings, jsonl, otlp
from tracecraft.runs.meta import RunMeta
from tracecraft.store import get_many

if TYPE_CHECKING:
    from tracecraft.project import Project

Format = Literal["csv", "jsonl", "chrome-trace", "otlp", "atif"]

_TRACES = {"chrome-trace": chrome_trace.write, "otlp": otlp.write, "atif": atif.write}


def export_run(project: Project, run: str, kind: Format) -> Iterator[bytes]:
    """One run in this format, in pieces; as CSV what it measured. Raises Missing and BrokenRecord."""
    return csv_tables.write_points(project, run) if kind == "csv" else export_runs(project, [run], kind)


def export_runs(project: Project, runs: Sequence[str], kind: Format) -> Iterator[bytes]:
    """Several runs in this format, in pieces; as CSV a row for each. Raises Missing and BrokenRecord."""
    if kind == "csv":
        return csv_tables.write_runs(project, runs)
    if kind == "jsonl":
        return jsonl.write(project, runs)
    return _TRACES[kind](project, runs, happenings.of_runs(project, _metas(project, runs)))


def _metas(project: Project, runs: Sequence[str]) -> list[RunMeta]:
    """The records of runs, in one wave, to know when they were. What is wrong with one shows when it is exported."""
    objects = get_many(project.store, map(project.layout.run_meta, runs))
    return [stored.record for stored in decode_many(objects.values(), RunMeta, []).values()]
