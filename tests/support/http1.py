"""Reading HTTP/1.1 messages off a stream: a head as it came, and a body in the framing it came in.

Nothing is decoded or rewritten, so that what is passed on is byte for byte what was signed.
"""

from __future__ import annotations

from asyncio import IncompleteReadError, StreamReader
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import Enum

LIMIT = 1 << 20
"""Bytes a head may have. StreamReaders are to be made with this limit."""

_PIECE = 1 << 16
_BODILESS = (204, 304)


class Framing(Enum):
    """How long a body is, when it is not a number of bytes."""

    CHUNKED = "until its last chunk"
    CLOSE = "until the connection closes"


@dataclass(frozen=True)
class Head:
    """The first line and the headers of a message; header names are lower case."""

    raw: bytes
    first: str
    headers: Mapping[str, str]

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.first.split(" ", 2)[1])

    @property
    def last(self) -> bool:
        """Whether the connection ends after this message."""
        token = self.headers.get("connection", "").lower()
        return token == "close" or ("HTTP/1.0" in self.first and token != "keep-alive")

    def without(self, name: str) -> bytes:
        """The raw head without one of its headers."""
        lines = self.raw.split(b"\r\n")
        return b"\r\n".join(line for line in lines if line.partition(b":")[0].strip().lower() != name.encode())


async def read_head(reader: StreamReader) -> Head | None:
    """The next head, or None if the connection ended where one would begin."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return Head(raw, first, {name.strip().lower(): value.strip() for name, _, value in fields})


def request_body(head: Head) -> int | Framing:
    """The framing of a request's body."""
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        return Framing.CHUNKED
    return int(head.headers.get("content-length", "0"))


def answer_body(head: Head, method: str) -> int | Framing:
    """The framing of the body of an answer to a request with this method."""
    if method == "HEAD" or head.status in _BODILESS:
        return 0
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        return Framing.CHUNKED
    length = head.headers.get("content-length")
    return Framing.CLOSE if length is None else int(length)


async def pieces(reader: StreamReader, size: int | Framing) -> AsyncIterator[bytes]:
    """A body, piece by piece, with its framing. Raises IncompleteReadError when it is cut."""
    match size:
        case Framing.CLOSE:
            while piece := await reader.read(_PIECE):
                yield piece
        case Framing.CHUNKED:
            async for piece in _chunks(reader):
                yield piece
        case int():
            while size:
                piece = await reader.read(min(size, _PIECE))
                if not piece:
                    raise IncompleteReadError(b"", size)
                size -= len(piece)
                yield piece


async def _chunks(reader: StreamReader) -> AsyncIterator[bytes]:
    length = -1
    while length:
        line = await reader.readuntil(b"\r\n")
        length = int(line.partition(b";")[0], 16)
        yield line
        if length:
            yield await reader.readexactly(length + 2)
    while line != b"\r\n":
        line = await reader.readuntil(b"\r\n")
        yield line
