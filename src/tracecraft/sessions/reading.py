"""Reads a stream of a mirrored session: its bytes, its lines and its messages, in bounded memory.

What is read is the concatenation of the generation's parts, which compaction keeps the same byte for byte. So a reader
that misses a part looks at the manifest again and goes on at the same place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tracecraft.errors import Corrupt, Missing
from tracecraft.records import Stored, read
from tracecraft.sessions.fetching import Ahead, fetch
from tracecraft.sessions.finding import check, is_there
from tracecraft.sessions.harness import MAIN, Harness, is_text
from tracecraft.sessions.lines import parse
from tracecraft.sessions.manifest import Generation, Manifest, Part, part_key
from tracecraft.sessions.message import Entry, Message
from tracecraft.sessions.splitting import Line, LongLine, Splitter

if TYPE_CHECKING:
    from tracecraft.project import Project

LONGEST_LINE = 16 << 20
"""Bytes of the longest line that is looked into; longer ones are named, and kept as they are where bytes are wanted."""

_LOOKS = 20
_LAST_BYTES = 64 << 10
_MUCH = 1 << 20


class Gap(NamedTuple):
    """Bytes of the source that are missing between two parts. Where they are there twice, `end` is before `start`."""

    start: int
    end: int


class Stream:
    """One stream of a session as its newest generation has it. `at` is how many bytes of it were read.

    All that reads raises Corrupt for a part that is lost or is not what was uploaded, and Missing when the session was
    deleted meanwhile.
    """

    def __init__(
        self, project: Project, stored: Stored[Manifest], name: str = MAIN, *, ahead: Ahead | None = None
    ) -> None:
        if name not in stored.record.streams():
            raise Missing(
                f"the session {stored.record.session_id} has no stream {name!r}",
                hint=f"tracecraft session show {stored.record.session_id} names those it has",
            )
        self._project = project
        self._ahead = ahead
        self.stored = stored
        self.name = name
        self.g = generation_number(stored.record, name)
        self.at = 0

    @property
    def manifest(self) -> Manifest:
        return self.stored.record

    @property
    def generation(self) -> Generation | None:
        """The generation that is read; None for what 0.2.x wrote."""
        return None if self.g is None else self.manifest.generation(self.g)

    @property
    def parts(self) -> Sequence[Part]:
        return self.manifest.parts_of(self.g)

    @property
    def size(self) -> int:
        """Bytes of the stream, as stored."""
        return sum(part.uploaded_bytes for part in self.parts)

    @property
    def is_text(self) -> bool:
        """Whether it is text, and not one record a line."""
        return self.generation is not None and is_text(self.name, whole=self.generation.whole)

    def gaps(self) -> Sequence[Gap]:
        """What is missing of the source, where 0.2.x or `verify --repair` took parts out."""
        generation = self.generation
        if generation is None:
            return []
        found, at = [], 0
        for part in self.parts:
            if part.span[0] != at:
                found.append(Gap(at, part.span[0]))
            at = part.span[1]
        return found if at == generation.end else [*found, Gap(at, generation.end)]

    def chunks(self, start: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` on; without it, those that were not read yet."""
        if start is not None:
            self.at = start
        for _ in range(_LOOKS):
            lost = yield from self._read_on()
            if lost is None:
                return
            self._look_again(lost)
        raise Corrupt(f"the parts of {self.manifest.session_id} change all the time", hint="try again later")

    def lines(self, start: int | None = None) -> Iterator[Line]:
        """The lines, without their newlines."""
        splitter = Splitter(LONGEST_LINE)
        for chunk in self.chunks(start):
            yield from splitter.feed(chunk)
        yield from splitter.end()

    def start_of_last(self, count: int) -> int:
        """Where the last so many lines begin."""
        for start in self.starts():
            ends: deque[int] = deque([start] if start == 0 else [], maxlen=count + 1)
            at = start
            for chunk in self.chunks(start):
                ends.extend(_ends(chunk, at, count + 1))
                at += len(chunk)
            if ends and ends[-1] != at:
                ends.append(at)  # the last line has no newline
            if len(ends) == count + 1 or start == 0:
                return ends[0]
        return 0

    def starts(self) -> Iterator[int]:
        """Where to begin reading to see the last of the stream: each time further ahead, at last at the beginning."""
        wanted = _LAST_BYTES
        while True:
            start, kept = self.size, 0
            for part in reversed(self.parts):
                if kept >= wanted:
                    break
                start, kept = start - part.uploaded_bytes, kept + part.uploaded_bytes
            yield max(0, start)
            if start <= 0:
                return
            wanted = kept * (8 if kept < _MUCH else 2)

    def grow(self, stored: Stored[Manifest]) -> bool:
        """Take a newer manifest; returns whether the stream was begun anew meanwhile, to be read from its start."""
        self.stored = stored
        g = generation_number(stored.record, self.name)
        if g == self.g:
            return False
        self.g, self.at = g, 0
        return True

    def _read_on(self) -> Generator[bytes, None, Part | None]:
        """Yields what is left; returns the part that is gone, if one is."""
        behind, skip = self._behind(self.at)
        for part, chunks, damage in fetch(self._project, self.manifest, behind, self._ahead):
            if damage == "missing":
                return part
            if damage:
                raise _corrupt(part_key(self._project.layout, self.manifest, part), self.manifest.session_id)
            for chunk in chunks:
                fresh = chunk[skip:] if skip else chunk
                skip = max(0, skip - len(chunk))
                self.at += len(fresh)
                if fresh:
                    yield fresh
        return None

    def _behind(self, at: int) -> tuple[Sequence[Part], int]:
        """The parts that hold what follows a place, and how many bytes of the first one come before it."""
        for index, part in enumerate(self.parts):
            if at < part.uploaded_bytes:
                return self.parts[index:], at
            at -= part.uploaded_bytes
        return [], 0

    def _look_again(self, lost: Part) -> None:
        """Know the manifest that took the part's place. Raises Missing, and Corrupt when nothing did."""
        before = self.stored
        stored = read(self._project.store, before.key, Manifest)
        if stored is None or not is_there(stored.record):
            raise Missing(f"the session {self.manifest.session_id} was deleted", hint="tracecraft session list")
        if stored.etag == before.etag:
            raise _corrupt(part_key(self._project.layout, self.manifest, lost), self.manifest.session_id)
        check(self._project.layout, stored)
        self.stored = stored
        if self.size < self.at:
            raise Missing(f"the session {self.manifest.session_id} was begun anew", hint="repeat the command")


