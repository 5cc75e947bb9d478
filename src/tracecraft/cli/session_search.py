"""session search: find what was said in mirrored sessions."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tracecraft.cli.face import TIME, Face, command
from tracecraft.cli.output import as_json, one_line, print_line
from tracecraft.errors import Missing

if TYPE_CHECKING:
    from tracecraft.sessions.searching import Hit


@command("search", acts=False, tidies_up=True)
@click.argument("query")
@click.option("--harness", metavar="NAME", help="Only sessions of this harness.")
@click.option("--agent", "who", metavar="NAME", help="Only sessions that this agent mirrored.")
@click.option(
    "--since", type=TIME, metavar="TIME", help="Only what was said from then on: 2026-05-01, or 2h ago as 2h."
)
@click.option("--regex", is_flag=True, help="QUERY is a regular expression, in the syntax of RE2.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="The first N; 0 for all.")
def search(
    face: Face, query: str, harness: str | None, who: str | None, since: float | None, regex: bool, limit: int
) -> None:
    """Search messages, tools' inputs and results, and titles, of the newest session first. Case is ignored.

    \b
    Example:
      tracecraft session search "connection refused" --since 7d
    """
    from tracecraft.sessions import searching
    from tracecraft.sessions.finding import Name, Sessions

    wanted = searching.Query(query, regex=regex)
    sessions = Sessions(face.project)
    short = sessions.short_ids()
    hits = searching.search(face.project, sessions, wanted, harness=harness, agent=who, since=since)
    before: Name | None = None
    for hit in islice(hits, limit or None):
        name = Name(hit.harness, hit.session_id)
        if face.json:
            print_line(as_json(_document(hit)))
        else:
            heading = f"{one_line(hit.harness)} {one_line(short.get(name, hit.session_id))}\n" if name != before else ""
            print_line(heading + _line(hit))
        before = name
    if before is None:
        raise Missing(f"nothing matches {query!r}", hint="case is ignored; --regex takes an expression")


def _document(hit: Hit) -> dict[str, Any]:
    fields = msgspec.structs.asdict(hit)
    excerpt = "".join(fields.pop(name) for name in ("before", "match", "after"))
    return {**fields, "match": hit.match, "excerpt": excerpt}


def _line(hit: Hit) -> str:
    what = "" if hit.field == "text" else f" ({hit.field})"
    stream = f" in {one_line(hit.stream)}" if hit.stream else ""
    at = f"{one_line(hit.at[:19].replace('T', ' '))} " if hit.at else ""
    return f"  {at}{one_line(hit.role)}{what}{stream}: {one_line(hit.before + hit.match + hit.after)}"
