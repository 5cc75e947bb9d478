"""status: the project on one screen."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import click

from tracecraft import clock
from tracecraft.claims import State
from tracecraft.cli.face import DURATION, TIME, Face, command
from tracecraft.cli.output import one_line, table
from tracecraft.errors import UsageError
from tracecraft.overview import Overview, look

_SHOWN = 40
_ORDER: tuple[State, ...] = ("in_progress", "blocked", "needs_review", "pending", "complete")


@command()
@click.option("--watch", is_flag=True, help="Show it again whenever something changes, until interrupted.")
@click.option("--interval", type=DURATION, default="2", show_default=True, help="Seconds between looks with --watch.")
@click.option("--at", type=TIME, metavar="TIME", help="As it was then: 2026-05-01T12:00, or 2h ago as 2h.")
def status(face: Face, watch: bool, interval: float, at: float | None) -> None:
    """Show agents, steps and unread mail.

    \b
    Example:
      tracecraft status
      tracecraft status --at 2h
    """
    if at is not None:
        if watch:
            raise UsageError("--at and --watch exclude each other", hint="leave one of them out")
        from tracecraft.cli.past_status import show_past

        show_past(face, at)
        return
    overview = look(face.project, with_mail=face.project.has_agent)
    face.show(_document(face, overview), _screen(face, overview))
    if not watch:
        return
    pace = clock.Pace(max(0.1, interval), max(30.0, interval))
    before = _fingerprint(overview)
    while True:
        pace.sleep()
        overview = look(face.project, with_mail=face.project.has_agent)
        now = _fingerprint(overview)
        if now != before:
            pace.changed()
            before = now
            if sys.stdout.isatty() and not face.json:
                click.clear()
            face.show(_document(face, overview), _screen(face, overview))


def _screen(face: Face, overview: Overview) -> str:
    counts = Counter(overview.board.state(step) for step in overview.board.views)
    tally = ", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state])
    lines = [f"project {face.project.name} on {face.project.store.url}"]
    agents = [
        (a.name, a.status, overview.step_of(a.name) or "-", f"{clock.show_duration(a.age)} ago")
        for a in overview.agents
    ]
    lines += ["", table(agents, heads=("AGENT", "STATUS", "STEP", "HEARTBEAT")) or "no agents"]
    lines += ["", f"{len(overview.board.views)} steps" + (f": {tally}" if tally else "")]
    lines += [_steps_table(overview)] if overview.board.views else []
    if overview.unread is not None:
        lines += ["", f"{overview.unread} unread messages" + (" (tracecraft inbox --new)" if overview.unread else "")]
    return "\n".join(lines)


def _steps_table(overview: Overview) -> str:
    """Steps, those that somebody should look at first; long lists are cut, saying so."""
    board = overview.board
    steps = sorted(board.steps(), key=lambda step: _ORDER.index(board.state(step)))
    rows = [
        (step, board.state(step), board.views[step].agent or "", _remark(overview, step)) for step in steps[:_SHOWN]
    ]
    more = f"\n... and {len(steps) - _SHOWN} more: tracecraft step list" if len(steps) > _SHOWN else ""
    return table(rows, heads=("STEP", "STATE", "AGENT", "")) + more


def _remark(overview: Overview, step: str) -> str:
    board = overview.board
    view = board.views[step]
    if view.state == "in_progress" and overview.has_run_out(view):
        return f"lease ran out: tracecraft claim {one_line(step)}"
    if view.state == "pending" and board.unmet(step):
        return f"waits for {', '.join(board.unmet(step))}"
    if view.state in ("blocked", "needs_review") and view.handoff is not None:
        return view.handoff.note[:60]
    return ""


def _document(face: Face, overview: Overview) -> dict[str, Any]:
    board = overview.board
    return {
        "project": face.project.name,
        "store": face.project.store.url,
        "agents": [
            {
                "agent": a.name,
                "status": a.status,
                "step": overview.step_of(a.name),
                "heartbeat": a.record.heartbeat,
                "heartbeat_age_s": round(a.age),
            }
            for a in overview.agents
        ],
        "steps": [
            {
                "step": step,
                "state": board.state(step),
                "agent": board.views[step].agent,
                "fence": board.views[step].fence,
                "unmet": board.unmet(step),
                "lease_ran_out": overview.has_run_out(board.views[step]),
            }
            for step in board.steps()
        ],
        "unread": overview.unread,
    }


def _fingerprint(overview: Overview) -> tuple[object, ...]:
    """What has to differ for the screen to be shown again; heartbeats alone do not."""
    steps = tuple(
        (step, view.state, view.agent, view.rev, overview.has_run_out(view))
        for step, view in overview.board.views.items()
    )
    return steps, tuple((a.name, a.status) for a in overview.agents), overview.unread
