"""Files of harnesses, opened for reading: regular files only, and never through a symbolic link.

What a name leads to can change at any moment, so everything is asked of the open file. It is closed when nobody holds
it any more: a batch that is never read leaves nothing open.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CHUNK = 1 << 20
_LINKED = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# Decompressing needs as much memory as the file asks for. Harnesses ask for 2 MiB; 2^25 bytes are the most we give.
_WINDOW_LOG = 25


class State(NamedTuple):
    """What the system tells of an open file; sizes in bytes, times in nanoseconds."""

    device: int
    inode: int
    size: int
    mtime_ns: int


class File:
    """A file as it is."""

    batch = 8 << 20
    """How many bytes of it are read at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._fd = os.open(path, _LINKED)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def state(self) -> State:
        found = os.fstat(self._fd)
        return State(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def chunks(self, start: int, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `stop` or the file's end, whichever comes first, none of the chunks empty."""
        while size := CHUNK if stop is None else min(CHUNK, stop - start):
            chunk = os.pread(self._fd, size, start)
            if not chunk:
                return
            yield chunk
            start += len(chunk)


class CompressedFile(File):
    """A zstd file as what was compressed into it. To read behind an offset all before it is decompressed again."""

    batch = 32 << 20

    def chunks(self, start: int, stop: int | None = None) -> Iterator[bytes]:
        at = 0
        for chunk in self._decompressed():
            first = max(0, start - at)
            last = len(chunk) if stop is None else min(len(chunk), stop - at)
            if first < last:
                yield chunk[first:last]
            at += len(chunk)
            if stop is not None and at >= stop:
                return

    def _decompressed(self) -> Iterator[bytes]:
        if sys.version_info >= (3, 14):
            from compression.zstd import DecompressionParameter, ZstdError, ZstdFile
        else:
            from backports.zstd import DecompressionParameter, ZstdError, ZstdFile

        with os.fdopen(self._fd, "rb", closefd=False) as raw:
            raw.seek(0)
            try:
                with ZstdFile(raw, options={DecompressionParameter.window_log_max: _WINDOW_LOG}) as file:
                    while chunk := file.read(CHUNK):
                        yield chunk
            except (ZstdError, EOFError) as error:
                raise OSError(errno.EIO, f"not readable as zstd: {error}", str(self.path)) from error


def opened(path: Path, *, plain: bool = False) -> File:
    """The file at a path; decompressed when its name says so, unless it is wanted `plain`. Raises OSError."""
    return CompressedFile(path) if path.suffix == ".zst" and not plain else File(path)
