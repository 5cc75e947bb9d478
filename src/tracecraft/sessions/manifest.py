"""The manifest of a mirrored session: the only truth of what is mirrored. A part it does not name does not exist.

A session consists of streams (the conversation, its subagents, files that belong to it). A stream is mirrored in
generations: a generation is one continuous reading of one source from its first byte to `end`, and a source that was
rewritten begins another. Its parts, in the order of the manifest, cover it without gap or overlap.

Every change is a conditional write of the whole manifest, so two mirrorers can never both append at one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft.records import Record, Versioned
from tracecraft.sessions.harness import MAIN

if TYPE_CHECKING:
    from tracecraft.layout import Layout


class Part(Record, omit_defaults=False):
    """A piece of one generation, as an object of its own: whole lines, `cursor_range` bytes of the source.

    `sha256` and `uploaded_bytes` are of what was uploaded, after redaction; of the source there is no checksum, for
    with one a redacted password could be guessed. 0.2.x writes parts without `g`, and compacted ones without a range.
    """

    seq: int
    uuid: str
    cursor_range: tuple[int, int] | None = None
    source_bytes: int = 0
    uploaded_bytes: int = 0
    redactions: dict[str, int] = msgspec.field(default_factory=dict)
    uploaded_at: str = ""
    g: int | None = None
    sha256: str = ""
    lines: int = 0
    ruleset: str | None = None

    @property
    def span(self) -> tuple[int, int]:
        """The bytes of the source that it holds; what 0.2.x compacted does not tell, and counts as nothing."""
        return self.cursor_range or (0, 0)


class Origin(Record, omit_defaults=False):
    """Where a generation was read. It helps people, and helps to find one's own generation; it decides nothing."""

    machine: str = ""
    path: str = ""
    inode: int = 0


class Generation(Record, omit_defaults=False):
    """One continuous reading of a stream's source: bytes 0 to `end`, where `cursor` goes on.

    `fold` is what was counted in it so far (see `statistics.Fold`).
    """

    g: int
    stream: str = MAIN
    source: Origin = msgspec.field(default_factory=Origin)
    end: int = 0
    cursor: dict[str, Any] = msgspec.field(default_factory=dict)
    whole: bool = False
    opened_at: str = ""
    fold: dict[str, Any] = msgspec.field(default_factory=dict)


class Manifest(Versioned, omit_defaults=False):
    """`meta.json` of a session. 0.2.x writes null for a folder or agent that it does not know.

    A manifest with `deleted_at` stays behind of a session that was deleted, so that no mirrorer brings it back.
    """

    schema_version: int = 1
    harness: str = ""
    session_id: str = ""
    source_path: str = ""
    cwd: str | None = ""
    agent_id: str | None = ""
    started_at: str = ""
    last_uploaded_at: str | None = None
    ended_at: str | None = None
    total_source_bytes: int = 0
    total_uploaded_bytes: int = 0
    redaction_counts: dict[str, int] = msgspec.field(default_factory=dict)
    parts: list[Part] = msgspec.field(default_factory=list)
    generations: list[Generation] = msgspec.field(default_factory=list)
    deleted_at: str | None = None
    run: str | msgspec.UnsetType = msgspec.UNSET
    """The run that was current when it was mirrored last within one."""

    def generation(self, g: int) -> Generation | None:
        return next((known for known in self.generations if known.g == g), None)

    def parts_of(self, g: int | None) -> Sequence[Part]:
        """The parts of a generation in order; of None, those that 0.2.x wrote."""
        return [part for part in self.parts if part.g == g]

    def streams(self) -> Sequence[str]:
        """Every stream, the main one first."""
        names = {generation.stream for generation in self.generations}
        if self.parts_of(None):
            names.add(MAIN)
        return sorted(names)

    def current(self, stream: str) -> Generation | None:
        """The generation that a stream consists of now: its newest one of which nothing is missing.

        Where something is missing of every one, the newest: what is left of it can be read.
        """
        known = [made for made in self.generations if made.stream == stream]
        return max(known, key=lambda made: (self.is_complete(made), made.g), default=None)

    def latest(self, stream: str) -> Sequence[Part]:
        """The parts that make up a stream now: of its generation, or what 0.2.x wrote if it wrote last or has more."""
        newest = self.current(stream)
        by_02 = self.parts_of(None) if stream == MAIN else []
        if by_02 and (newest is None or self.last_by_02 or not self.is_complete(newest)):
            return by_02
        return self.parts_of(newest.g) if newest else []

    @property
    def last_by_02(self) -> bool:
        """Whether 0.2.x appended after us, or alone."""
        return bool(self.parts) and self.parts[-1].g is None

    def is_complete(self, generation: Generation) -> bool:
        """Whether the parts cover the generation from 0 to its end. Another program's rewriting may have lost some."""
        at = 0
        for part in self.parts_of(generation.g):
            if part.span[0] != at:
                return False
            at = part.span[1]
        return at == generation.end

    def may_continue(self, generation: Generation) -> bool:
        """Whether one may append to the generation: nothing of it is missing, and 0.2.x did not write after it."""
        return self.is_complete(generation) and not self.last_by_02

    def next_seq(self) -> int:
        return max((part.seq for part in self.parts), default=-1) + 1

    def next_generation(self) -> int:
        return max((known.g for known in self.generations), default=0) + 1


def part_key(layout: Layout, manifest: Manifest, part: Part) -> str:
    """The key of a part that the manifest names."""
    return layout.part(manifest.harness, manifest.session_id, part.seq, part.uuid)


def counted(manifest: Manifest) -> Manifest:
    """The manifest with its totals counted anew from its parts."""
    redactions: dict[str, int] = {}
    for part in manifest.parts:
        for rule, count in part.redactions.items():
            redactions[rule] = redactions.get(rule, 0) + count
    return msgspec.structs.replace(
        manifest,
        total_source_bytes=sum(part.source_bytes for part in manifest.parts),
        total_uploaded_bytes=sum(part.uploaded_bytes for part in manifest.parts),
        redaction_counts=redactions,
    )
