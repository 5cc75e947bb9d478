"""Keeps the parts of a session few: neighbours become one part, with the same bytes, in the first one's place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tracecraft import clock
from tracecraft.errors import Conflict, Corrupt, StoreError
from tracecraft.records import Stored, commit, read
from tracecraft.sessions.manifest import Manifest, Part, part_key
from tracecraft.sessions.parts import merge_parts
from tracecraft.sessions.sweeping import sweep
from tracecraft.store import delete_many

if TYPE_CHECKING:
    from tracecraft.project import Project

LARGEST = 8 << 20
"""Bytes up to which parts are merged."""

_TIERS = ((0, 64 << 10, 16), (64 << 10, 1 << 20, 16), (1 << 20, LARGEST, 4))
"""Parts of at least and below so many bytes are merged without being asked when so many of them are neighbours. Only
parts of like size are: so a long session's growth writes each byte a few times, and not again with every merge."""

Run = Sequence[Part]


def compact_if_many(project: Project, stored: Stored[Manifest]) -> Stored[Manifest]:
    """Merge where small parts have become many. Failing to is no error: the next flush will."""
    runs = [
        run for at_least, below, count in _TIERS for run in _runs(stored.record, at_least, below) if len(run) >= count
    ]
    if not runs:
        return stored
    try:
        return merge(project, stored, runs[:1])
    except (Conflict, StoreError, Corrupt):
        return stored


def compact(project: Project, stored: Stored[Manifest], keep_tail: int = 0) -> Stored[Manifest]:
    """Merge all neighbours but the last `keep_tail` parts of each generation, and sweep. Raises Conflict, Corrupt."""
    kept = {
        part.uuid
        for generation in stored.record.generations
        for part in stored.record.parts_of(generation.g)[-keep_tail:]
        if keep_tail
    }
    runs = [
        run
        for whole in _runs(stored.record, 0, LARGEST)
        if len(run := [part for part in whole if part.uuid not in kept]) > 1
    ]
    stored = merge(project, stored, runs) if runs else stored
    return sweep(project, stored)[0]


def merge(project: Project, stored: Stored[Manifest], runs: Sequence[Run]) -> Stored[Manifest]:
    """Replace each run by one part. Raises Conflict, with nothing changed, when somebody else changed the manifest."""
    manifest = stored.record
    made = {run[0].uuid: _merged(project, stored, run) for run in runs}
    replaced = {part.uuid: part for run in runs for part in run}
    parts = [made.get(part.uuid, part) for part in manifest.parts if part.uuid in made or part.uuid not in replaced]
    try:
        stored = commit(project.store, stored.key, msgspec.structs.replace(manifest, parts=parts), stored)
    except Conflict:
        delete_many(project.store, _keys(project, manifest, made.values()))
        raise
    with suppress(StoreError):
        delete_many(project.store, _keys(project, manifest, replaced.values()))
    return stored


def _merged(project: Project, stored: Stored[Manifest], run: Run) -> Part:
    """The run as one part, uploaded."""
    manifest = stored.record
    first, last = run[0], run[-1]
    key_of = partial(project.layout.part, manifest.harness, manifest.session_id, first.seq)
    short_id, sha256 = merge_parts(project.store, key_of, _contents(project, stored, run))
    redactions: Counter[str] = Counter()
    for part in run:
        redactions.update(part.redactions)
    return msgspec.structs.replace(
        first,
        uuid=short_id,
        cursor_range=(first.span[0], last.span[1]),
        source_bytes=sum(part.source_bytes for part in run),
        uploaded_bytes=sum(part.uploaded_bytes for part in run),
        redactions=dict(redactions),
        uploaded_at=clock.now(),
        sha256=sha256,
        lines=sum(part.lines for part in run),
        ruleset=first.ruleset if all(part.ruleset == first.ruleset for part in run) else None,
    )


def _contents(project: Project, stored: Stored[Manifest], run: Run) -> Iterator[bytes]:
    """The parts' bytes, each part checked before it is used. Raises Corrupt, and Conflict for what is there no more."""
    from tracecraft.sessions.fetching import fetch  # slow to import, and few flushes compact

    for part, chunks, damage in fetch(project, stored.record, run):
        if damage:
            raise _damaged(project, stored, part)
        yield from chunks


def _damaged(project: Project, stored: Stored[Manifest], part: Part) -> Exception:
    """A part that somebody else has merged meanwhile is no damage."""
    now = read(project.store, stored.key, Manifest)
    if now is None or now.etag != stored.etag:
        return Conflict(stored.key)
    return Corrupt(
        f"{part_key(project.layout, stored.record, part)} is missing or not what was uploaded",
        hint=f"tracecraft session verify {stored.record.session_id} --repair",
    )


def _runs(manifest: Manifest, at_least: int, below: int) -> Iterator[Run]:
    """Neighbours in one generation, all of a size between these, that fit into one part; two or more at a time."""
    for generation in manifest.generations:
        run: list[Part] = []
        for part in manifest.parts_of(generation.g):
            alike = at_least <= part.uploaded_bytes < below
            if run and not (alike and _fits(run, part)):
                if len(run) > 1:
                    yield run
                run = []
            if alike:
                run.append(part)
        if len(run) > 1:
            yield run


def _fits(run: Run, part: Part) -> bool:
    """Whether a part may join a run. Where something is missing between them, merging would hide that."""
    size = sum(known.uploaded_bytes for known in run) + part.uploaded_bytes
    return size <= LARGEST and part.span[0] == run[-1].span[1]


def _keys(project: Project, manifest: Manifest, parts: Iterable[Part]) -> Sequence[str]:
    return [part_key(project.layout, manifest, part) for part in parts]
