"""Whether others could read what is mirrored: transcripts are private, so a store open to others must be wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracecraft import clock
from tracecraft.errors import StoreError, UsageError

if TYPE_CHECKING:
    from tracecraft.project import Project

_GOOD_FOR = 86400.0
"""Seconds for which an answer is believed."""


def require_private(project: Project, *, accept: bool) -> None:
    """Make sure that only those with access to the store can read it. Raises UsageError unless that is accepted.

    Accepting is remembered on this machine, for this project.
    """
    known = project.local.read("exposure")
    asked_at = known.get("asked_at")
    fresh = isinstance(asked_at, int | float) and 0 <= clock.now_ns() / 1e9 - asked_at < _GOOD_FOR
    how = known.get("how") if fresh else None
    if not isinstance(how, str):
        how = _how(project)
    accepted = accept or known.get("accepted") == how
    if how and not accepted:
        raise UsageError(
            f"{how}: a transcript holds what your agents read and wrote; nothing was mirrored",
            hint="close the store to others, or accept it: --yes",
        )
    if how and accept:
        project.say(f"{how}; mirrored all the same, as you asked")
    now = asked_at if fresh else clock.now_ns() / 1e9
    if not fresh or accept:
        project.local.write("exposure", {"asked_at": now, "how": how, "accepted": how if accepted else None})


def _how(project: Project) -> str:
    try:
        return project.store.exposed(project.layout.agent(project.agent))
    except StoreError as error:
        return f"whether others can read {project.store.url} could not be found out ({error.message})"
