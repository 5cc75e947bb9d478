"""What was said in mirrored sessions, in excerpts, as happenings beside what was done."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from tracecraft.errors import TracecraftError
from tracecraft.records import Stored
from tracecraft.replay.happening import Happening, excerpt, in_line
from tracecraft.runs.times import seconds_of
from tracecraft.sessions import registry
from tracecraft.sessions.finding import Sessions
from tracecraft.sessions.manifest import Manifest
from tracecraft.sessions.message import Message
from tracecraft.sessions.reading import Stream, messages
from tracecraft.sessions.rendering import in_short

if TYPE_CHECKING:
    from tracecraft.project import Project

MOST_SESSIONS = 50
MOST_MESSAGES = 5000
"""Messages that are shown of a session."""


def said(project: Project, run: str = "") -> Iterator[Happening]:
    """What was said in sessions that were mirrored within a run; without one, in the newest of the project."""
    found = Sessions(project).newest_first()
    wanted = (stored for stored in found if not run or stored.record.run == run)
    for stored in islice(wanted, MOST_SESSIONS):
        try:
            yield from _of_session(project, stored)
        except TracecraftError as error:
            project.say(f"the session {stored.record.session_id} is not shown to its end: {error.message}")


def _of_session(project: Project, stored: Stored[Manifest]) -> Iterator[Happening]:
    manifest = stored.record
    harness = registry.known(manifest.harness)
    if harness is None or "" not in manifest.streams():
        return
    run = "" if manifest.run is msgspec.UNSET else manifest.run
    shown = (message for message in messages(harness, Stream(project, stored).lines(0)) if not message.injected)
    for message in islice(shown, MOST_MESSAGES):
        at = seconds_of(message.at)
        if at is None or not (title := _title(message)):
            continue
        told = {"role": message.role, "model": message.model, "text": message.text, "tool": message.tool}
        details = {name: excerpt(text, 1000) for name, text in told.items() if text}
        calls = [f"{call.name}: {in_line(in_short(call.input), 300)}" for call in message.calls[:20]]
        yield Happening(
            at,
            manifest.agent_id or "",
            "said",
            title,
            bad=message.failed,
            run=run,
            details={**details, **({"calls": calls} if calls else {}), "session": manifest.session_id},
        )


def _title(message: Message) -> str:
    """A message on one line; results of tools are told by their calls."""
    if message.role == "tool":
        return f"{message.tool or 'tool'} failed: {in_line(message.text)}" if message.failed else ""
    if message.text.strip():
        return f"{message.role}: {in_line(message.text)}"
    if message.calls:
        call = message.calls[0]
        return f"{call.name}: {in_line(in_short(call.input), 80)}"
    return ""
