"""run export: runs as files that others read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from tracecraft.cli.face import Face, command
from tracecraft.cli.output import one_line, print_stored
from tracecraft.cli.run_naming import find_run
from tracecraft.errors import UsageError

if TYPE_CHECKING:
    from tracecraft.runs.exporting.formats import Format

_FORMATS = ("csv", "jsonl", "chrome-trace", "otlp", "atif")
_STANDARD_OUTPUT = Path("-")


@command("export", acts=False, tidies_up=True)
@click.argument("run_id", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="All runs of the project.")
@click.option(
    "--format", "kind", type=click.Choice(_FORMATS), required=True,
    help="csv: of one run what it measured, of all a row each. jsonl: everything, as it was written. "
    "chrome-trace: for Perfetto. otlp: OpenTelemetry. atif: trajectories of agents.",
)  # fmt: skip
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write it there, complete or not at all. [default: -, standard output]",
)  # fmt: skip
def export(face: Face, run_id: str | None, everything: bool, kind: str, output: Path | None) -> None:
    """Write a run, or all runs, in a format that others read.

    ID is a run's id, the beginning of it or of its hex part, or its name; without it and --all the current run.

    \b
    Example:
      tracecraft run export 3f9a0c1d --format chrome-trace -o run.json
    """
    from tracecraft.runs.exporting.formats import export_run, export_runs
    from tracecraft.runs.rows import read_rows
    from tracecraft.wholefile import save

    if everything and run_id is not None:
        raise UsageError("a run is named, and all are asked for", hint="leave out the ID, or --all")
    chosen = cast("Format", kind)
    runs = [row.run for row in read_rows(face.project).rows] if everything else [find_run(face, run_id)]
    pieces = export_runs(face.project, runs, chosen) if everything else export_run(face.project, runs[0], chosen)
    if output is None or output == _STANDARD_OUTPUT:
        print_stored(pieces)
        return
    size = save(output, pieces)
    told = f"wrote {len(runs)} run{'' if len(runs) == 1 else 's'} to {one_line(output)} ({size} bytes)"
    face.show({"format": kind, "runs": len(runs), "path": str(output), "size": size}, told)
