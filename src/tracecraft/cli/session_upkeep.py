"""session verify, session compact, session delete: keeping mirrored sessions sound and few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tracecraft.cli.face import Face, command
from tracecraft.cli.output import one_line
from tracecraft.errors import Missing, UsageError

if TYPE_CHECKING:
    from tracecraft.sessions.verifying import Verified


@command("verify", tidies_up=True)
@click.argument("session_id", metavar="[ID]", required=False)
@click.option("--repair", is_flag=True, help="Sweep what nobody names, and name no longer what is lost or damaged.")
def verify(face: Face, session_id: str | None, repair: bool) -> int:
    """Check that every part of a session, or of all, is there and is what was uploaded; exit 1 where one is not.

    What --repair takes out of a session is mirrored anew by the next mirror, where the source still is.

    \b
    Example:
      tracecraft session verify --repair
    """
    from tracecraft.sessions import verifying
    from tracecraft.sessions.finding import Sessions

    sessions = Sessions(face.project)
    chosen = sessions.newest_first() if session_id is None else iter([sessions.find(session_id)])
    found: list[tuple[Verified, bool]] = []
    for stored in chosen:
        try:
            verified = verifying.verify(face.project, stored)
            acts = repair and bool(verified.damaged or verified.leftover)
            after = verifying.repair(face.project, verified) if acts else verified
        except Missing:
            continue  # deleted meanwhile
        found.append((msgspec.structs.replace(verified, stored=after.stored, holes=after.holes), acts))
    is_sound = all(verified.is_whole for verified, _ in found) and not face.project.broken
    face.show(
        {"sound": is_sound, "sessions": [_document(*one) for one in found]},
        "\n".join([*(line for one in found for line in _told(*one)), _summary(found, is_sound)]),
    )
    return 0 if is_sound else 1


@command("compact")
@click.argument("session_id", metavar="ID")
@click.option(
    "--keep-tail", type=click.IntRange(min=0), default=0, metavar="N", show_default=True,
    help="Leave the newest N parts as they are.",
)  # fmt: skip
def compact(face: Face, session_id: str, keep_tail: int) -> None:
    """Merge the parts of a mirrored session. What is read of it stays the same; so does who mirrors it.

    Mirroring keeps parts few by itself, so this is seldom needed.

    \b
    Example:
      tracecraft session compact 7505c804
    """
    from tracecraft.sessions.finding import Sessions
    from tracecraft.sessions.upkeep import compact_session

    stored = Sessions(face.project).find(session_id)
    before = len(stored.record.parts)
    after = len(compact_session(face.project, stored, keep_tail).record.parts)
    manifest = stored.record
    face.show(
        {"harness": manifest.harness, "session_id": manifest.session_id, "parts_before": before, "parts": after},
        f"{_parts(before)} became {after}" if after != before else f"nothing to merge ({_parts(after)})",
    )


@command("delete")
@click.argument("session_id", metavar="ID")
@click.option("--forget", is_flag=True, help="Leave no tombstone: who has the session may mirror it again.")
@click.option("--yes", is_flag=True, help="Needed, for nothing brings it back.")
def delete(face: Face, session_id: str, forget: bool, yes: bool) -> None:
    """Delete a mirrored session from the store. The harness's own files stay.

    A tombstone stays behind, so that nobody who still mirrors it brings it back; --forget removes that too.

    \b
    Example:
      tracecraft session delete 7505c804 --yes
    """
    from tracecraft.sessions.finding import Sessions
    from tracecraft.sessions.upkeep import delete_session

    stored = Sessions(face.project).find(session_id, deleted=True)
    manifest = stored.record
    who = f"{one_line(manifest.harness)} {one_line(manifest.session_id)}"
    if not yes:
        raise UsageError(f"this would delete {who} for ever; nothing was deleted", hint="the same with --yes")
    parts = delete_session(face.project, stored, forget=forget)
    stays = "" if forget else "; to let it be mirrored again: the same with --forget"
    face.show(
        {"harness": manifest.harness, "session_id": manifest.session_id, "parts": parts, "forgotten": forget},
        f"deleted {who} ({_parts(parts)}){stays}",
    )


def _document(verified: Verified, repaired: bool) -> dict[str, Any]:
    manifest = verified.stored.record
    return {
        "harness": manifest.harness,
        "session_id": manifest.session_id,
        "sound": verified.is_whole,
        "parts": len(manifest.parts),
        "without_checksum": verified.unvouched,
        "damaged": [{"key": one.key, "what": one.what} for one in verified.damaged],
        "holes": [msgspec.structs.asdict(hole) for hole in verified.holes],
        "leftover": list(verified.leftover),
        "repaired": repaired,
    }


def _told(verified: Verified, repaired: bool) -> Iterator[str]:
    """What is wrong with a session, and what was done; nothing where all is well."""
    if verified.is_whole and not verified.leftover:
        return
    manifest = verified.stored.record
    yield f"{one_line(manifest.harness)} {one_line(manifest.session_id)}"
    for damaged in verified.damaged:
        yield f"  {damaged.what}: {one_line(damaged.key)}" + (" (no longer named)" if repaired else "")
    for hole in verified.holes:
        what = "missing" if hole.end > hole.start else "there twice"
        stream = one_line(hole.stream) or "the conversation"
        first, last = sorted((hole.start, hole.end))
        yield f"  {what}: bytes {first} to {last} of the source of {stream}"
    if verified.leftover:
        done = "swept" if repaired else "left by a mirrorer that is at work or was killed"
        yield f"  {_parts(len(verified.leftover))} that nobody names ({done})"
    if not verified.is_whole:
        yield "  next: tracecraft session mirror" + (
            ", where the source still is; it begins anew" if repaired or not verified.damaged else
            " begins anew once this was repaired: tracecraft session verify --repair"
        )  # fmt: skip


def _summary(found: Sequence[tuple[Verified, bool]], is_sound: bool) -> str:
    wrong = sum(not verified.is_whole for verified, _ in found)
    sessions = "1 session" if len(found) == 1 else f"{len(found)} sessions"
    if is_sound:
        return f"{sessions}, all sound"
    return f"{sessions}, {wrong} not sound" if wrong else f"{sessions}; some manifests cannot be read"


def _parts(count: int) -> str:
    return "1 part" if count == 1 else f"{count} parts"
