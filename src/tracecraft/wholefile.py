"""Writes files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def save(path: Path, pieces: Iterable[bytes]) -> int:
    """Write a file that only its owner can read, complete or not at all; returns its size. It replaces one there is."""
    temporary = path.absolute().parent / f".{path.name[:100]}.{os.urandom(4).hex()}.part"
    size = 0
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            for piece in pieces:
                size += file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()
    return size
