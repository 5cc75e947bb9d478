"""Transcripts to mirror, of any size, where a harness keeps them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

from benchmarks.measure import BenchmarkError
from benchmarks.programs import Place, Seat
from tests.sessions.transcripts.claude import WORDS, claude_lines, folder_name
from tests.sessions.transcripts.codex import codex_lines, rollout_name, thread_id
from tracecraft.layout import Layout
from tracecraft.records import read
from tracecraft.sessions.manifest import Manifest

CLAUDE = "claude-code"
MB = 1_000_000
SAMPLES = "TRACECRAFT_TEST_SAMPLES"
"""Names the folder of sample transcripts, those of each harness in a folder named after it."""

_PI = "0190c0de-0000-7000-8000-000000000001"
_IDS = (b'"uuid":"', b'"id":"msg_', b'"id":"toolu_', b'"requestId":"req_')
_BLOCK = 10 * MB


def session_id(number: int) -> str:
    return f"7d3c1f52-9a0e-4c61-8f7b-{number:012x}"


@dataclass(frozen=True)
class Transcript:
    """A session on disk, as the harness of that name keeps it."""

    harness: str
    session_id: str
    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def write(self, pieces: Iterable[bytes]) -> Transcript:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("wb") as file:
            file.writelines(pieces)
        return self

    def mirrored(self, place: Place, project: str) -> int:
        """Bytes of it that are in the store."""
        key = Layout(project).manifest(self.harness, self.session_id)
        found = read(place.store(), key, Manifest)
        return found.record.total_source_bytes if found else 0

    def require_mirrored(self, place: Place, project: str) -> None:
        """Raises BenchmarkError unless all of it is in the store."""
        if (mirrored := self.mirrored(place, project)) != self.size:
            raise BenchmarkError(f"{mirrored:,} bytes of {self.path} are mirrored, not {self.size:,}")


def claude(seat: Seat, number: int = 0) -> Transcript:
    """Where Claude Code keeps a session of the seat's folder. Nothing is written yet."""
    name = session_id(number)
    folder = seat.home / ".claude" / "projects" / folder_name(_cwd(seat))
    return Transcript(CLAUDE, name, folder / f"{name}.jsonl")


class Growing:
    """A session of Claude Code that grows by whole lines, which are the same for the same number, but for the folder.
    `words` is about how many a text has."""

    def __init__(self, seat: Seat, number: int = 0, words: int = 40) -> None:
        self.transcript = claude(seat, number)
        self.transcript.write([])
        name = self.transcript.session_id
        self._lines = claude_lines(sys.maxsize, number, session_id=name, cwd=_cwd(seat), words=words)

    def grow(self, size: int) -> None:
        """Write whole lines until they are so many bytes, at once."""
        lines: list[bytes] = []
        while sum(map(len, lines)) < size:
            lines.append(next(self._lines))
        self._append(b"".join(lines))

    def grow_a_line(self) -> None:
        self._append(next(self._lines))

    def _append(self, data: bytes) -> None:
        with self.transcript.path.open("ab") as file:
            file.write(data)


def generated(seat: Seat, size: int) -> Transcript:
    """A session of Claude Code of about so many bytes. Its texts repeat, its ids do not."""
    transcript = claude(seat)
    lines = claude_lines(sys.maxsize, session_id=transcript.session_id, cwd=_cwd(seat))
    block = b"".join(_first(lines, min(size, _BLOCK)))
    return transcript.write(_first((_renamed(block, number) for number in count()), size))


def with_long_line(seat: Seat, size: int) -> Transcript:
    """A session of Claude Code that has, among others, one line of so many bytes."""
    transcript = claude(seat)
    lines = list(claude_lines(200, session_id=transcript.session_id, cwd=_cwd(seat)))
    phrase = " ".join(WORDS) + " "
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": phrase * (size // len(phrase.encode()))}
    record = {"type": "user", "sessionId": transcript.session_id, "message": {"role": "user", "content": [result]}}
    long_line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
    return transcript.write([*lines[:100], long_line, *lines[100:]])


def samples(seat: Seat, size: int) -> Iterator[Transcript]:
    """For each harness with samples one session of about so many bytes: all its samples, again and again."""
    if not (root := os.environ.get(SAMPLES)):
        return
    for transcript, head in ((claude(seat), b""), _codex(seat), _pi(seat)):
        files = sorted(Path(root, transcript.harness).glob("*.jsonl"))
        if body := b"".join(path.read_bytes().rstrip(b"\n") + b"\n" for path in files):
            yield transcript.write([head, *_first((body for _ in count()), size)])


def _codex(seat: Seat) -> tuple[Transcript, bytes]:
    name = thread_id()
    path = seat.home / ".codex" / "sessions" / "2026" / "03" / "01" / rollout_name(name)
    return Transcript("codex", name, path), next(codex_lines(1, session_id=name, cwd=_cwd(seat)))


def _pi(seat: Seat) -> tuple[Transcript, bytes]:
    head = {"type": "session", "version": 3, "id": _PI, "cwd": _cwd(seat)}
    path = seat.home / ".pi" / "agent" / "sessions" / "--shop--" / f"2026-03-01_{_PI}.jsonl"
    return Transcript("pi", _PI, path), json.dumps(head).encode() + b"\n"


def _cwd(seat: Seat) -> str:
    seat.environment()  # makes the folder
    return str(seat.folder.resolve())


def _first(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Pieces until they are at least so many bytes."""
    written = 0

    def is_wanted(piece: bytes) -> bool:
        nonlocal written
        before, written = written, written + len(piece)
        return before < size

    return takewhile(is_wanted, pieces)


def _renamed(block: bytes, number: int) -> bytes:
    """The block with other ids, so that nothing in it was there before."""
    for beginning in _IDS:
        block = block.replace(beginning, beginning + b"%x-" % number)
    return block
