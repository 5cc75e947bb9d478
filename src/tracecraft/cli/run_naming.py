"""Which run a command is about: the one that is named, or else the current one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracecraft.cli.run_leftovers import send_leftovers
from tracecraft.errors import UsageError

if TYPE_CHECKING:
    from tracecraft.cli.face import Face


def find_run(face: Face, given: str | None) -> str:
    """The id of the run that is meant. Raises Missing, and UsageError where none is named or it may be several."""
    from tracecraft.runs.finding import find

    given = given or face.project.run
    if not given:
        raise UsageError("no run is named and none is current here", hint="name one: tracecraft run list")
    send_leftovers(face)
    return find(face.project, given)


def current_run(face: Face) -> str:
    """The id of the current run. Raises UsageError where there is none."""
    run = face.project.run
    if not run:
        raise UsageError("no run is current here", hint="tracecraft run start NAME, or set TRACECRAFT_RUN")
    return run
