"""session list, session stats: what sessions are mirrored and what they come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tracecraft.cli.face import Face, command
from tracecraft.cli.output import one_line, show_size, show_time, table
from tracecraft.clock import iso, show_duration

if TYPE_CHECKING:
    from tracecraft.records import Stored
    from tracecraft.sessions.listing import Listed, Order
    from tracecraft.sessions.manifest import Manifest
    from tracecraft.sessions.statistics import Statistics
    from tracecraft.sessions.summing import Cost

_HEADS = (
    *("SESSION", "HARNESS", "AGENT", "TITLE", "FOLDER", "BRANCH", "MODEL"),
    *("MESSAGES", "SIZE", "COST", "LAST UPLOAD", "STATE"),
)
_LONGEST_TITLE, _LONGEST_FOLDER = 40, 30


@command("list", acts=False)
@click.option("--harness", metavar="NAME", help="Only sessions of this harness: claude-code, codex ...")
@click.option("--agent", "who", metavar="NAME", help="Only sessions that this agent mirrored.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="The first N; 0 for all.")
@click.option(
    "--sort-by", type=click.Choice(["recent", "size", "cost"]), default="recent", show_default=True,
    help="What comes first: what was uploaded last, the largest, the dearest.",
)  # fmt: skip
def list_sessions(face: Face, harness: str | None, who: str | None, limit: int, sort_by: Order) -> None:
    """List mirrored sessions.

    \b
    Example:
      tracecraft session list --harness codex --sort-by cost
    """
    from tracecraft.sessions.listing import sessions

    found = sessions(face.project, harness=harness, agent=who, order=sort_by, limit=limit)
    text = table(map(_row, found), heads=_HEADS) or "no sessions"
    face.show({"sessions": [_document(session) for session in found]}, text)


@command("stats", acts=False, tidies_up=True)
@click.argument("session_id", metavar="[ID]", required=False)
def stats(face: Face, session_id: str | None) -> None:
    """Count messages, tools, tokens and cost: of one session, read as a whole, or of all, from their manifests.

    \b
    Example:
      tracecraft session stats 7505c804
    """
    if session_id is None:
        _show_everything(face)
    else:
        _show_one(face, session_id)


def _show_everything(face: Face) -> None:
    from tracecraft.sessions.listing import everything

    total = everything(face.project)
    numbers = _numbers(total.statistics, total.cost, total.redactions, total.duration)
    told = _told(total.statistics, total.cost, total.redactions, show_duration(total.duration))
    count = sum(total.sessions.values())
    heading = f"{count} session{'' if count == 1 else 's'}" + (
        f": {one_line(_counts(total.sessions))}" if count else ""
    )
    face.show({"sessions": total.sessions, **numbers}, "\n".join([heading, *told]))


def _show_one(face: Face, given: str) -> None:
    from tracecraft.sessions import summing
    from tracecraft.sessions.finding import Sessions
    from tracecraft.sessions.reading import Stream

    stored = Sessions(face.project).find(given)
    manifest = stored.record
    statistics = _read(face, stored)
    cost, redacted = summing.cost_of([statistics]), summing.redactions(manifest)
    streams = [Stream(face.project, stored, name) for name in manifest.streams()]
    document = {
        "harness": manifest.harness,
        "session_id": manifest.session_id,
        "title": statistics.title or None,
        "cwd": statistics.cwd or manifest.cwd or None,
        "branch": statistics.branch or None,
        "first": statistics.first or None,
        "last": statistics.last or None,
        "streams": [
            {"stream": s.name, "size": s.size, "parts": len(s.parts), "complete": not s.gaps()} for s in streams
        ],
    }
    duration = f"{show_duration(statistics.duration)}, {statistics.first} to {statistics.last}"
    told = _told(statistics, cost, redacted, duration if statistics.first else "")
    heading = f"{one_line(manifest.harness)} {one_line(manifest.session_id)}  {one_line(statistics.title)}".rstrip()
    numbers = _numbers(statistics, cost, redacted, statistics.duration)
    face.show({**document, **numbers}, "\n".join([heading, *told]))


def _read(face: Face, stored: Stored[Manifest]) -> Statistics:
    """What a whole session comes to, or what its mirrorer counted where its harness is not known here."""
    from tracecraft.sessions import registry, summing

    harness = registry.known(stored.record.harness)
    if harness is not None:
        return summing.of_transcript(face.project, stored, harness)
    face.project.say(f"the harness {stored.record.harness} is not known here: this is what its mirrorer counted")
    return summing.together(summing.of_streams(stored.record))


def _row(session: Listed) -> tuple[object, ...]:
    statistics = session.statistics
    return (
        session.short_id,
        session.name.harness,
        session.agent or "-",
        _short(statistics.title, _LONGEST_TITLE) or "-",
        _end_of(session.cwd, _LONGEST_FOLDER) or "-",
        _short(statistics.branch, _LONGEST_FOLDER) or "-",
        statistics.models[-1] if statistics.models else "-",
        _spoken(statistics) or "-",
        show_size(session.size),
        show_cost(session.cost) or "-",
        show_time(session.modified),
        session.state,
    )


def _document(session: Listed) -> dict[str, Any]:
    statistics = session.statistics
    return {
        "harness": session.name.harness,
        "session_id": session.name.session_id,
        "short_id": session.short_id,
        "agent": session.agent or None,
        "title": statistics.title or None,
        "cwd": session.cwd or None,
        "branch": statistics.branch or None,
        "models": statistics.models,
        "messages": statistics.messages,
        "size": session.size,
        "parts": session.parts,
        "tokens": {model: msgspec.structs.asdict(usage) for model, usage in statistics.usage.items()},
        "cost": cost_document(session.cost),
        "state": session.state,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "changed_at": iso(session.modified),
    }


def _numbers(statistics: Statistics, cost: Cost, redacted: Mapping[str, int], duration: float) -> dict[str, Any]:
    return {
        "messages": statistics.messages,
        "tools": statistics.tools,
        "failed": statistics.failed,
        "unreadable": statistics.unreadable,
        "tokens": {model: msgspec.structs.asdict(usage) for model, usage in statistics.usage.items()},
        "cost": cost_document(cost),
        "duration_s": round(duration, 3),
        "redactions": dict(redacted),
    }


def _told(statistics: Statistics, cost: Cost, redacted: Mapping[str, int], duration: str) -> Iterator[str]:
    facts = (
        ("messages", _counts(statistics.messages)),
        ("tools", _counts(statistics.tools) + (f" ({statistics.failed} failed)" if statistics.failed else "")),
        ("unreadable", f"{statistics.unreadable} lines" if statistics.unreadable else ""),
        ("duration", duration),
        ("redacted", _counts(redacted)),
        ("cost", _cost_told(cost)),
    )
    yield from (f"{name:<10} {one_line(told)}" for name, told in facts if told)
    rows = [
        (model or "(not told)", u.input, u.output, u.cache_read, u.cache_write, u.reasoning)
        for model, u in statistics.usage.items()
    ]
    if rows:
        yield table(rows, heads=("TOKENS OF", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITTEN", "REASONING"))


def _counts(counts: Mapping[str, int]) -> str:
    most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in most_first)


def _spoken(statistics: Statistics) -> int:
    """Messages of the user and the model."""
    return statistics.messages.get("user", 0) + statistics.messages.get("assistant", 0)


def show_cost(cost: Cost) -> str:
    """A cost in a column; nothing where nothing was used."""
    if cost.usd is None:
        return "unpriced" if cost.unpriced else ""
    return (f"${cost.usd:.2f}" if cost.usd >= 0.01 or not cost.usd else "<$0.01") + (
        " + unpriced" if cost.unpriced else ""
    )


def _cost_told(cost: Cost) -> str:
    unpriced = f"unpriced: {', '.join(model or '(not told)' for model in cost.unpriced)}" if cost.unpriced else ""
    priced = f"${cost.usd:.4f} ({cost.source})" if cost.usd is not None else ""
    return "; ".join(filter(None, (priced, unpriced)))


def cost_document(cost: Cost) -> dict[str, Any]:
    """A cost for machines: null is not known, which is never the same as nothing."""
    return {"usd": cost.usd, "source": cost.source or None, "unpriced": list(cost.unpriced)}


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _end_of(text: str, length: int) -> str:
    return text if len(text) <= length else "..." + text[3 - length :]
