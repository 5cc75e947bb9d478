"""Transcripts that are files of lines: read on from where one was, in whole lines, in bounded memory.

`LineHarness` does with these functions all that a harness does with such files; what is left to write is `discover` and
`normalise`. A file is opened once for each batch, so what happens to its name meanwhile does not matter, and what
happens to its content is noticed. A name that ends in `.zst` is read decompressed, and its offsets are those of the
decompressed stream, so they stay right when a harness compresses a file and when it decompresses it again.
"""

from __future__ import annotations

import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from tracecraft import layout
from tracecraft.errors import UsageError
from tracecraft.sessions.files import File, State, opened
from tracecraft.sessions.harness import MAIN, Batch, Bookmark, Cursor, Found, Machine, Restarted, Source
from tracecraft.sessions.message import Entry

_EDGE = 4096
_SOON = 1 << 16


class LineHarness(ABC):
    """A harness whose streams are files of lines. Its cursors are `{"end": bytes read}`, always behind a newline."""

    name: str

    @abstractmethod
    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]: ...

    @abstractmethod
    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]: ...

    def sources(self, found: Found) -> Sequence[Source]:
        return [Source(found.path)]

    def read_new(self, found: Found, source: Source, cursor: Cursor | None) -> Batch | None:
        file = opened(source.path, plain=source.whole)
        return read_whole(file, cursor) if source.whole else read_lines(file, _end(cursor))

    def bookmark(self, source: Source, cursor: Cursor) -> Bookmark:
        """What the file is now. Raises OSError."""
        return bookmark(opened(source.path, plain=source.whole), _end(cursor))

    def recognises(self, source: Source, cursor: Cursor, bookmark: Bookmark | None) -> bool | None:
        try:
            file = opened(source.path, plain=source.whole)
            if source.whole:
                return recognises_whole(file, cursor, bookmark)
            return recognises(file, _end(cursor), bookmark)
        except Restarted:
            return False
        except OSError:
            return None

    def read_again(self, source: Source, start: int, end: int) -> Iterator[bytes]:
        file = opened(source.path, plain=source.whole)
        left = end - start
        for chunk in file.chunks(start, end):
            left -= len(chunk)
            yield chunk
        if left:
            raise Restarted(f"{source.path} is shorter than it was")

    def process(self, machine: Machine, found: Found) -> int | None:
        return None

    def restored(self, machine: Machine, session_id: str, source_path: str, cwd: Path) -> Path | None:
        return None

    def stream_path(self, main: Path, stream: str) -> Path:
        """In a folder beside the main file, named like it without its ending. Raises UsageError if that leads out."""
        return main if stream == MAIN else below(main.with_suffix(""), stream)


def read_lines(file: File, end: int) -> Batch | None:
    """The whole lines behind `end`: as many as fit into memory at a time, or one that does not. Raises Restarted."""
    behind = _behind(file, end)
    kept: list[bytes] = []
    size = 0
    for chunk in behind:
        kept.append(chunk)
        size += len(chunk)
        if size >= file.batch:
            break
    if rest := _cut_behind_newline(kept):
        size -= len(rest[0])
        more = any(b"\n" in chunk for chunk in behind)
        return _batch(file, kept, end, size, more)
    return _long_line(file, end, kept, behind) if size >= file.batch else None


def read_whole(file: File, cursor: Cursor | None) -> Batch | None:
    """The whole file, or None when it is empty or was read already. Raises Restarted when its size is another one.

    Whether the same number of bytes are the same bytes is asked of `recognises_whole` before.
    """
    state = file.state()
    if cursor is not None:
        if cursor.get("end") != state.size:
            raise Restarted(f"{file.path} changed")
        return None
    now = {"end": state.size, "mtime_ns": state.mtime_ns}
    return Batch(_unchanged(file, state), state.size, now) if state.size else None


def bookmark(file: File, end: int) -> Bookmark:
    """The file's identity and state, and checksums of the first and the last bytes before `end`."""
    state = file.state()
    return {
        "inode": state.inode,
        "device": state.device,
        "end": end,
        "head": _checksum(file, 0, min(end, _EDGE)),
        "tail": _checksum(file, max(0, end - _EDGE), end),
        "mtime_ns": state.mtime_ns,
        "size": state.size,
    }


def recognises(file: File, end: int, before: Bookmark | None) -> bool | None:
    """Whether the file still begins with what it held up to `end` when the bookmark was made; None when unsure."""
    if before is None or before.get("end") != end:
        return None
    now = bookmark(file, end)
    if (now["head"], now["tail"]) != (before.get("head"), before.get("tail")):
        return False
    if any(now[name] != before.get(name) for name in ("inode", "device")):
        return None
    # Somebody may have written in the middle of a file that did not grow; one that grew was appended to.
    touched = now["size"] == before.get("size") and now["mtime_ns"] != before.get("mtime_ns")
    return None if touched else True


