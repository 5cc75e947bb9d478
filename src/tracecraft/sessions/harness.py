"""What a harness is to us: where it keeps transcripts, how they are read on, and what their records mean.

A harness is one file that implements `Harness`. Those whose transcripts are files of lines build on
`lines.LineHarness`, those that keep a database on `rows.RowHarness`; what is left to write is `discover` and
`normalise`. Nothing here ever writes to what belongs to a harness.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from tracecraft.sessions.message import Entry

Cursor = dict[str, Any]
"""How far a stream has been read: plain JSON, opaque to all but its harness. It is stored in the manifest, where others
read it, so nothing secret may be in it and no checksum of what may hold secrets."""

Bookmark = dict[str, Any]
"""What this machine alone remembers of a stream beside the cursor, to recognise it again. It never leaves it."""

MAIN = ""
"""The name of a session's main stream."""


class Machine(NamedTuple):
    """The home folder and environment in which harnesses are looked for."""

    home: Path
    environ: Mapping[str, str]


class Found(msgspec.Struct, frozen=True):
    """A session on this machine. `path` is what holds it, `modified` when that last changed, in seconds since 1970."""

    harness: str
    session_id: str
    path: Path
    cwd: str = ""
    modified: float = 0.0


class Source(msgspec.Struct, frozen=True):
    """Where one stream of a session comes from.

    The main stream is the conversation. Others are of its subagents, or files that belong to it; their names are
    relative paths such as `subagents/agent-1.jsonl`. A `whole` source is a file that is copied once it is there, not
    line by line.
    """

    path: Path
    stream: str = MAIN
    whole: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the source is text, and not one JSON record a line."""
        return is_text(self.stream, whole=self.whole)


def is_text(stream: str, *, whole: bool) -> bool:
    """Whether a stream is a file of text that belongs to the session, and not one record a line."""
    return whole and not stream.endswith(".jsonl")


class Batch(msgspec.Struct):
    """New lines of a stream.

    The `chunks` together are `size` bytes of whole lines, each line with its newline (a `whole` source's last line may
    lack it). They are read while they are iterated, once, so that a batch of any size is never in memory. `cursor` is
    where the next batch begins; `more` tells that it is known to be there already. `bookmark`, where it is given, is
    the one for that cursor, made of what was read and not of what may have come in its place since.
    """

    chunks: Iterable[bytes]
    size: int
    cursor: Cursor
    more: bool = False
    bookmark: Bookmark | None = None


class Restarted(Exception):
    """The source is no longer what the cursor was read from: shortened, rewritten, replaced. It is to be read anew."""


class Harness(Protocol):
    """Where a coding agent keeps its transcripts. All methods only read.

    A harness may also have `skimmed`: a TypedDict of what statistics need of a record. They come out the same without.
    """

    name: str

    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        """The sessions of a folder, or of the whole machine, in any order. What cannot be read is passed over."""

    def sources(self, found: Found) -> Sequence[Source]:
        """The streams that the session has by now, the main one first."""

    def read_new(self, found: Found, source: Source, cursor: Cursor | None) -> Batch | None:
        """The lines behind the cursor (None: from the beginning), or None when there are no whole new ones.

        Raises Restarted, and OSError when the source cannot be read at present.
        """

    def bookmark(self, source: Source, cursor: Cursor) -> Bookmark:
        """What to remember of a stream that was read up to the cursor."""

    def recognises(self, source: Source, cursor: Cursor, bookmark: Bookmark | None) -> bool | None:
        """Whether the source still begins with what was read up to the cursor; None when that cannot be told from here.

        Without a bookmark a harness whose cursors tell by themselves says True, and `read_new` raises Restarted.
        """

    def read_again(self, source: Source, start: int, end: int) -> Iterator[bytes]:
        """The bytes of a stream from `start` to `end`, which were read before, in chunks. Raises Restarted.

        Only needed of a harness whose `recognises` may answer None.
        """

    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        """What a record means. Records of unknown types mean nothing; they are no error."""

    def process(self, machine: Machine, found: Found) -> int | None:
        """The process that works on this session now, where the harness leaves a trace of it."""

    def restored(self, machine: Machine, session_id: str, source_path: str, cwd: Path) -> Path | None:
        """The file in which this harness looks for the main stream of a session of this folder, on this machine.

        None when its sessions cannot be put back by writing a file. Other streams lie beside it (`stream_path`).
        """

    def stream_path(self, main: Path, stream: str) -> Path:
        """Where a further stream of the session in `main` belongs."""
