"""Notes the end of a mirrored session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from tracecraft import clock
from tracecraft.errors import Conflict, Unreachable
from tracecraft.records import Stored, commit, read
from tracecraft.sessions.manifest import Manifest
from tracecraft.store import pause

if TYPE_CHECKING:
    from tracecraft.project import Project

_ATTEMPTS = 20


def end(project: Project, stored: Stored[Manifest]) -> Stored[Manifest]:
    """Note that a session has ended; whoever follows it stops. Mirroring it again, should it go on, takes that back."""
    for attempt in range(_ATTEMPTS):
        if stored.record.ended_at:
            return stored
        record = msgspec.structs.replace(stored.record, ended_at=clock.now())
        try:
            ended = commit(project.store, stored.key, record, stored)
        except Conflict:
            time.sleep(pause(min(attempt, 5)))
            stored = read(project.store, stored.key, Manifest) or stored
            continue
        subject = record.session_id
        item = project.events.item("session.end", subject, about=stored.key, harness=record.harness)
        project.write_after([item], done=f"the session {subject} has ended")
        return ended
    raise Unreachable(f"others change {stored.key} all the time", hint="try again")
