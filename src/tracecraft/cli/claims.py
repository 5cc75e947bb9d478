"""claim, release, renew, complete, reopen, step-status, handoff, wait-for: the life of a step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from tracecraft import clock, layout
from tracecraft.claiming import Hold
from tracecraft.claims import DEFAULT_MAX_HOLD, Handoff, View
from tracecraft.cli.face import DURATION, Face, command, git_folder, read_text, wait_option, waiting
from tracecraft.cli.output import indented, one_line
from tracecraft.errors import Missing, UsageError

HOW = {
    "claimed": "claimed {step} as {agent}",
    "already_yours": "already yours: {step}",
    "taken_over": "took over {step} from {previous}, whose lease had run out",
    "stolen": "took {step} away from {previous}",
    "resumed": "yours already: {step}",
}


@command()
@click.argument("step")
@click.option("--ttl", type=DURATION, help="How long the lease outlives your last sign of life. [default: 1h]")
@click.option(
    "--max-hold",
    type=DURATION,
    default=DEFAULT_MAX_HOLD,
    help="After this long others may take it however alive you are. [default: 1d]",
)
@wait_option
@click.option("--steal", is_flag=True, help="Take it from whoever holds it.")
def claim(face: Face, step: str, ttl: float | None, max_hold: float, wait: float, steal: bool) -> None:
    """Claim STEP: of all who try, one gets it.

    The claim lives as long as you do something now and then; any command that changes something counts. Claiming what
    is yours already renews it. A step that was handed over shows the handoff.

    \b
    Example:
      tracecraft claim design --ttl 30m
    """
    hold = face.project.steps.claim(step, ttl=ttl, max_hold=max_hold, steal=steal, wait=waiting(wait))
    show_hold(face, hold)


@command()
@click.argument("step")
@click.option("--note", default="", help="Why, for whoever takes it up.")
@click.option("--fence", type=int, help="Only if the hold is still this one. [env: TRACECRAFT_FENCE]")
def release(face: Face, step: str, note: str, fence: int | None) -> None:
    """Give STEP back undone: it is pending again.

    \b
    Example:
      tracecraft release design --note "needs the new schema first"
    """
    view = face.project.steps.release(step, note=read_text(note), fence=known_fence(step, fence))
    face.show(describe(view), f"released {view.step}")


@command()
@click.argument("steps", nargs=-1, metavar="[STEP]...")
@click.option("--fence", type=int, help="Only if the hold is still this one. [env: TRACECRAFT_FENCE]")
def renew(face: Face, steps: Sequence[str], fence: int | None) -> None:
    """Renew the leases of STEPs, or of all you hold.

    \b
    Example:
      tracecraft renew
    """
    if fence is not None and len(steps) != 1:
        raise UsageError("--fence speaks of one hold", hint="name exactly one step")
    known = known_fence(steps[0], fence) if len(steps) == 1 else None
    views = face.project.steps.renew(steps, fence=known)
    names = ", ".join(view.step for view in views)
    face.show({"renewed": [describe(view) for view in views]}, f"renewed {names}" if names else "you hold nothing")


@command()
@click.argument("step")
@click.option("--note", default="", help="What whoever comes after should know. - reads standard input.")
@click.option("--to", metavar="AGENT", help="Who should go on.")
@click.option("--next-action", metavar="TEXT", help="What to do first.")
@click.option("--blocked", is_flag=True, help="It cannot go on: wait-for fails at once.")
@click.option("--needs-review", is_flag=True, help="Done, but somebody should look.")
@click.option("--changed-files-from-git", is_flag=True, help="Record what git says has changed.")
@click.option("--force", is_flag=True, help="From any state, whoever holds it.")
@click.option("--fence", type=int, help="Only if the hold is still this one. [env: TRACECRAFT_FENCE]")
def complete(
    face: Face,
    step: str,
    note: str,
    to: str | None,
    next_action: str | None,
    blocked: bool,
    needs_review: bool,
    changed_files_from_git: bool,
    force: bool,
    fence: int | None,
) -> None:
    """End your work on STEP and leave a handoff.

    \b
    Example:
      tracecraft complete design --note "schema in docs/" --to developer --next-action "write the migration"
    """
    if blocked and needs_review:
        raise UsageError("--blocked and --needs-review exclude each other", hint="choose one")
    view = face.project.steps.complete(
        step,
        outcome="blocked" if blocked else "needs_review" if needs_review else "complete",
        note=read_text(note),
        to=to,
        next_action=next_action,
        changed_files_in=git_folder() if changed_files_from_git else None,
        force=force,
        fence=known_fence(step, fence),
    )
    handed = f", handed to {view.handoff.next_agent}" if view.handoff and view.handoff.next_agent else ""
    face.show(describe(view), f"{view.step} is {view.state}{one_line(handed)}")


@command()
@click.argument("step")
@click.option("--note", default="", help="Why.")
def reopen(face: Face, step: str, note: str) -> None:
    """Make an ended STEP pending again.

    \b
    Example:
      tracecraft reopen design --note "the schema changed"
    """
    view = face.project.steps.reopen(step, note=read_text(note))
    face.show(describe(view), f"{view.step} is pending again")


@command("step-status")
@click.argument("step")
def step_status(face: Face, step: str) -> None:
    """Show the state of STEP.

    \b
    Example:
      tracecraft step-status design
    """
    view = face.project.steps.view(step)
    if not view.exists and face.project.steps.spec(step) is None:
        face.project.say(f"nobody has declared or claimed {view.step} yet")
    by = f" (agent: {one_line(view.agent)})" if view.agent else ""
    face.show(describe(view), f"{view.step}: {view.state}{by}")


@command()
@click.argument("step")
def handoff(face: Face, step: str) -> None:
    """Show the handoff that STEP was left with. Exit 4 when there is none.

    \b
    Example:
      tracecraft handoff design
    """
    found = face.project.steps.handoff(step)
    if found is None:
        raise Missing(f"no handoff of {layout.readable_step_id(step)}", hint=f"tracecraft step-status {step}")
    face.show({"handoff": handoff_document(found)}, show_handoff(found))


@command("wait-for")
@click.argument("steps", nargs=-1, required=True, metavar="STEP...")
@click.option("--timeout", type=DURATION, default="300", show_default=True, help="How long at most.")
@click.option("--declared", is_flag=True, help="Exit 4 if one of them is not declared or claimed by anybody.")
def wait_for(face: Face, steps: Sequence[str], timeout: float, declared: bool) -> None:
    """Wait until all STEPs are complete.

    Exit 5 when the time runs out, 6 as soon as one is blocked.

    \b
    Example:
      tracecraft wait-for design schema --timeout 10m
    """
    views = face.project.steps.wait_for(steps, timeout=timeout, declared=declared)
    names = ", ".join(view.step for view in views)
    face.show({"complete": [view.step for view in views]}, f"complete: {names}")


def known_fence(step: str, given: int | None) -> int | None:
    """The fence the caller means: the option, else the environment where it speaks of this step."""
    if given is not None:
        return given
    inherited = os.environ.get("TRACECRAFT_FENCE", "")
    about = os.environ.get("TRACECRAFT_STEP")
    if not inherited or (about is not None and about != layout.step_id(step)):
        return None
    if not inherited.isdigit():
        raise UsageError(f"TRACECRAFT_FENCE is not a number: {inherited!r}", hint="unset it, or give --fence")
    return int(inherited)


def show_hold(face: Face, hold: Hold) -> None:
    """Tell of a won claim, and of what the one before left."""
    text = HOW[hold.how].format(step=hold.step, agent=hold.agent, previous=one_line(hold.previous or "nobody"))
    lines = [f"{text} (fence {hold.fence}, lease {clock.show_duration(hold.ttl)})"]
    if hold.note:
        lines.append(f"note: {indented(hold.note)}")
    if hold.handoff is not None:
        lines.append(show_handoff(hold.handoff))
    document = {
        "step": hold.step,
        "agent": hold.agent,
        "fence": hold.fence,
        "how": hold.how,
        "ttl": hold.ttl,
        "previous": hold.previous or None,
        "note": hold.note or None,
        "handoff": handoff_document(hold.handoff) if hold.handoff else None,
    }
    face.show(document, "\n".join(lines))


def describe(view: View) -> dict[str, Any]:
    """A step for machines."""
    return {
        "step": view.step,
        "state": view.state,
        "agent": view.agent,
        "fence": view.fence,
        "since": view.since or None,
        "handoff": handoff_document(view.handoff) if view.handoff else None,
    }


def handoff_document(handoff: Handoff) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(handoff)
    fields.pop("__extra__", None)
    return {key: value for key, value in fields.items() if value not in (None, "")}


def show_handoff(handoff: Handoff) -> str:
    to = f" to {handoff.next_agent}" if handoff.next_agent else ""
    lines = [
        f"handoff from {one_line(handoff.from_agent or '?')}{one_line(to)} "
        f"({one_line(handoff.state)}, {one_line(handoff.created_at)})"
    ]
    if handoff.note:
        lines.append(f"  note: {indented(handoff.note)}")
    if handoff.next_action:
        lines.append(f"  next: {indented(handoff.next_action)}")
    if handoff.changed_files:
        lines.append(f"  changed: {one_line(', '.join(handoff.changed_files))}")
    return "\n".join(lines)
