"""Which run what an agent does is part of: the one TRACECRAFT_RUN names, else the one the agent began in this folder.

A run that the command line began stays current for its agent in its folder until it is ended; this machine remembers
it. Everything else asks `Project.run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tracecraft import layout
from tracecraft.localstate import LocalState, checksum


class Within(NamedTuple):
    """The run, and the span in it, that something is part of; empty where there is none."""

    run: str = ""
    span: str = ""


def inherited(environ: Mapping[str, str]) -> Within:
    """What the process that started this one says. Raises UsageError for what is no run's id."""
    run, span = environ.get("TRACECRAFT_RUN", ""), environ.get("TRACECRAFT_SPAN", "")
    if not run:
        return Within()
    return Within(layout.name("run", run), layout.name("span", span) if span else "")


def remembered(local: LocalState, agent: str, place: str) -> str:
    """The run that an agent began in a place and did not end."""
    run = local.read(_name(agent, place)).get("run")
    return run if isinstance(run, str) and layout.is_segment(run) else ""


def remember(local: LocalState, agent: str, place: str, run: str) -> bool:
    """Make a run, or with "" none, current for an agent in a place; whether this machine could keep that."""
    local.write(_name(agent, place), {"run": run})
    return remembered(local, agent, place) == run


def _name(agent: str, place: str) -> str:
    return f"run-{agent}-{checksum(place):016x}"
