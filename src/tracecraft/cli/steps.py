"""next and step: declared work, and the queue of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from tracecraft import layout
from tracecraft.board import Board
from tracecraft.cli.claims import describe, show_handoff, show_hold
from tracecraft.cli.face import DURATION, Face, command, read_value, wait_option, waiting
from tracecraft.cli.output import one_line, table
from tracecraft.errors import Missing, UsageError
from tracecraft.specs import DEFAULT_PRIORITY, Spec, make_spec

STATES = ["pending", "in_progress", "blocked", "needs_review", "complete"]


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a file for `step load`."""

    step: str
    title: str = ""
    needs: list[str] = msgspec.field(default_factory=list)
    priority: int = DEFAULT_PRIORITY
    tags: list[str] = msgspec.field(default_factory=list)


@command("next")
@click.option("--tag", "tags", multiple=True, help="Only steps with this tag (may be given again).")
@click.option("--ttl", type=DURATION, help="As for claim.")
@wait_option
@click.option("--another", is_flag=True, help="One more, though you have one already.")
def next_step(face: Face, tags: Sequence[str], ttl: float | None, wait: float, another: bool) -> None:
    """Claim the best step that is ready.

    Ready is what is pending with all its needs complete; then what a lost agent left. The smallest priority number
    comes first, then what was declared first. A step you have already is given again. Exit 4 when nothing is ready,
    with the reason: all_done, all_held or waiting_on_needs.

    \b
    Example:
      tracecraft next --tag backend --wait 10m
    """
    show_hold(face, face.project.steps.next(tags=tags, ttl=ttl, wait=waiting(wait), another=another))


@click.group()
def step() -> None:
    """Declare steps and look at them."""


@step.add_command
@command("add")
@click.argument("name", metavar="STEP")
@click.option("--title", default="", help="What it is about.")
@click.option("--needs", default="", metavar="A,B", help="Steps that must be complete before.")
@click.option("--priority", type=int, default=DEFAULT_PRIORITY, show_default=True, help="0 comes first.")
@click.option("--tag", "tags", multiple=True, help="May be given again.")
@click.option("--replace", is_flag=True, help="Declare it anew, differently.")
def add(face: Face, name: str, title: str, needs: str, priority: int, tags: Sequence[str], replace: bool) -> None:
    """Declare STEP.

    \b
    Example:
      tracecraft step add migrate --needs design,schema --priority 1 --tag backend
    """
    wanted = [need for need in needs.split(",") if need]
    spec = face.project.steps.add(name, title=title, needs=wanted, priority=priority, tags=tags, replace=replace)
    face.show({"step": layout.step_id(name), **_spec_document(spec)}, f"declared {layout.step_id(name)}")


@step.add_command
@command("load")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--replace", is_flag=True, help="Declare known steps anew, differently.")
def load(face: Face, file: Path, replace: bool) -> None:
    """Declare the steps in FILE (- for standard input): one JSON object a line.

    Fields: step, and if wanted title, needs, priority, tags. Everything is checked before anything is written.

    \b
    Example:
      echo '{"step": "design", "priority": 1}' | tracecraft step load -
    """
    text = read_value("-" if str(file) == "-" else f"@{file}")
    specs = [_parse_line(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    face.project.steps.load(specs, replace=replace)
    names = [layout.step_id(name) for name, _ in specs]
    face.show({"steps": names}, f"declared {len(names)} steps")


@step.add_command
@command("list")
@click.option("--ready", is_flag=True, help="Only what could be claimed now.")
@click.option("--state", type=click.Choice(STATES), help="Only steps in this state.")
@click.option("--tag", "tags", multiple=True, help="Only steps with this tag.")
def list_steps(face: Face, ready: bool, state: str | None, tags: Sequence[str]) -> None:
    """List steps, by priority and declaration.

    \b
    Example:
      tracecraft step list --ready
    """
    board = face.project.steps.board()
    chosen = [
        name
        for name in board.steps(tags)
        if (not ready or board.is_ready(name)) and (state is None or board.state(name) == state)
    ]
    rows = [
        (
            name,
            board.state(name),
            board.views[name].agent or "",
            board.spec(name).priority,
            _waits(board, name),
            board.spec(name).title,
        )
        for name in chosen
    ]
    text = table(rows, heads=("STEP", "STATE", "AGENT", "PRIO", "WAITS FOR", "TITLE"))
    face.show({"steps": [_step_document(board, name) for name in chosen]}, text or "no steps")


@step.add_command
@command("show")
@click.argument("name", metavar="STEP")
def show(face: Face, name: str) -> None:
    """Show all that is known of STEP. Exit 4 when nobody declared or claimed it.

    \b
    Example:
      tracecraft step show migrate
    """
    board = face.project.steps.board()
    wanted = layout.readable_step_id(name)
    if wanted not in board.views:
        raise Missing(f"no step {wanted}", hint="tracecraft step list")
    view, spec = board.views[wanted], board.spec(wanted)
    lines = [
        f"{wanted}: {view.state}" + (f" (agent: {one_line(view.agent)}, fence {view.fence})" if view.agent else "")
    ]
    if spec.title:
        lines.append(f"title: {one_line(spec.title)}")
    if wanted in board.specs:
        lines.append(f"priority: {spec.priority}" + (f"  tags: {one_line(', '.join(spec.tags))}" if spec.tags else ""))
    if spec.needs:
        lines.append("needs: " + ", ".join(f"{one_line(need)} ({board.state(need)})" for need in spec.needs))
    if view.handoff is not None:
        lines.append(show_handoff(view.handoff))
    face.show({**_step_document(board, wanted), **describe(view)}, "\n".join(lines))


def _waits(board: Board, name: str) -> str:
    return ", ".join(board.unmet(name)) if board.state(name) == "pending" else ""


def _step_document(board: Board, name: str) -> dict[str, Any]:
    view = board.views[name]
    return {
        "step": name,
        "state": view.state,
        "agent": view.agent,
        "fence": view.fence,
        "ready": board.is_ready(name),
        "unmet": board.unmet(name),
        **_spec_document(board.spec(name)),
    }


def _spec_document(spec: Spec) -> dict[str, Any]:
    return {"title": spec.title, "needs": spec.needs, "priority": spec.priority, "tags": spec.tags}


def _parse_line(number: int, line: str) -> tuple[str, Spec]:
    try:
        parsed = msgspec.json.decode(line, type=_Line)
        spec = make_spec(title=parsed.title, needs=parsed.needs, priority=parsed.priority, tags=parsed.tags)
        layout.step_id(parsed.step)
    except (msgspec.MsgspecError, UsageError, RecursionError) as error:
        raise UsageError(f"line {number}: {error}", hint='a line is {"step": "name", "needs": ["other"]}') from None
    return parsed.step, spec
