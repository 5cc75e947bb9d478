"""Cuts bytes into lines as they come, in bounded memory."""

from __future__ import annotations

from typing import NamedTuple


class LongLine(NamedTuple):
    """Stands for a line that is too long to be looked into."""

    size: int


Line = bytes | LongLine


class Splitter:
    """Cuts chunks into lines without their newlines. Of a line longer than `longest` only the size is kept."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that end within the chunk."""
        first, *others = chunk.split(b"\n")
        self._add(first)
        if not others:
            return []
        rest = others.pop()
        lines = [self._take(), *others]
        if len(chunk) > self._longest:
            lines = [LongLine(len(line)) if len(line) > self._longest else line for line in lines]
        self._add(rest)
        return lines

    def end(self) -> list[Line]:
        """The last line, where it has no newline."""
        return [self._take()] if self._size else []

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._longest:
            self._rest.append(piece)
        else:
            self._rest.clear()

    def _take(self) -> Line:
        line: Line = b"".join(self._rest) if self._size <= self._longest else LongLine(self._size)
        self._rest.clear()
        self._size = 0
        return line
