"""A harness at work: another process that has its database open, and what it wrote not yet in the main file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAM = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    database.execute(line)
    print("done", flush=True)
"""


class Writer:
    """Runs one statement after the other, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *statements: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for statement in statements:
            print(statement, file=self._process.stdin, flush=True)
            assert self._process.stdout.readline() == "done\n"

    def kill(self) -> None:
        """What it leaves behind is a log that nobody wrote back."""
        self._process.kill()
        self._process.wait(30)


@contextmanager
def writer(path: Path) -> Iterator[Writer]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Writer(process)
    finally:
        process.kill()
        process.communicate(timeout=30)
