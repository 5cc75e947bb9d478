"""run exec: a command as a run of its own, with what it writes."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tracecraft.cli.face import Face, command


@command("exec", tidies_up=True)
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--param", "params", metavar="K=V", multiple=True, help="What it is given; V is JSON or else text.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="By which it is found; may be repeated.")
@click.option("--group", metavar="NAME", help="Put it together with other runs.")
def execute(
    face: Face, name: str, command: Sequence[str], params: Sequence[str], tags: Sequence[str], group: str | None
) -> int:
    """Run COMMAND as a run called NAME, with what it writes recorded.

    What COMMAND does through tracecraft, and processes of the SDK that it starts, is part of the run. A store that is
    away does not keep it from running. The exit status is COMMAND's; tracecraft's own errors are 100 higher than usual.

    \b
    Example:
      tracecraft run exec train --param lr=0.1 -- python train.py
    """
    from tracecraft.cli.run_leftovers import send_leftovers
    from tracecraft.cli.run_start import given_lines
    from tracecraft.runs.commanding import run_recorded

    lines = given_lines(params, tags)
    send_leftovers(face)
    environment = {"TRACECRAFT_STORE": face.store} if face.store else {}
    return run_recorded(face.project, name, command, group=group or "", lines=lines, environment=environment)
