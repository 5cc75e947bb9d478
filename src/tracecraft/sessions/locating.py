"""Finds sessions of harnesses on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from tracecraft import layout
from tracecraft.errors import Missing, UsageError
from tracecraft.sessions import registry
from tracecraft.sessions.harness import Found, Machine

Say = Callable[[str], None]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions are meant: of a harness, or of all; of a folder, or of the whole machine; one, or every one.

    `session_id` may be the beginning of an id. Without `every`, the one that changed last is meant.
    """

    harness: str | None = None
    session_id: str | None = None
    cwd: Path | None = None
    every: bool = False


def this_machine(environ: Mapping[str, str] = os.environ) -> Machine:
    return Machine(Path.home(), environ)


def locate(wanted: Wanted, machine: Machine, say: Say) -> Sequence[Found]:
    """The sessions that are meant, those that changed last first. Raises Missing, UsageError.

    `say` hears of what cannot be mirrored and why.
    """
    if wanted.harness is not None:
        registry.harness(wanted.harness)  # a misspelt one is refused, not searched for in vain
    found = discover(wanted, machine, say)
    if wanted.session_id is not None:
        return [_only(wanted.session_id, found)]
    if not found and not wanted.every:
        where = f"of {wanted.cwd}" if wanted.cwd else "on this machine"
        raise Missing(
            f"no session {where} was found ({', '.join(_harnesses(wanted))})",
            hint="run this where the agent works, or name its folder: --cwd PATH",
        )
    return found if wanted.every else found[:1]


def discover(wanted: Wanted, machine: Machine, say: Say) -> Sequence[Found]:
    """The sessions of the harnesses and the folder that are meant, those that changed last first."""
    found: list[Found] = []
    for name in _harnesses(wanted):
        try:
            found += registry.harness(name).discover(machine, wanted.cwd)
        except (UsageError, OSError) as error:
            say(f"sessions of {name} cannot be found: {error}")
    usable = [session for session in found if _is_usable(session, say)]
    return sorted(usable, key=lambda session: session.modified, reverse=True)


def _harnesses(wanted: Wanted) -> Sequence[str]:
    return [wanted.harness] if wanted.harness else registry.names()


def _is_usable(session: Found, say: Say) -> bool:
    try:
        layout.name("session", session.session_id)
    except UsageError as error:
        say(f"{session.path} is left out: {error.message}")
        return False
    return True


def _only(text: str, found: Sequence[Found]) -> Found:
    exact = [session for session in found if session.session_id == text]
    matching = exact or [session for session in found if session.session_id.startswith(text)]
    if not matching:
        raise Missing(f"no session {text} was found on this machine", hint="name its folder: --cwd PATH")
    if len(matching) > 1:
        names = ", ".join(f"{session.harness}/{session.session_id}" for session in matching[:5])
        raise UsageError(
            f"{len(matching)} sessions begin with {text!r}: {names}", hint="write more of the id, or --harness"
        )
    return matching[0]
