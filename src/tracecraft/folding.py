"""Folds old events into segments: reads them, writes a segment, reads that back, and only then removes them.

A process that dies in between leaves events in both places, where they count once; the next one compares and removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from tracecraft import segments
from tracecraft.errors import NotFound
from tracecraft.events import Event
from tracecraft.records import decode_many
from tracecraft.segments import MOST_BYTES, MOST_EVENTS, day_of
from tracecraft.store import Info, delete_many, get_many
from tracecraft.tally import Tally

if TYPE_CHECKING:
    from tracecraft.project import Project

LARGEST = 256 << 10
"""Bytes of the largest event that is folded; larger ones gain nothing by it."""

_WAVE_EVENTS = 500
_WAVE_BYTES = 4 << 20
_LINE = 150
"""Bytes that a line has beside its event, about."""


def first_kept_day(now: float, older_than: float) -> int:
    """The first day whose events stay: whole days older than the limit go, but never yesterday or today."""
    return min(day_of(now - older_than), day_of(now) - 1)


def survey(project: Project, first_kept: int) -> Tally:
    """What folding would remove. Nothing is read but the listing, so broken events are not known yet."""
    tally = Tally()
    days = set()
    for info in _old_events(project, first_kept, tally):
        tally.add(info)
        days.add(day_of(info.modified))
    tally.counts["segments"] = len(days) + (tally.bytes + _LINE * tally.objects) // MOST_BYTES
    tally.requests = 2 * tally.objects + 2 * tally.counts["segments"]
    return tally


def fold(project: Project, first_kept: int) -> Tally:
    """Fold all events before a day, in memory that does not grow with their number."""
    return _Folding(project).run(first_kept)


def _old_events(project: Project, first_kept: int, tally: Tally) -> Iterator[Info]:
    """Events of days before the first that stays, both by their writer's clock and by the store's."""
    layout = project.layout
    for info in project.store.list(layout.events()):
        name = layout.event_of(info.key)
        if name is None or name.day is None:
            continue
        if name.day >= first_kept:
            return
        if day_of(info.modified) >= first_kept:
            continue
        if info.size > LARGEST:
            tally.kept["large"] += 1
        else:
            yield info


@dataclass
class _Day:
    """Events of one day on their way: `lines` to be written first, and all the objects that go then."""

    known: set[bytes]
    """Digests of the lines that earlier segments of the day hold."""
    lines: list[tuple[float, bytes]] = field(default_factory=list)
    objects: list[Info] = field(default_factory=list)
    bytes: int = 0


class _Folding:
    """One run over the old events. What waits to be written is at most one segment, of whatever days."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._tally = Tally()
        self._waiting: dict[int, _Day] = {}
        self._segments: dict[int, list[str]] = {}

    def run(self, first_kept: int) -> Tally:
        names = self._project.layout
        for info in self._project.store.list(names.event_segments()):
            day = names.event_segment_day(info.key)
            if day is not None:
                self._segments.setdefault(day, []).append(info.key)
        for wave in _waves(_old_events(self._project, first_kept, self._tally)):
            self._take(wave)
        while self._waiting:
            self._finish(min(self._waiting))
        return self._tally

    def _take(self, infos: list[Info]) -> None:
        """Read events and let them wait for their segments. One that is gone was folded by somebody else."""
        project = self._project
        found = get_many(project.store, [info.key for info in infos])
        whole = decode_many(found.values(), Event, project.broken)
        self._tally.requests += len(infos)
        for info in infos:
            if info.key in whole:
                self._wait(info, found[info.key].data)
            elif info.key in found:
                self._tally.kept["broken"] += 1
            if sum(day.bytes for day in self._waiting.values()) >= MOST_BYTES - LARGEST or self._count() >= MOST_EVENTS:
                self._finish(min(self._waiting))

    def _wait(self, info: Info, data: bytes) -> None:
        number = day_of(info.modified)
        if number not in self._waiting:
            self._waiting[number] = _Day(self._known(number))
        day = self._waiting[number]
        line = segments.make_line(info.key.removeprefix(self._project.layout.events()), info, data)
        day.objects.append(info)
        if _digest(line) not in day.known:
            day.lines.append((info.modified, line))
            day.bytes += len(line)

    def _count(self) -> int:
        return sum(len(day.objects) for day in self._waiting.values())

    def _known(self, number: int) -> set[bytes]:
        """What the segments of a day hold already, where a run before this one was stopped."""
        known = set()
        for key in self._segments.get(number, []):
            self._tally.requests += 1
            try:
                found = self._project.store.get(key)
            except NotFound:
                continue
            known |= {_digest(line) for line in found.data.splitlines(keepends=True)}
        return known

    def _finish(self, number: int) -> None:
        """Write what waits of a day, then remove its objects."""
        project, day = self._project, self._waiting.pop(number)
        if day.lines:
            self._segments.setdefault(number, []).append(
                segments.write(project, number, [line for _, line in sorted(day.lines)])
            )
            self._tally.counts["segments"] += 1
            self._tally.requests += 2
        delete_many(project.store, [info.key for info in day.objects])
        self._tally.requests += len(day.objects)
        for info in day.objects:
            self._tally.add(info)


def _waves(infos: Iterable[Info]) -> Iterator[list[Info]]:
    """The same in lists that may be read at once."""
    wave: list[Info] = []
    size = 0
    for info in infos:
        wave.append(info)
        size += info.size
        if len(wave) >= _WAVE_EVENTS or size >= _WAVE_BYTES:
            yield wave
            wave, size = [], 0
    if wave:
        yield wave


def _digest(line: bytes) -> bytes:
    return blake2b(line, digest_size=16).digest()
