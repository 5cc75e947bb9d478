"""The log of a run as it lies in the store: fragments of every writer, each line of them once.

Writers merge small fragments into larger ones while others read. A reader takes what a listing showed; where a fragment
went away, or the listing has a hole because it was made during a merge, it lists again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from heapq import merge
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from tracecraft.errors import NotFound
from tracecraft.layout import FragmentKey
from tracecraft.runs.log import Line, decode
from tracecraft.store import Info, get_many

if TYPE_CHECKING:
    from tracecraft.project import Project

WAVE = 16 << 20
"""Bytes of fragments that are fetched at a time."""

_MOST = 256
_IN_MEMORY = 32 << 20
_CHUNK, _SMALLEST_CHUNK = 1 << 16, 1 << 12
_TRIES = 5


class Gap(NamedTuple):
    """Lines of a writer that are nowhere, from the first to the last one."""

    writer: str
    first: int
    last: int


class Read(NamedTuple):
    """A line with whose it is and its bytes."""

    writer: str
    line: Line
    data: bytes


class _Place(NamedTuple):
    """Where a fragment lies in the file that holds what was fetched."""

    offset: int
    size: int


class Log:
    """The log of a run as it is when this is made. What was fetched is in memory while it is little, else in a file.

    `gaps` and `broken` tell what was missing and unreadable of what has been read so far.
    """

    def __init__(self, project: Project, run: str) -> None:
        self._project = project
        self._run = run
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (lives as this does)
        self._places: dict[FragmentKey, _Place] = {}
        self._end = 0
        self._gaps: dict[Gap, None] = {}
        self._broken: dict[str, None] = {}
        self._chosen = self._fetch()
        self._chunk = max(_SMALLEST_CHUNK, min(_CHUNK, _IN_MEMORY // max(1, len(self.writers))))

    @property
    def gaps(self) -> Sequence[Gap]:
        return list(self._gaps)

    @property
    def broken(self) -> Sequence[str]:
        return list(self._broken)

    @property
    def writers(self) -> Sequence[str]:
        """Who wrote into the run, in order of their ids."""
        return sorted(self._chosen)

    def of_writer(self, writer: str) -> Iterator[Read]:
        """One writer's lines in their order, each once."""
        taken = 0
        for key in self._chosen[writer]:
            for data in self._lines_of(key):
                line = decode(data)
                if line is None or line.id < 1:
                    self._name_broken(key)
                    continue
                if line.id <= taken:
                    continue
                self._expect(writer, taken + 1, line.id - 1)
                taken = line.id
                yield Read(writer, line, data)
            self._expect(writer, taken + 1, key.last)
            taken = max(taken, key.last)

    def in_order(self) -> Iterator[Read]:
        """All lines by time. Lines of one writer stay in their order even where its clock was set back."""
        for _, _, _, found in merge(*map(self._timed, self.writers)):
            yield found

    def _timed(self, writer: str) -> Iterator[tuple[float, str, int, Read]]:
        latest = float("-inf")
        for found in self.of_writer(writer):
            latest = max(latest, found.line.at)
            yield latest, writer, found.line.id, found

    def _fetch(self) -> dict[str, list[FragmentKey]]:
        """Get every fragment that is needed, listing again while that shows more than before."""
        before: set[FragmentKey] = set()
        for _ in range(_TRIES):
            listed = self._list()
            chosen = {writer: _without_covered(keys) for writer, keys in _by_writer(listed).items()}
            self._get([(key, listed[key]) for keys in chosen.values() for key in keys if key not in self._places])
            missing = any(key not in self._places for keys in chosen.values() for key in keys)
            if not missing and (listed.keys() == before or not any(map(_has_holes, chosen.values()))):
                break
            before = set(listed)
        return {
            writer: there
            for writer, keys in chosen.items()
            if (there := [key for key in keys if key in self._places or self._name_gone(key)])
        }

    def _list(self) -> dict[FragmentKey, Info]:
        layout = self._project.layout
        found = self._project.store.list(layout.run_logs(self._run))
        return {key: info for info in found if (key := layout.fragment_of(info.key, self._run)) and _is_range(key)}

    def _get(self, wanted: Sequence[tuple[FragmentKey, Info]]) -> None:
        for wave in _waves(wanted):
            if len(wave) == 1 and wave[0][1].size > WAVE:
                self._get_large(*wave[0])
                continue
            found = get_many(self._project.store, (info.key for _, info in wave))
            for key, info in wave:
                if info.key in found:
                    self._keep(key, [found[info.key].data])

    def _get_large(self, key: FragmentKey, info: Info) -> None:
        with tempfile.TemporaryDirectory(prefix="tracecraft-") as folder:
            path = Path(folder) / "fragment"
            try:
                self._project.store.download(info.key, path, lambda _chunk: None)
            except NotFound:
                return
            with open(path, "rb") as file:
                self._keep(key, iter(lambda: file.read(1 << 20), b""))

    def _keep(self, key: FragmentKey, chunks: Iterator[bytes] | Sequence[bytes]) -> None:
        self._file.seek(self._end)
        size = sum(self._file.write(chunk) for chunk in chunks)
        self._places[key] = _Place(self._end, size)
        self._end += size

    def _lines_of(self, key: FragmentKey) -> Iterator[bytes]:
        """The lines of a fragment, without their ends."""
        if key not in self._places:
            return
        offset, size = self._places[key]
        end, rest = offset + size, b""
        while offset < end:
            self._file.seek(offset)
            data = self._file.read(min(self._chunk, end - offset))
            offset += len(data)
            *whole, rest = (rest + data).split(b"\n")
            yield from filter(None, whole)
        if rest:
            yield rest

    def _expect(self, writer: str, first: int, last: int) -> None:
        if first <= last:
            self._gaps[Gap(writer, first, last)] = None

    def _name_broken(self, key: FragmentKey) -> None:
        self._tell(f"{self._key(key)} holds what is no line of a log")

    def _name_gone(self, key: FragmentKey) -> bool:
        self._tell(f"{self._key(key)} is listed but not there")
        return True

    def _key(self, key: FragmentKey) -> str:
        return self._project.layout.fragment(self._run, key.writer, key.first, key.last)

    def _tell(self, text: str) -> None:
        self._broken[text] = None


def _by_writer(listed: dict[FragmentKey, Info]) -> dict[str, list[FragmentKey]]:
    found: dict[str, list[FragmentKey]] = {}
    for key in listed:
        found.setdefault(key.writer, []).append(key)
    return found


def _without_covered(keys: Sequence[FragmentKey]) -> list[FragmentKey]:
    """The fragments that hold a line which none before them holds."""
    chosen: list[FragmentKey] = []
    for key in sorted(keys, key=lambda key: (key.first, -key.last)):
        if not chosen or key.last > chosen[-1].last:
            chosen.append(key)
    return chosen


def _has_holes(keys: Sequence[FragmentKey]) -> bool:
    expected = 1
    for key in keys:
        if key.first > expected:
            return True
        expected = key.last + 1
    return False


def _is_range(key: FragmentKey) -> bool:
    return 1 <= key.first <= key.last


def _waves(wanted: Sequence[tuple[FragmentKey, Info]]) -> Iterator[list[tuple[FragmentKey, Info]]]:
    """The same, as many at a time as may be in memory; a larger one is alone."""
    wave: list[tuple[FragmentKey, Info]] = []
    size = 0
    for key, info in wanted:
        if wave and (size + info.size > WAVE or len(wave) == _MOST):
            yield wave
            wave, size = [], 0
        wave.append((key, info))
        size += info.size
    if wave:
        yield wave
