"""The harnesses that are known: those of this package, and those that other packages add.

Another package adds one by an entry point of the group `tracecraft.harnesses`, whose name is the harness's and whose
value is a class (or a function without arguments) that makes a `Harness`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from tracecraft.errors import UsageError
from tracecraft.sessions.harness import Harness

GROUP = "tracecraft.harnesses"

_OWN = {
    "claude-code": "claude_code:ClaudeCode",
    "codex": "codex:Codex",
    "hermes": "hermes:Hermes",
    "openclaw": "openclaw:OpenClaw",
    "opencode": "opencode:OpenCode",
    "pi": "pi:Pi",
}


def names() -> Sequence[str]:
    """Every harness that can be had, by name."""
    return sorted({*_OWN, *_added()})


@lru_cache
def harness(name: str) -> Harness:
    """The harness of this name. Raises UsageError."""
    made: Harness
    if name in _OWN:
        module, _, kind = _OWN[name].partition(":")
        made = getattr(import_module(f"tracecraft.sessions.harnesses.{module}"), kind)()
    elif name in _added():
        made = _load(name)
    else:
        raise UsageError(f"no harness is called {name!r}", hint=f"choose one of: {', '.join(names())}")
    return made


def known(name: str) -> Harness | None:
    """The harness of this name if it can be had; a store may hold sessions of harnesses that are not installed here."""
    try:
        return harness(name)
    except UsageError:
        return None


@lru_cache
def _added() -> dict[str, str]:
    if not any(map(_names_harnesses, sys.path)):
        return {}
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=GROUP) if point.name not in _OWN}


def _names_harnesses(folder: str) -> bool:
    """Whether a package installed in a folder adds a harness. importlib.metadata takes ten times as long to say no."""
    for path in Path(folder).glob("*.*-info/entry_points.txt"):
        with suppress(OSError):
            if GROUP.encode() in path.read_bytes():
                return True
    return False


def _load(name: str) -> Harness:
    from importlib.metadata import EntryPoint

    try:
        made: Harness = EntryPoint(name, _added()[name], GROUP).load()()
    except Exception as error:  # whatever an installed package does wrong
        raise UsageError(
            f"the harness {name} of another package does not load: {error}",
            hint="mend or remove the package that adds it",
        ) from error
    return made
