"""The index: for every writer of every run one entry with what it comes to, so that lists need not read logs.

It can always be made anew from the runs, and is never the truth about one. A living writer rewrites its entry as its
sign of life. Entries of those that ended are collected into segments (`compacting.py`).

An entry may be in several places at a time, and its newest version counts. Whoever moves entries writes the new place
before the old one goes. So a reader misses none that looks at the old places first, and at the new ones until a listing
shows no more of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tracecraft.errors import BrokenRecord
from tracecraft.layout import is_segment
from tracecraft.runs.meta import Head
from tracecraft.runs.summary import Summary

if TYPE_CHECKING:
    from tracecraft.project import Project
    from tracecraft.store import Info

OUTSIDE = "_"
"""Stands for the writer of entries that no process of the run wrote."""

_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_WAVE = 64 << 20
_TRIES = 8


class IndexEntry(msgspec.Struct, omit_defaults=True):
    """What one writer knows of a run. `rev` counts its versions; `at` is RFC 3339; `ended` says there will be no more.

    An entry of a writer named `_` was made by whoever deleted the run, or made the index anew. `modified` stands in
    segments: when the entry was last written, by the store's clock.
    """

    run: str
    writer: str
    rev: int = 0
    at: str = ""
    ended: bool = False
    head: Head = msgspec.field(default_factory=Head)
    summary: Summary = msgspec.field(default_factory=Summary)
    modified: float = 0.0


Name = tuple[str, str]
"""A run and a writer of it."""


class Loose(NamedTuple):
    """An entry that is an object of its own."""

    info: Info
    entry: IndexEntry


class Index(NamedTuple):
    """What a reader found: entries in any order, older versions among them, and how many loose ones may be folded."""

    entries: list[IndexEntry]
    ended: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(IndexEntry)


def encode(entry: IndexEntry) -> bytes:
    """The entry as one line, as it stands in a segment."""
    return _encoder.encode(entry) + b"\n"


def newest(entries: Iterable[IndexEntry]) -> dict[Name, IndexEntry]:
    """Of every writer's entries the one that counts. That a run was deleted counts before everything else."""
    found: dict[Name, IndexEntry] = {}
    for entry in entries:
        name = (entry.run, entry.writer)
        if name not in found or _rank(entry) > _rank(found[name]):
            found[name] = entry
    return found


def read_index(project: Project) -> Index:
    """All entries with `modified`. Broken ones go to `project.broken`."""
    layout = project.layout
    loose, segments = split(project, project.store.list(layout.run_index()))
    entries, ended = [], 0
    for found in read_loose(project, loose):
        found.entry.modified = found.info.modified
        entries.append(found.entry)
        ended += found.entry.ended
    known: set[str] = set()
    for _ in range(_TRIES):
        fresh = [info for info in segments if info.key not in known]
        known.update(info.key for info in fresh)
        for found_there in read_segments(project, fresh).values():
            entries.extend(found_there)
        segments = list(project.store.list(layout.run_index_segments()))
        if all(info.key in known for info in segments):
            break
    return Index(entries, ended)


def split(project: Project, listed: Iterable[Info]) -> tuple[list[Info], list[Info]]:
    """The loose entries and the segments in a listing of the index."""
    loose, segments = [], []
    for info in listed:
        if project.layout.run_entry_of(info.key) is not None:
            loose.append(info)
        elif info.key.startswith(project.layout.run_index_segments()) and info.key.endswith(".jsonl"):
            segments.append(info)
    return loose, segments


def read_loose(project: Project, infos: Sequence[Info]) -> Iterator[Loose]:
    """Loose entries that are still there, with the later of the times that the listing and the object show."""
    listed = {info.key: info.modified for info in infos}
    for key, item in project.get_listed(infos).items():
        try:
            entry = _decoder.decode(item.data)
        except _BROKEN as error:
            _name_broken(project, key, str(error))
            continue
        if (entry.run, entry.writer) == project.layout.run_entry_of(key):
            yield Loose(item.info._replace(modified=max(item.info.modified, listed[key])), entry)
        else:
            _name_broken(project, key, "it speaks of another")


def read_segments(project: Project, infos: Sequence[Info]) -> dict[str, list[IndexEntry]]:
    """The entries in segments that are still there, by the segments' keys."""
    found: dict[str, list[IndexEntry]] = {}
    for wave in _waves(infos):
        for key, item in project.get_listed(wave).items():
            found[key] = _lines(project, key, item.data)
    return found


def _lines(project: Project, key: str, data: bytes) -> list[IndexEntry]:
    try:
        entries = _decoder.decode_lines(data)
    except _BROKEN:
        entries = list(_readable(project, key, data))
    return [entry for entry in entries if is_segment(entry.run) and is_segment(entry.writer)]


def _readable(project: Project, key: str, data: bytes) -> Iterator[IndexEntry]:
    for line in filter(None, data.split(b"\n")):
        try:
            yield _decoder.decode(line)
        except _BROKEN as error:
            _name_broken(project, key, str(error))


def _name_broken(project: Project, key: str, why: str) -> None:
    """Once for each object."""
    if all(known.fields != {"key": key} for known in project.broken):
        project.broken.append(
            BrokenRecord(f"{key} is no part of an index of runs: {why}", hint="tracecraft run reindex", key=key)
        )


def _rank(entry: IndexEntry) -> tuple[bool, bool, int, str]:
    """The last one of a writer counts, whatever its number: who sends what a dead process left may not know how far
    that had counted."""
    return entry.head.deleted, entry.ended, entry.rev, entry.at


def _waves(infos: Sequence[Info]) -> Iterator[list[Info]]:
    """The same, as many bytes at a time as may be in memory as they are stored."""
    wave: list[Info] = []
    size = 0
    for info in infos:
        if wave and size + info.size > _WAVE:
            yield wave
            wave, size = [], 0
        wave.append(info)
        size += info.size
    if wave:
        yield wave
