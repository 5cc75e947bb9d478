"""Runs a command while holding a step: renews the lease, stops it when the lease is lost, ends the step by its status.

The command does not outlive a supervisor that is killed (see `childprocess.py`): work that nobody renews for would go
on while somebody else starts it anew.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tracecraft import localprocess
from tracecraft.childprocess import (
    GRACE,
    Signals,
    Watchdog,
    end_group,
    give_terminal,
    has_terminal,
    passing_signals,
    wait_for_child,
)
from tracecraft.claims import TERMINAL
from tracecraft.errors import LostLease, Refused, UsageError
from tracecraft.lease import LeaseKeeper

if TYPE_CHECKING:
    from tracecraft.claiming import Hold
    from tracecraft.project import Project

OnFail = Literal["release", "blocked"]


def run_held(
    project: Project,
    step: str,
    command: Sequence[str],
    *,
    ttl: float | None = None,
    wait: float | None = 0.0,
    on_fail: OnFail = "release",
    note: str = "",
    to: str | None = None,
    next_action: str | None = None,
    changed_files_in: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Claim the step, run the command, end the step; returns the command's exit status (128 + n for signal n).

    `environment` is what the command finds in its environment beside the caller's. Status 0 completes the step with the
    handoff; any other releases it, or marks it blocked. Raises what `Steps.claim` raises, and LostLease when the lease
    was lost: then the command was stopped and nothing was written.
    """
    with Watchdog() as watchdog:
        hold = project.steps.claim(step, ttl=ttl, wait=wait, alive="self", process=localprocess.name(watchdog.pid))
        # A signal that comes while the step is being ended must not leave it held.
        with passing_signals() as signals:
            status, lost = _run(project, hold, command, environment or {}, watchdog, signals)
            if lost:
                raise LostLease(
                    f"the lease of {hold.step} was lost; the command was stopped",
                    hint=f"tracecraft step-status {hold.step}",
                    step=hold.step,
                    fence=hold.fence,
                )
            if status:
                # The program alone: arguments may hold secrets, and the note is there for everybody.
                _end(project, hold, on_fail, note=note or f"{Path(command[0]).name} ended with status {status}")
            else:
                done: dict[str, Any] = {"to": to, "next_action": next_action, "changed_files_in": changed_files_in}
                _end(project, hold, "complete", note=note, **done)
    return status


def _run(
    project: Project,
    hold: Hold,
    command: Sequence[str],
    environment: Mapping[str, str],
    watchdog: Watchdog,
    signals: Signals,
) -> tuple[int, bool]:
    """Run the command under the lease; its exit status, and whether the lease was lost."""
    foreground = has_terminal()

    def introduce() -> None:
        # In the child, before it becomes the command: nothing it does can come before this.
        watchdog.guard(os.getpid())
        if foreground:
            give_terminal(os.getpid())

    try:
        # No other thread of Python runs yet, so the child may safely introduce itself.
        child = subprocess.Popen(
            command,
            process_group=0,
            env={**_environment(project, hold), **environment},
            preexec_fn=introduce,  # noqa: PLW1509
        )
    except OSError as error:
        if foreground:
            give_terminal(os.getpgrp())
        project.steps.release(hold.step, note=f"{command[0]} could not be started", fence=hold.fence)
        raise UsageError(
            f"cannot run {command[0]}: {error.strerror}", hint="check the command; the step is free again"
        ) from None
    signals.to(child.pid)
    return _supervise(project, hold, child, signals, foreground=foreground)


def _supervise(
    project: Project, hold: Hold, child: subprocess.Popen[bytes], signals: Signals, *, foreground: bool
) -> tuple[int, bool]:
    stopped = threading.Event()

    def stop() -> None:
        end_group(child.pid)
        stopped.set()

    keeper = LeaseKeeper(project, hold, on_lost=stop, process=localprocess.name(child.pid))
    keeper.start()
    try:
        status = wait_for_child(child, signals)
    finally:
        if foreground:
            give_terminal(os.getpgrp())
        keeper.stop()
    lost = keeper.lost.is_set()
    if lost:
        # What the command left running in its group must not work on under a lease that is gone.
        stopped.wait(GRACE + 1)
    return status, lost


def _end(
    project: Project,
    hold: Hold,
    how: Literal["complete", "release", "blocked"],
    *,
    note: str,
    to: str | None = None,
    next_action: str | None = None,
    changed_files_in: Path | None = None,
) -> None:
    """End the step, unless the command did so itself under this very hold."""
    try:
        if how == "release":
            project.steps.release(hold.step, note=note, fence=hold.fence)
        else:
            project.steps.complete(
                hold.step,
                outcome=how,
                note=note,
                to=to,
                next_action=next_action,
                changed_files_in=changed_files_in,
                fence=hold.fence,
            )
    except Refused:
        view = project.steps.view(hold.step)
        ended_itself = view.state in (*TERMINAL, "pending") and view.fence == hold.fence
        if not ended_itself:
            raise


def _environment(project: Project, hold: Hold) -> dict[str, str]:
    """The caller's environment, and what makes tracecraft commands inside act as this agent under this hold."""
    return {
        **os.environ,
        "TRACECRAFT_AGENT": hold.agent,
        "TRACECRAFT_PROJECT": project.name,
        "TRACECRAFT_STEP": hold.step,
        "TRACECRAFT_FENCE": str(hold.fence),
        **({"TRACECRAFT_RUN": project.run} if project.run else {}),
    }
