"""Tells the project's history what became of a mirrored session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracecraft.records import Stored
from tracecraft.sessions.manifest import Manifest

if TYPE_CHECKING:
    from tracecraft.project import Project


def tell(
    project: Project, kind: str, stored: Stored[Manifest], done: str, *beside: tuple[str, bytes], **details: int
) -> None:
    """Write the event of what was done, and `beside` it in one wave what else is to be written, such as a heartbeat.

    A mirrorer gives none: whose harness is gone is not alive because its transcript is.
    """
    subject = stored.record.session_id
    event = project.events.item(kind, subject, about=stored.key, harness=stored.record.harness, **details)
    project.write_after([event, *beside], done=f"the session {subject} {done}")
