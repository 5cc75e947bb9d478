"""Makes a part of a batch: redacts it, counts it, uploads it under a new id. Any size, in bounded memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import IO

from tracecraft import clock
from tracecraft.layout import new_short_id
from tracecraft.sessions.harness import Batch
from tracecraft.sessions.manifest import Part
from tracecraft.sessions.redactor import Redactor
from tracecraft.sessions.splitting import Line, Splitter
from tracecraft.store import Store

_IN_MEMORY = 1 << 20
"""Bytes of a part that are held in memory and sent in one small request; a larger one goes through a file."""
_LONGEST_LINE = 1 << 20
"""Bytes of the longest line that is looked into for statistics. Longer ones are kept all the same."""

OnLines = Callable[[list[Line]], None]


def write_part(
    store: Store, key_of: Callable[[str], str], batch: Batch, redactor: Redactor, *, text: bool, on_lines: OnLines
) -> Part:
    """Upload what a batch holds, redacted. The part has no place yet: `seq`, `g` and `cursor_range` are the caller's.

    `key_of` spells the key of a new id. `on_lines` sees every redacted line, several at a time.
    """
    redactions: Counter[str] = Counter()
    splitter, lines = Splitter(_LONGEST_LINE), 0
    with closing(_Content()) as content:
        for piece in redactor.redact(batch.chunks, redactions, text=text):
            content.add(piece)
            ended = splitter.feed(piece)
            on_lines(ended)
            lines += len(ended)
        ended = splitter.end()
        on_lines(ended)
        lines += len(ended)
        short_id = new_short_id()
        content.upload(store, key_of(short_id))
    return Part(
        seq=0,
        uuid=short_id,
        source_bytes=batch.size,
        uploaded_bytes=content.size,
        redactions=dict(redactions),
        uploaded_at=clock.now(),
        sha256=content.sha256,
        lines=lines,
        ruleset=redactor.ruleset,
    )


def merge_parts(store: Store, key_of: Callable[[str], str], pieces: Iterable[bytes]) -> tuple[str, str]:
    """Upload pieces as one object under a new id; returns the id and the checksum."""
    with closing(_Content()) as content:
        for piece in pieces:
            content.add(piece)
        short_id = new_short_id()
        content.upload(store, key_of(short_id))
    return short_id, content.sha256


class _Content:
    """Bytes on their way into the store: in memory while they are few, then in a file that only its owner can read."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._digest.update(piece)
        self._waiting += len(piece)
        self.size += len(piece)
        if self._waiting > _IN_MEMORY:
            self._spill()

    def upload(self, store: Store, key: str) -> None:
        if self._file is None:
            store.put(key, b"".join(self._pieces))
            return
        self._spill()
        self._file.flush()
        store.upload(key, Path(self._file.name), lambda _chunk: None)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _spill(self) -> None:
        if self._file is None:
            import tempfile  # slow to import, and few parts are large

            self._file = tempfile.NamedTemporaryFile(prefix="tracecraft-")  # noqa: SIM115 (closed by `close`)
        self._file.writelines(self._pieces)
        self._pieces.clear()
        self._waiting = 0
