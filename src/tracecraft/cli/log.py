"""log: what happened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from tracecraft.cli.face import TIME, Face, command
from tracecraft.cli.output import as_json_list, indented, one_line, print_line, print_part, show_time
from tracecraft.clock import iso
from tracecraft.timeline import Entry, Filter

_LONG = {"value", "version", "after", "history", "messages", "sha256", "next_action", "title", "needs", "tags"}


@command(acts=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, until interrupted.")
@click.option("--agent", "who", metavar="NAME", help="Only what this agent did.")
@click.option("--type", "kind", metavar="TYPE", help="Only this type: claim, complete, memory, send ...")
@click.option("--subject", metavar="NAME", help="Only about this step, key or agent.")
@click.option("--since", type=TIME, metavar="TIME", help="From then on: 2026-05-01T12:00, or 2h ago as 2h.")
@click.option("--until", type=TIME, metavar="TIME", help="Up to then.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="The newest N; 0 for all.")
def log(
    face: Face,
    follow: bool,
    who: str | None,
    kind: str | None,
    subject: str | None,
    since: float | None,
    until: float | None,
    limit: int,
) -> None:
    """Show what happened, oldest first.

    \b
    Example:
      tracecraft log --type claim --since 1h
    """
    events = face.project.events
    wanted = Filter(agent=who, type=kind, subject=subject, since=since, until=until)
    if follow:
        for batch in events.follow(wanted, limit=limit or None):
            for entry in batch:
                face.show(_document(entry), _line(entry))
    elif limit:
        _show_all(face, [events.timeline(wanted, limit=limit)])
    else:
        _show_all(face, events.batches(wanted))


def _show_all(face: Face, batches: Iterable[list[Entry]]) -> None:
    """Events as they are read: as one document, or a line each."""
    if face.json:
        for part in as_json_list("events", ([_document(entry) for entry in batch] for batch in batches)):
            print_part(part)
        return
    shown = False
    for batch in filter(None, batches):
        print_line("\n".join(map(_line, batch)))
        shown = True
    if not shown:
        print_line("no events")


def _line(entry: Entry) -> str:
    fence = f" (fence {entry.body.fence})" if entry.body and entry.body.fence else ""
    details = "".join(f" {one_line(key)}={indented(value)}" for key, value in _in_short(entry).items())
    told = " ".join(
        one_line(part) for part in (show_time(entry.modified), entry.name.agent, entry.name.type, entry.subject)
    )
    return f"{told}{fence}{details}"


def _in_short(entry: Entry) -> dict[str, Any]:
    """The details that fit on a line; --json has all of them, and `replay` shows what they come to."""
    return {key: value for key, value in _details(entry).items() if key not in _LONG}


def _details(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in (entry.body.extra if entry.body else {}).items() if value not in (None, "")}


def _document(entry: Entry) -> dict[str, Any]:
    body = entry.body
    return {
        "at": body.at if body else entry.name.at,
        "stored_at": iso(entry.modified),
        "type": entry.name.type,
        "agent": entry.name.agent,
        "subject": entry.subject,
        "fence": body.fence if body and body.fence else None,
        "key": entry.key,
        "details": _details(entry),
    }
