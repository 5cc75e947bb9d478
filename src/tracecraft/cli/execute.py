"""exec: run a command while holding a step."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tracecraft.cli.face import DURATION, Face, command, git_folder, wait_option, waiting
from tracecraft.supervisor import OnFail, run_held


@command("exec", tidies_up=True)
@click.argument("step")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--ttl", type=DURATION, help="The lease; it is renewed every third of it. [default: 1h]")
@wait_option
@click.option("--on-fail", type=click.Choice(["release", "blocked"]), default="release", show_default=True)
@click.option("--note", default="", help="For the handoff.")
@click.option("--to", metavar="AGENT", help="For the handoff: who should go on.")
@click.option("--next-action", metavar="TEXT", help="For the handoff: what to do first.")
@click.option("--changed-files-from-git", is_flag=True, help="For the handoff: what git says has changed.")
def execute(
    face: Face,
    step: str,
    command: Sequence[str],
    ttl: float | None,
    wait: float,
    on_fail: OnFail,
    note: str,
    to: str | None,
    next_action: str | None,
    changed_files_from_git: bool,
) -> int:
    """Claim STEP, run COMMAND while renewing the lease, and complete STEP when it succeeds.

    When it fails, STEP is released, or marked blocked. When the lease is lost, COMMAND is stopped. The exit status is
    COMMAND's; tracecraft's own errors are 100 higher than usual: 103 held by another or lease lost, 107 store
    unreachable.

    \b
    Example:
      tracecraft exec build --ttl 5m -- make all
    """
    return run_held(
        face.project,
        step,
        command,
        ttl=ttl,
        wait=waiting(wait),
        on_fail=on_fail,
        note=note,
        to=to,
        next_action=next_action,
        changed_files_in=git_folder() if changed_files_from_git else None,
        environment={"TRACECRAFT_STORE": face.store} if face.store else None,
    )
