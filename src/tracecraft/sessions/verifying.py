"""Verifies mirrored sessions: every part is there and what was uploaded, and together they are the whole source.

Repairing never removes what may still be of use: parts that nobody names are swept, and what is lost or damaged is no
longer named, so that the generation counts as incomplete and the next mirror begins a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tracecraft.errors import Missing
from tracecraft.records import Stored, commit, read
from tracecraft.sessions.fetching import fetch
from tracecraft.sessions.finding import check, is_there
from tracecraft.sessions.manifest import Manifest, Part, counted, part_key
from tracecraft.sessions.reading import Stream
from tracecraft.sessions.sweeping import named, part_keys, sweep
from tracecraft.sessions.upkeep import changed

if TYPE_CHECKING:
    from tracecraft.project import Project

_LOOKS = 10


class Damaged(msgspec.Struct, frozen=True):
    """A part that is `missing` or `corrupt`."""

    key: str
    what: str
    part: Part


class Hole(msgspec.Struct, frozen=True):
    """Bytes of a stream's source that are in no part, or in two: then `end` is before `start`."""

    stream: str
    start: int
    end: int


class Verified(msgspec.Struct, frozen=True):
    """What was found. `leftover` are keys of parts that nobody names: a mirrorer at work, or one that was killed, left
    them. `unvouched` is how many parts have no checksum, as 0.2.x writes none."""

    stored: Stored[Manifest]
    damaged: Sequence[Damaged]
    holes: Sequence[Hole]
    leftover: Sequence[str]
    unvouched: int

    @property
    def is_whole(self) -> bool:
        return not self.damaged and not self.holes


def verify(project: Project, stored: Stored[Manifest]) -> Verified:
    """Look at every part of a session, each of its generations. Raises Missing when it is deleted meanwhile."""
    for _ in range(_LOOKS):
        listed = part_keys(project, stored.record.harness, stored.record.session_id)
        stored = _newest(project, stored)
        damaged = find_damaged(project, stored.record, stored.record.parts)
        # A part that is gone may have been compacted since.
        if not any(one.what == "missing" for one in damaged) or _newest(project, stored).etag == stored.etag:
            break
    manifest = stored.record
    return Verified(
        stored,
        damaged,
        [hole for name in manifest.streams() for hole in _holes(project, stored, name)],
        sorted(set(listed) - named(project.layout, manifest)),
        sum(not part.sha256 for part in manifest.parts),
    )


def repair(project: Project, found: Verified) -> Verified:
    """Sweep what nobody names, and name no longer what is damaged. Returns how it is then.

    A damaged part's object stays where it is until the next sweep.
    """
    stored = changed(project, found.stored, lambda now: sweep(project, now)[0]) if found.leftover else found.stored
    if found.damaged:
        stored = changed(project, stored, lambda now: _without_damaged(project, now, found.damaged))
    return Verified(
        stored,
        [],
        [hole for name in stored.record.streams() for hole in _holes(project, stored, name)],
        [],
        found.unvouched,
    )


def find_damaged(project: Project, manifest: Manifest, parts: Sequence[Part]) -> Sequence[Damaged]:
    return [
        Damaged(part_key(project.layout, manifest, one.part), one.damage, one.part)
        for one in fetch(project, manifest, parts)
        if one.damage
    ]


def _without_damaged(project: Project, stored: Stored[Manifest], damaged: Sequence[Damaged]) -> Stored[Manifest]:
    """The manifest without the parts that are still named and found damaged once more."""
    ids = {(one.part.seq, one.part.uuid) for one in damaged}
    suspects = [part for part in stored.record.parts if (part.seq, part.uuid) in ids]
    lost = {one.key for one in find_damaged(project, stored.record, suspects)}
    if not lost:
        return stored
    kept = [part for part in stored.record.parts if part_key(project.layout, stored.record, part) not in lost]
    return commit(project.store, stored.key, counted(msgspec.structs.replace(stored.record, parts=kept)), stored)


def _holes(project: Project, stored: Stored[Manifest], name: str) -> Sequence[Hole]:
    """What is missing of a stream as it is read now. Older generations do not matter any more."""
    return [Hole(name, gap.start, gap.end) for gap in Stream(project, stored, name).gaps()]


def _newest(project: Project, stored: Stored[Manifest]) -> Stored[Manifest]:
    now = read(project.store, stored.key, Manifest)
    if now is None or not is_there(now.record):
        raise Missing(f"the session {stored.record.session_id} was deleted", hint="tracecraft session list")
    check(project.layout, now)
    return now
