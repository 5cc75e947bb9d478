"""Keeps the index small: loose entries of writers that ended are folded into segments, small segments are merged.

Nobody is in charge of it: every 64th writer does it when it ends, and readers that find many loose entries. What is
moved is written to its new place before it goes from the old one, so a process that dies in between leaves entries
twice, where they count once. Two who do the same at once do no harm for the same reason. An entry is never written
again after it said `ended`. That of a writer which fell silent may be: it is looked at once more before it goes, and
a writer that comes back all the same writes it anew within seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from random import sample
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tracecraft.errors import NotFound, StoreError
from tracecraft.runs.index import IndexEntry, Loose, encode, newest, read_loose, read_segments, split
from tracecraft.store import Info, delete_many

if TYPE_CHECKING:
    from tracecraft.project import Project

MANY_LOOSE = 256
"""Loose entries above which a reader folds them."""
MANY_SEGMENTS = 16
"""Segments below half the size of a full one above which they are merged."""
SEGMENT_BYTES = 4 << 20
"""Bytes of a segment, so that one request of it is answered in time on a slow line."""
OLD = 86400.0
"""Seconds after which the entry of a writer that never ended is folded too."""

_FEWEST = 16
_MOST = 2000
_TURN = 64


class Compacted(NamedTuple):
    """How many loose entries were folded, and how many segments were merged."""

    entries: int
    segments: int


def compact_when_ended(project: Project, writer: str) -> None:
    """What a writer does for the index when it ends: nothing mostly. Never fails."""
    if int(writer, 16) % _TURN == 0:
        compact_quietly(project)


def compact_if_many(project: Project, uncollected: int) -> None:
    """What a reader does for the index after it listed runs. Never fails."""
    if uncollected > MANY_LOOSE:
        compact_quietly(project)


def compact_quietly(project: Project) -> None:
    """Compact if that can be done. Who lists runs may not be allowed to write, and needs nothing of this."""
    with suppress(StoreError):
        compact(project)


def compact(project: Project) -> Compacted:
    """Fold what may be folded, at most 2,000 entries, and merge segments. Raises StoreError, with nothing lost."""
    listed = list(project.store.list(project.layout.run_index()))
    loose, segments = split(project, listed)
    # Any of them: were it the oldest, those of writers that were killed would be in the way for a day.
    some = sample(loose, min(len(loose), _MOST))
    now = max((info.modified for info in listed), default=0.0)
    done = [found for found in read_loose(project, some) if found.entry.ended or found.info.modified < now - OLD]
    folded = _fold(project, done) if len(done) >= _FEWEST else 0
    small = [info for info in segments if info.size < SEGMENT_BYTES // 2]
    return Compacted(folded, _merge(project, small) if len(small) > MANY_SEGMENTS else 0)


def write_segments(project: Project, entries: Iterable[IndexEntry]) -> None:
    """Write entries into new segments. All of them are there when this returns."""
    for data in _filled(entries):
        project.store.put(project.layout.run_index_segment(), data)


def without_deleted(entries: Iterable[IndexEntry]) -> list[IndexEntry]:
    """The entries that count; of a deleted run only those that say so."""
    found = newest(entries).values()
    deleted = {entry.run for entry in found if entry.head.deleted}
    return [entry for entry in found if entry.head.deleted or entry.run not in deleted]


def remove_loose(project: Project, found: Sequence[Loose]) -> int:
    """Delete loose entries that are in a segment now, but for those that were written again since they were read."""
    unchanged = project.store.together([partial(_is_as_read, project, one) for one in found])
    going = [one.info.key for one, same in zip(found, unchanged, strict=True) if same]
    delete_many(project.store, going)
    return len(going)


def _fold(project: Project, done: Sequence[Loose]) -> int:
    entries = [msgspec.structs.replace(found.entry, modified=found.info.modified) for found in done]
    write_segments(project, without_deleted(entries))
    return remove_loose(project, done)


def _is_as_read(project: Project, found: Loose) -> bool:
    """Whether a loose entry is still what was read. Of a writer that ended nobody needs to ask."""
    if found.entry.ended:
        return True
    try:
        return project.store.head(found.info.key).etag == found.info.etag
    except NotFound:
        return False


def _merge(project: Project, infos: Sequence[Info]) -> int:
    """Write the entries of segments into fewer. One in which something cannot be read stays as it is."""
    read = read_segments(project, infos)
    broken = {error.fields.get("key") for error in project.broken}
    whole = {key: entries for key, entries in read.items() if key not in broken}
    write_segments(project, without_deleted(entry for entries in whole.values() for entry in entries))
    delete_many(project.store, whole)
    return len(whole)


def _filled(entries: Iterable[IndexEntry]) -> Iterator[bytes]:
    """The bytes of segments, each as full as it may be."""
    lines: list[bytes] = []
    size = 0
    for line in map(encode, entries):
        if lines and size + len(line) > SEGMENT_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield b"".join(lines)
