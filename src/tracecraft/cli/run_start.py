"""run start, run end: a run of this agent in this folder, of which its commands are part meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tracecraft import clock, currentrun
from tracecraft.cli.face import Face, command
from tracecraft.cli.output import one_line
from tracecraft.cli.run_leftovers import send_leftovers
from tracecraft.cli.run_naming import current_run
from tracecraft.errors import Missing, UsageError, WrongState
from tracecraft.runs import log, oneshot
from tracecraft.runs.beginning import checked_name, new_run_id, present
from tracecraft.runs.meta import RunMeta, Status


@command("start")
@click.argument("name", required=False)
@click.option("--param", "params", metavar="K=V", multiple=True, help="What it is given; V is JSON or else text.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="By which it is found; may be repeated.")
@click.option("--group", metavar="NAME", help="Put it together with other runs.")
@click.option("--parent", metavar="ID", help="The run it is part of. [default: the one TRACECRAFT_RUN names]")
@click.option("--resume", metavar="ID", help="Go on with this run instead, ended or not.")
def start(
    face: Face,
    name: str | None,
    params: Sequence[str],
    tags: Sequence[str],
    group: str | None,
    parent: str | None,
    resume: str | None,
) -> None:
    """Start a run called NAME: until it is ended, what you do in this folder is part of it.

    Claims, messages, memory, artifacts and mirrored sessions carry it then. It lives as long as you do something now
    and then. Where TRACECRAFT_RUN is set, that run goes first.

    \b
    Example:
      tracecraft run start prompt-comparison --param model=claude-sonnet-4-5 --param temperature=0.2 --tag nightly
    """
    if (name is None) == (resume is None):
        raise UsageError("give either a NAME or --resume", hint="tracecraft run start prompt-comparison")
    if resume is not None and (group or parent):
        raise UsageError("a run that is resumed has its group and parent", hint="leave them out")
    lines = given_lines(params, tags)
    project = face.project
    _refuse_second(face, resume)
    send_leftovers(face)
    lines = [oneshot.placed(project, line) for line in lines]
    if resume is not None:
        from tracecraft.runs.finding import find

        meta = oneshot.resume(project, find(project, resume), lines)
    else:
        meta = oneshot.begin(project, _new(face, name or "", group or "", parent), lines)
    _make_current(face, meta.run)
    again = "resumed" if resume else "started"
    face.show(_document(meta), f"{again} {meta.run}; end it with: tracecraft run end")


@command("end")
@click.option(
    "--status", type=click.Choice(["completed", "failed", "cancelled"]), default="completed", show_default=True,
)  # fmt: skip
@click.option("--error", default="", metavar="TEXT", help="Why it failed.")
def end(face: Face, status: Status, error: str) -> None:
    """End the current run.

    \b
    Example:
      tracecraft run end --status failed --error "the data set is gone"
    """
    project, run = face.project, current_run(face)
    send_leftovers(face)
    try:
        meta = oneshot.end(project, run, status, error)
    except (Missing, WrongState):
        _forget(face, run)
        raise
    _forget(face, run)
    if meta.status != status:
        project.say(f"it had ended before, as {meta.status}")
    face.show(_document(meta), f"{meta.run} is {meta.status}")


def given_lines(params: Sequence[str], tags: Sequence[str]) -> list[log.Known]:
    from tracecraft.cli.run_log import value_of

    lines: list[log.Known] = []
    values = {}
    for text in params:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"not a param: {text!r}", hint="--param name=value")
        values[key] = value_of(value)
    if values:
        lines.append(log.Params(values=values))
    if any(not tag for tag in tags):
        raise UsageError("a tag is empty", hint="leave it out, or give it a value")
    if tags:
        lines.append(log.Tags(add=list(tags)))
    return lines


def _new(face: Face, name: str, group: str, parent: str | None) -> RunMeta:
    from tracecraft.runs.finding import find
    from tracecraft.runs.recorder.capture import capture

    checked_name("run", name)
    return RunMeta(
        run=new_run_id(name),
        name=name,
        started_at=clock.now(),
        agent=face.project.agent,
        group=checked_name("group", group) if group else "",
        parent=find(face.project, parent) if parent else face.project.inherited.run,
        alive="agent",
        captured=capture(Path.cwd(), ["tracecraft", *sys.argv[1:]]),
    )


def _refuse_second(face: Face, resume: str | None) -> None:
    """One run is current for an agent in a folder. One that was ended elsewhere is not in the way."""
    project = face.project
    known = currentrun.remembered(project.local, project.agent, project.place)
    if not known or resume == known:
        return
    try:
        running = present(project, known).record.status == "running"
    except (Missing, WrongState):
        running = False
    if running:
        raise WrongState(
            f"the run {known} is current here",
            hint="end it: tracecraft run end; or work on it: tracecraft run inspect",
            run=known,
            state="running",
        )


def _make_current(face: Face, run: str) -> None:
    project = face.project
    if not currentrun.remember(project.local, project.agent, project.place, run):
        project.say(f"this machine could not remember it: export TRACECRAFT_RUN={run}")
    inherited = os.environ.get("TRACECRAFT_RUN")
    if inherited and inherited != run:
        project.say(f"TRACECRAFT_RUN names {inherited}, which stays the current run: export TRACECRAFT_RUN={run}")


def _forget(face: Face, run: str) -> None:
    project = face.project
    if project.has_agent and currentrun.remembered(project.local, project.agent, project.place) == run:
        currentrun.remember(project.local, project.agent, project.place, "")


def _document(meta: RunMeta) -> dict[str, Any]:
    return {
        "run": meta.run,
        "name": meta.name,
        "status": meta.status,
        "started_at": meta.started_at or None,
        "ended_at": meta.ended_at or None,
        "group": meta.group or None,
        "parent": meta.parent or None,
        "error": one_line(meta.error) or None,
    }