def recognises_whole(file: File, cursor: Cursor, before: Bookmark | None) -> bool | None:
    """The same for a file that was copied as a whole: it is known by the time when it was read, or compared since."""
    state = file.state()
    if cursor.get("end") != state.size:
        return False
    compared = before.get("mtime_ns") if before and before.get("end") == state.size else None
    return True if state.mtime_ns in (cursor.get("mtime_ns"), compared) else None


def first_lines(path: Path, limit: int) -> Iterator[bytes]:
    """The whole lines among the first `limit` bytes of a file. Little is read when only the first are asked for."""
    file = opened(path)
    soon = min(limit, _SOON)
    unfinished = b""
    for chunk in chain(file.chunks(0, soon), file.chunks(soon, limit)):
        *whole, unfinished = (unfinished + chunk).split(b"\n")
        yield from whole


def parse(line: bytes) -> dict[str, Any] | None:
    """The record in a line, or None when there is none in it.

    Harnesses cut texts anywhere, so half characters are no reason to lose the record: they are replaced.
    """
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        record = _parse_patiently(line)
    return record if isinstance(record, dict) else None


def below(folder: Path, relative: str) -> Path:
    """A path in a folder. Raises UsageError for one that would lead out of it."""
    parts = relative.split("/")
    if not all(layout.is_segment(part) for part in parts):
        raise UsageError(
            f"{relative!r} is no path within a session; nothing was written",
            hint="somebody else may have written this session's record: look at it before you use it",
        )
    return folder.joinpath(*parts)


def _end(cursor: Cursor | None) -> int:
    """Cursors come back from the store, where others could change them."""
    end = 0 if cursor is None else cursor.get("end")
    if type(end) is not int or end < 0:
        raise Restarted("the cursor is not one of a file of lines")
    return end


def _behind(file: File, end: int) -> Iterator[bytes]:
    """What the file holds behind `end`, which must still be behind a newline."""
    if not end:
        yield from file.chunks(0)
        return
    chunks = file.chunks(end - 1)
    first = next(chunks, b"")
    if not first.startswith(b"\n"):
        raise Restarted(f"{file.path} no longer has the lines that were read from it")
    yield from chain([first[1:]] if first[1:] else [], chunks)


def _cut_behind_newline(chunks: list[bytes]) -> list[bytes]:
    """Cuts the chunks behind their last newline. Gives what was cut off as one, or nothing when there is no newline."""
    for at in reversed(range(len(chunks))):
        if (newline := chunks[at].rfind(b"\n")) >= 0:
            rest = b"".join([chunks[at][newline + 1 :], *chunks[at + 1 :]])
            chunks[at:] = [chunks[at][: newline + 1]]
            return [rest]
    return []


def _long_line(file: File, end: int, kept: list[bytes], behind: Iterator[bytes]) -> Batch | None:
    """One line that is longer than a batch, once its newline is there. Only a checksum of it is kept."""
    size = sum(map(len, kept))
    checksum = zlib.crc32(b"".join(kept))
    for chunk in behind:
        newline = chunk.find(b"\n")
        line = chunk if newline < 0 else chunk[: newline + 1]
        checksum = zlib.crc32(line, checksum)
        size += len(line)
        if newline >= 0:
            more = any(b"\n" in rest for rest in chain([chunk[newline + 1 :]], behind))
            return _batch(file, _same(file, end, size, checksum), end, size, more)
    return None


def _batch(file: File, chunks: Iterable[bytes], start: int, size: int, more: bool) -> Batch:
    """The bookmark is of the file that was read, whatever its name leads to by the time it is kept."""
    end = start + size
    return Batch(chunks, size, {"end": end}, more, bookmark(file, end))


def _same(file: File, start: int, size: int, checksum: int) -> Iterator[bytes]:
    """A stretch of the file that was read before. Raises Restarted, before its last chunk, when it is not the same."""
    left, seen = size, 0
    for chunk in file.chunks(start, start + size):
        left -= len(chunk)
        seen = zlib.crc32(chunk, seen)
        if not left and seen != checksum:
            break
        yield chunk
        if not left:
            return
    raise Restarted(f"{file.path} changed while it was read")


def _unchanged(file: File, before: State) -> Iterator[bytes]:
    """The whole file. Raises Restarted, before its last chunk, when it changed since."""
    left = before.size
    for chunk in file.chunks(0, before.size):
        left -= len(chunk)
        if not left and file.state() != before:
            break
        yield chunk
        if not left:
            return
    raise Restarted(f"{file.path} changed while it was read")


def _checksum(file: File, start: int, stop: int) -> str:
    return sha256(b"".join(file.chunks(start, stop))).hexdigest()


def _parse_patiently(line: bytes) -> Any:
    """Takes what some writers of JSON produce beyond the standard, and gives only what can be written again."""
    try:
        record = json.loads(line.decode("utf-8", "replace"), parse_constant=lambda _: None)
        return msgspec.json.decode(json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
