"""Where a writer's lines wait on disk until the store has them: a file that only grows, locked by its process.

The first line tells whose it is. Lines that begin with `!` are not of the log: the end of the run, to be written into
its record. A file that nobody has locked was left by a process that died (`recovery.py`). Where the disk fails, lines
wait in memory, and are written as soon as there is room.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from tracecraft import localprocess
from tracecraft.runs.meta import RunMeta

CHUNK = 1 << 20
"""Bytes that are read, redacted and sent together, unless a single line is longer."""

ENDING = ".jsonl"
RELAYED = ".relay"
"""What the name of a mark ends in that asks the process which forked a writer to send for it."""
FILES = ".files"
"""What the name of the folder ends in where the copies of a writer's artifacts wait."""
CONTROL = b"!"


class Header(msgspec.Struct, omit_defaults=True):
    """The first line. `meta` is what the run's record is made from where the store has none yet."""

    run: str
    writer: str
    redact: bool = True
    spool: int = 1
    meta: RunMeta | None = None


class Control(msgspec.Struct, omit_defaults=True):
    """A line for who sends. `end` says that the writer is done; `meta` how the run ended, if it did."""

    end: bool = False
    meta: RunMeta | None = None


class Batch(NamedTuple):
    """Whole lines to send. `held` are those bytes of it that are not on disk."""

    data: bytes
    held: int


def folder_of(local_state: Path) -> Path:
    return local_state / "runs"


def file_of(folder: Path, run: str, writer: str) -> Path:
    return folder / f"{run}~{writer}{ENDING}"


def files_of(spool: Path) -> Path:
    """The folder of the copies of artifacts that belong to a spool."""
    return spool.with_suffix(FILES)


def relay_of(spool: Path) -> Path:
    return spool.with_suffix(RELAYED)


def spool_of(relay: Path) -> Path:
    return relay.with_suffix(ENDING)


def control_line(control: Control) -> bytes:
    return CONTROL + msgspec.json.encode(control) + b"\n"


class Spool:
    """A writer's own spool. One thread appends, another takes; `failure` says what the disk last said, if it fails."""

    def __init__(self, folder: Path, header: Header) -> None:
        self.path = file_of(folder, header.run, header.writer)
        self.failure = ""
        self._header = msgspec.json.encode(header) + b"\n"
        self._fd = -1
        self._lock = threading.Lock()
        self._length = 0
        self._taken = 0
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._removed = False
        self.append(b"")

    @property
    def held_bytes(self) -> int:
        """Bytes that wait in memory because they could not be written."""
        return self._held_bytes

    def append(self, data: bytes) -> None:
        """Keep whole lines, on disk if it takes them. Never raises."""
        with self._lock:
            if self._removed:
                return
            if data:
                self._held.append(data)
                self._held_bytes += len(data)
            try:
                if self._fd < 0:
                    self._open()
                while self._held:
                    self._write(self._held[0])
                    self._held_bytes -= len(self._held.popleft())
                self.failure = ""
            except OSError as error:
                self.failure = error.strerror or str(error)

    def take(self) -> Batch:
        """The next whole lines, oldest first; empty where there are none."""
        with self._lock:
            if self._taken < self._length:
                data = read_lines(self._fd, self._taken, self._length)
                self._taken += len(data)
                return Batch(data, 0)
            data = self._held.popleft() if self._held else b""
            return Batch(data, len(data))

    def sent(self, batch: Batch) -> None:
        """The store has these lines."""
        with self._lock:
            self._held_bytes -= batch.held

    def remove(self) -> None:
        """Nothing waits any more, and what is still written is wanted by nobody."""
        with self._lock, suppress(OSError):
            self._removed = True
            if self._fd >= 0:
                os.unlink(self.path)
        self.close()

    def ask_relay(self) -> None:
        """Ask the process that forked this one to send for it."""
        with suppress(OSError):
            relay_of(self.path).write_text(localprocess.name(os.getppid()))

    def close(self) -> None:
        with self._lock, suppress(OSError):
            if self._fd >= 0:
                fd, self._fd = self._fd, -1
                os.close(fd)

    def abandon(self) -> None:
        """In a forked child: let go of the parent's file, whose lock would outlive it here. Takes no lock."""
        with suppress(OSError):
            if self._fd >= 0:
                fd, self._fd = self._fd, -1
                os.close(fd)

    def _open(self) -> None:
        make_folder(self.path.parent)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._fd = fd
            self._write(self._header)
        except OSError:
            self._fd = -1
            with suppress(OSError):
                os.unlink(self.path)
            os.close(fd)
            raise
        self._taken = self._length

    def _write(self, data: bytes) -> None:
        """All of it or nothing: half a line would become part of the next one."""
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._fd, memoryview(data)[done:], self._length + done)
        except OSError:
            os.ftruncate(self._fd, self._length)
            raise
        self._length += len(data)


def make_folder(folder: Path) -> None:
    """A folder for its owner alone, for what waits there may hold secrets still. Raises OSError."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def read_lines(fd: int, start: int, end: int) -> bytes:
    """Whole lines from `start` on, CHUNK bytes or one that is longer; empty where none is complete. Raises OSError."""
    size = CHUNK
    while True:
        data = os.pread(fd, min(size, end - start), start)
        whole = data.rfind(b"\n") + 1
        if whole or len(data) < size:
            return data[:whole]
        size *= 2