def entries(harness: Harness, line: Line) -> Sequence[Entry]:
    """What a line means; nothing, where it cannot be understood."""
    if isinstance(line, LongLine):
        return [Message(role="system", text=f"(a line of {line.size} bytes is too long to be shown)")]
    record = parse(line)
    if record is None:
        return []
    try:
        return list(harness.normalise(record))
    except Exception:  # a record may be as odd as it likes; the others are understood all the same
        return []


def messages(harness: Harness, lines: Iterable[Line]) -> Iterator[Message]:
    """What was said in lines."""
    for line in lines:
        for entry in entries(harness, line):
            if isinstance(entry, Message):
                yield entry


def last_messages(harness: Harness, stream: Stream, count: int) -> Sequence[Message]:
    """The last so many messages of a stream, reading no more than it takes."""
    last: deque[Message] = deque(maxlen=count)
    for start in stream.starts():
        last.clear()
        last.extend(messages(harness, stream.lines(start)))
        if len(last) == count:
            break
    return last


def generation_number(manifest: Manifest, stream: str) -> int | None:
    """Which generation a stream is read from; None for what 0.2.x wrote."""
    parts = manifest.latest(stream)
    current = manifest.current(stream)
    return parts[0].g if parts else current.g if current else None


def _ends(chunk: bytes, at: int, most: int) -> Sequence[int]:
    """Where the last so many lines of a chunk end, which begins at a place."""
    found: list[int] = []
    before = len(chunk)
    while len(found) < most and (before := chunk.rfind(b"\n", 0, before)) >= 0:
        found.append(at + before + 1)
    return found[::-1]


def _corrupt(key: str, session_id: str) -> Corrupt:
    return Corrupt(
        f"{key} is missing or not what was uploaded", hint=f"tracecraft session verify {session_id} --repair", key=key
    )
