"""Sends what processes that died left on this machine. That nobody has a spool locked tells that its process is gone.

The dead process' last request may still be under way, and somebody else may do the same on another machine's copy: a
line that comes twice counts once.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tracecraft.errors import StoreError
from tracecraft.runs.recorder.files import FileSender
from tracecraft.runs.recorder.notices import why
from tracecraft.runs.recorder.record import RunDeleted
from tracecraft.runs.recorder.sender import Sender
from tracecraft.runs.recorder.spool import (
    CONTROL,
    ENDING,
    Batch,
    Control,
    Header,
    files_of,
    folder_of,
    read_lines,
    relay_of,
)

if TYPE_CHECKING:
    from tracecraft.project import Project


class Recovered(NamedTuple):
    """How many writers' spools were sent, and whether some are left though nobody writes into them; `failure` says
    why. With a store that is away only the first of those was tried, and `left` is 1."""

    sent: int
    left: int
    failure: str = ""


def recover(project: Project) -> Recovered:
    """Send what dead processes left of this project on this store. Never raises."""
    sent = left = 0
    failure = ""
    for path in spools(project):
        try:
            with locked(path) as fd:
                if fd is not None:
                    left += 1
                    LeftWriter(project, path, fd).finish()
                    left, sent = left - 1, sent + 1
        except Exception as error:  # a spool that cannot be sent must not keep others from being sent
            failure = failure or f"{path}: {why(error)}"
            if isinstance(error, StoreError):
                break
    return Recovered(sent, left, failure)


def recover_in_background(project: Project) -> threading.Thread | None:
    """The same without waiting; None where nothing lies there."""
    if next(spools(project), None) is None:
        return None
    thread = threading.Thread(target=recover, args=[project], name="tracecraft-recovery", daemon=True)
    thread.start()
    return thread


def spools(project: Project) -> Iterator[Path]:
    """The spools on this machine, those of living processes too."""
    folder = folder_of(project.local.folder)
    with suppress(OSError):
        yield from (folder / name for name in sorted(os.listdir(folder)) if name.endswith(ENDING))


@contextmanager
def locked(path: Path) -> Iterator[int | None]:
    """A spool that nobody has open, so that nobody else takes it meanwhile; else None."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        yield fd if _lock(fd, path) else None
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile has it open too
        os.close(fd)


class LeftWriter:
    """A writer whose process is dead, or cannot reach the store itself, and what is to be sent for it.

    Raises OSError, and ValueError for a file that is no spool.
    """

    def __init__(self, project: Project, path: Path, fd: int) -> None:
        self._path = path
        self._spool = LeftSpool(fd)
        header = self._spool.header
        self._sender = Sender(project, header, self._spool) if header else None
        self._files = FileSender(project, header.run, files_of(path)) if header else None
        if header and self._sender:
            self._sender.resume_behind(covered(project, header))

    def go_on(self) -> None:
        """Send what is there by now. Raises StoreError, BrokenRecord, OSError and RunDeleted."""
        if self._sender and self._files:
            self._sender.send()
            self._files.send()

    def finish(self) -> None:
        """Send what is left, say that the writer is done, and remove its spool. The caller has it locked, and nobody
        writes into it. Raises as `go_on` does, but for RunDeleted."""
        if self._sender and self._files:
            with suppress(RunDeleted):
                self._sender.send(last=True)
                self._files.send()
                self._sender.finish(self._spool.control.meta)
            self._files.remove()
        relay_of(self._path).unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


def covered(project: Project, header: Header) -> int:
    """The line up to which the store has them all."""
    layout = project.layout
    last = 0
    listed = project.store.list(layout.run_log(header.run, header.writer))
    keys = (layout.fragment_of(info.key, header.run) for info in listed)
    for first, until in sorted((key.first, key.last) for key in keys if key is not None):
        if first > last + 1:
            break
        last = max(last, until)
    return last


class LeftSpool:
    """The lines in the spool of another process. `header` is None where the process died before it wrote one.

    It may still grow. Raises OSError, and ValueError for a file that is no spool.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.control = Control()
        first = read_lines(fd, 0, self._size)
        head, newline, _ = first.partition(b"\n")
        self._taken = len(head) + len(newline)
        self.header = _header(head) if newline else None

    @property
    def _size(self) -> int:
        return os.fstat(self._fd).st_size

    def take(self) -> Batch:
        data = read_lines(self._fd, self._taken, self._size)
        self._taken += len(data)
        for line in data.splitlines():
            if line.startswith(CONTROL):
                self.control = msgspec.json.decode(line.removeprefix(CONTROL), type=Control)
        return Batch(data, 0)

    def sent(self, batch: Batch) -> None:
        pass


def _header(data: bytes) -> Header:
    header = msgspec.json.decode(data, type=Header)
    if header.spool != 1:
        raise ValueError("written by a newer tracecraft")
    return header


def _lock(fd: int, path: Path) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(fd).st_ino == os.stat(path).st_ino
    except OSError:
        return False
