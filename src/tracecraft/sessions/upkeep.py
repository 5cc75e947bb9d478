"""Ends, compacts and deletes mirrored sessions when somebody asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tracecraft import clock
from tracecraft.errors import Conflict, Missing, Unreachable
from tracecraft.records import Stored, commit, read
from tracecraft.sessions.compacting import compact
from tracecraft.sessions.finding import check, is_there
from tracecraft.sessions.manifest import Manifest
from tracecraft.sessions.sweeping import part_keys
from tracecraft.sessions.telling import tell
from tracecraft.store import delete_many, pause

if TYPE_CHECKING:
    from tracecraft.project import Project

T = TypeVar("T")

_ATTEMPTS = 20


def end_session(project: Project, stored: Stored[Manifest]) -> Stored[Manifest]:
    """Note that a session has ended; whoever follows it stops. Mirroring it again, should it go on, takes that back."""
    if stored.record.ended_at:
        return stored
    ended = changed(project, stored, lambda now: commit(project.store, now.key, _ended(now.record), now))
    tell(project, "session.end", ended, "has ended", *project.agents.beat_item())
    return ended


def compact_session(project: Project, stored: Stored[Manifest], keep_tail: int = 0) -> Stored[Manifest]:
    """Merge the parts of a session, but the last `keep_tail` of each generation. Raises Corrupt, Missing.

    What is read of it stays the same byte for byte.
    """
    compacted = changed(project, stored, lambda now: compact(project, now, keep_tail))
    if compacted.etag != stored.etag:
        left = len(compacted.record.parts)
        tell(project, "session.compact", compacted, "is compacted", *project.agents.beat_item(), parts=left)
    return compacted


def delete_session(project: Project, stored: Stored[Manifest], *, forget: bool = False) -> int:
    """Delete a session from the store; returns how many parts went.

    A tombstone stays, so that no mirrorer brings it back; with `forget` it goes too.
    """
    if is_there(stored.record):
        stored = changed(project, stored, lambda now: commit(project.store, now.key, _tombstone(now.record), now))
        tell(project, "session.delete", stored, "is deleted", *project.agents.beat_item())
    parts = part_keys(project, stored.record.harness, stored.record.session_id)
    delete_many(project.store, parts)
    if forget:
        project.store.delete(stored.key)
    return len(parts)


def changed(
    project: Project, stored: Stored[Manifest], change: Callable[[Stored[Manifest]], T], *, attempts: int = _ATTEMPTS
) -> T:
    """Make a change that is refused while others change the manifest, until it is not. Raises Missing, Unreachable."""
    for attempt in range(attempts):
        try:
            return change(stored)
        except Conflict:
            time.sleep(pause(min(attempt, 5)))
            stored = _as_it_is(project, stored)
    raise Unreachable(f"others change {stored.key} all the time", hint="nothing was changed; try again later")


def _as_it_is(project: Project, stored: Stored[Manifest]) -> Stored[Manifest]:
    now = read(project.store, stored.key, Manifest)
    if now is None or not is_there(now.record):
        raise Missing(f"the session {stored.record.session_id} was deleted", hint="tracecraft session list")
    check(project.layout, now)
    return now


def _ended(manifest: Manifest) -> Manifest:
    return msgspec.structs.replace(manifest, ended_at=clock.now())


def _tombstone(manifest: Manifest) -> Manifest:
    """It tells nothing of what the session was about."""
    return Manifest(harness=manifest.harness, session_id=manifest.session_id, deleted_at=clock.now())
