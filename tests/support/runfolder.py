"""The folder of one test run, which the processes of the run share: pytest itself and, with xdist, its workers.

Whoever leads the run holds a lock in the folder for as long as it lasts. The kernel drops the lock when the leader
ends, in whatever way, so anything that serves the run knows when to go. The folder also collects which servers ran.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import wait_until

_VARIABLE = "TRACECRAFT_TEST_RUN"
_STOP = 20.0
"""Seconds what serves the run may take to go."""


class RunFolder:
    """`begin` and `end` are for the leader of a run, `join` for its workers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._alive = path / "alive.lock"
        self._notes = path / "servers.jsonl"
        self._held = contextlib.ExitStack()

    @classmethod
    def begin(cls) -> RunFolder:
        folder = cls(Path(tempfile.mkdtemp(prefix="tracecraft-run-")))
        folder._held.enter_context(locked(folder._alive))
        os.environ[_VARIABLE] = str(folder.path)
        return folder

    @classmethod
    def join(cls) -> RunFolder:
        return cls(Path(os.environ[_VARIABLE]))

    def end(self) -> None:
        """Declare the run over, wait until what serves it has gone, and remove the folder."""
        self._held.close()
        os.environ.pop(_VARIABLE, None)
        try:
            for lock in self.path.glob("*.service"):
                with locked(lock, seconds=_STOP):
                    pass
        finally:
            shutil.rmtree(self.path, ignore_errors=True)

    def over(self) -> bool:
        """Whether the leader has ended."""
        if not self._alive.exists():
            return True
        try:
            with locked(self._alive):
                return True
        except TimeoutError:
            return False

    def note(self, server: str, outcome: str) -> None:
        """Record what became of a server in this process."""
        with self._notes.open("a") as notes:
            notes.write(json.dumps([server, outcome]) + "\n")

    def notes(self) -> list[tuple[str, str]]:
        """Everything recorded, by all processes of the run."""
        if not self._notes.exists():
            return []
        return [(server, outcome) for server, outcome in map(json.loads, self._notes.read_text().splitlines())]


@contextlib.contextmanager
def locked(path: Path, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold a lock file; the kernel lets go of it when this process ends. Raises TimeoutError when others keep it."""
    with path.open("ab") as file:

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not wait_until(taken, seconds=seconds):
            raise TimeoutError(f"{path} is held by another process")
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # also for copies of the file that a fork made
