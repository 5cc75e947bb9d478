"""run delete, run reindex: removing runs, and making their index anew."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tracecraft.cli.face import Face, command
from tracecraft.cli.output import one_line


@command("delete")
@click.argument("run_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Also runs that are running.")
def delete(face: Face, run_ids: Sequence[str], force: bool) -> None:
    """Delete runs for ever. Files that no other run uses go with the next `tracecraft gc --apply`.

    Killed midway, nothing of a run is visible any more; the same again with the whole id removes the rest.

    \b
    Example:
      tracecraft run delete 3fa9c1d2
    """
    from tracecraft.runs.deleting import delete_run
    from tracecraft.runs.finding import find_all_or_deleted

    done = [delete_run(face.project, run, force=force) for run in find_all_or_deleted(face.project, run_ids)]
    lines = [
        f"deleted {one_line(one.run)}" + (f" (again; {one.objects} objects were left)" if one.again else "")
        for one in done
    ]
    face.show({"deleted": [one._asdict() for one in done]}, "\n".join(lines))


@command("reindex", acts=False)
def reindex(face: Face) -> None:
    """Make the index that lists are read from anew, from the runs themselves.

    It is never needed, but where objects of the index were lost or damaged.

    \b
    Example:
      tracecraft run reindex
    """
    from tracecraft.runs.reindexing import reindex as make_anew

    made = make_anew(face.project)
    text = f"{made.runs} runs indexed" + (f", {made.deleted} deleted ones noted" if made.deleted else "")
    face.show(made._asdict(), text)
