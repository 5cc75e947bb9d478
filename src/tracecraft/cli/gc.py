"""gc: keep the store small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from tracecraft.cli.face import DURATION, Face, command
from tracecraft.cli.output import one_line, show_time
from tracecraft.clock import iso
from tracecraft.gc import DAY, KINDS, Kind, Limits
from tracecraft.tally import Tally

_DEFAULTS = Limits()
FILES = "files"
"""What runs kept and no run uses any more; the others are kinds of `tracecraft.gc`."""


def _days(seconds: float) -> str:
    return f"{seconds / DAY:g}d"


@command()
@click.option("--apply", "apply_", is_flag=True, help="Do it. Without this it is only told what would be done.")
@click.option(
    "--events-older-than", type=DURATION, metavar="D", default=_days(_DEFAULTS.events), show_default=True,
    help="Fold events of whole days older than this into segments, which `log` reads; never of yesterday or today.",
)  # fmt: skip
@click.option(
    "--messages-older-than", type=DURATION, metavar="D", default=_days(_DEFAULTS.messages), show_default=True,
    help="Remove messages that were read and are older than this, with the sender's copies and receipts.",
)  # fmt: skip
@click.option(
    "--agents-gone-for", type=DURATION, metavar="D", default=_days(_DEFAULTS.agents), show_default=True,
    help="Remove records of agents silent for this long that hold no step and have no unread mail.",
)  # fmt: skip
@click.option(
    "--only", type=click.Choice([*KINDS, FILES]), multiple=True, help="Only these; may be repeated. All without it."
)
def gc(
    face: Face,
    apply_: bool,
    events_older_than: float,
    messages_older_than: float,
    agents_gone_for: float,
    only: Sequence[str],
) -> None:
    """Keep the store small: fold old events, remove mail that was read, agents that are gone, and files of no run.

    Nothing is changed without --apply. Unread mail, agents that hold a step and files that a run uses always stay.

    \b
    Example:
      tracecraft gc --apply --only events --events-older-than 14d
    """
    collection = face.project.gc
    act = collection.collect if apply_ else collection.survey
    limits = Limits(events_older_than, messages_older_than, agents_gone_for)
    kinds: list[Kind] = [kind for kind in KINDS if not only or kind in only]
    tallies: dict[str, Tally] = {str(kind): tally for kind, tally in act(limits, only=kinds).items()}
    if not only or FILES in only:
        tallies[FILES] = _files(face, apply_)
    face.show({"applied": apply_, "collected": {k: _document(t) for k, t in tallies.items()}}, _text(tallies, apply_))


def _files(face: Face, apply_: bool) -> Tally:
    from tracecraft.runs import blobs

    unused = blobs.survey(face.project)
    return blobs.tally_of(unused, blobs.collect(face.project, unused) if apply_ else unused.files.values())


def _text(tallies: Mapping[str, Tally], applied: bool) -> str:
    lines = [_line(kind, tally) for kind, tally in tallies.items() if tally.objects]
    if not lines:
        lines.append("nothing to collect")
    elif not applied:
        lines.append("nothing was changed; to do it: the same with --apply")
    return "\n".join([*lines, *(line for kind, tally in tallies.items() for line in _stays(kind, tally))])


def _line(kind: str, tally: Tally) -> str:
    counts = ", ".join(f"{number} {what}" for what, number in tally.counts.items())
    names = f" ({one_line(', '.join(tally.names))})" if tally.names else ""
    return (
        f"{kind}: {tally.objects} objects{names}, {tally.bytes} bytes, {_time(tally.oldest)} to {_time(tally.newest)}"
        f"; {counts}; {tally.requests} requests"
    )


def _stays(kind: str, tally: Tally) -> list[str]:
    """What stays though it is old, and who could change that."""
    lines = [f"{kind} that stay: {number} ({why})" for why, number in tally.kept.items()]
    if tally.waiting_for:
        lines.append(f"broadcasts wait to be read by: {one_line(', '.join(tally.waiting_for))}")
    return lines


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else show_time(seconds)


def _document(tally: Tally) -> dict[str, Any]:
    return {
        "objects": tally.objects,
        "bytes": tally.bytes,
        "requests": tally.requests,
        "oldest": None if tally.oldest is None else iso(tally.oldest),
        "newest": None if tally.newest is None else iso(tally.newest),
        "counts": dict(tally.counts),
        "kept": dict(tally.kept),
        "names": tally.names,
        "waiting_for": tally.waiting_for,
    }
