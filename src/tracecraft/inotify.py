"""Linux' file events (inotify), where the system has them."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

# From Linux' <sys/inotify.h>.
MODIFY, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
_NONBLOCK, _CLOEXEC = 0o4000, 0o2000000
_HEAD = struct.Struct("iIII")


class FileEvents:
    """What happens to the names in some folders. Raises OSError where there are no such events."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("no file events on this system")
        import ctypes

        self._libc = ctypes.CDLL(None, use_errno=True)
        fd: int = self._libc.inotify_init1(_NONBLOCK | _CLOEXEC)
        if fd < 0:
            raise OSError("the system gives no more file events")
        self._file = FileIO(fd, "r")
        self._folders: dict[int, Path] = {}

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()

    def watch(self, folder: Path, mask: int) -> None:
        """Tell of these events in a folder from now on. Raises OSError."""
        number: int = self._libc.inotify_add_watch(self.fileno(), os.fsencode(folder), mask)
        if number < 0:
            raise OSError(f"{folder} cannot be watched")
        self._folders[number] = folder

    def read(self) -> Iterator[Path]:
        """The paths that something happened to since this was last read; empty when nothing did."""
        while data := self._file.read(1 << 16):
            at = 0
            while at < len(data):
                number, _mask, _cookie, length = _HEAD.unpack_from(data, at)
                name = data[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0")
                at += _HEAD.size + length
                folder = self._folders.get(number)
                if folder is not None:
                    yield folder / os.fsdecode(name)
