"""Reads a running command line by line, each with a deadline, and takes snapshots of what a store holds."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from tests.support.world import World

PATIENCE = 60.0
"""Seconds anything may take here before the test fails."""


class Stream:
    """A command that goes on until it is interrupted. Its lines are read in the background."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.errors: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(process.stdout,), daemon=True),
            threading.Thread(target=self._read_errors, args=(process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def line(self, seconds: float = PATIENCE) -> str:
        """The next line of its output. Fails the test when none comes in time."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no line in {seconds:g} s; on stderr: {self.errors}") from None
        assert line is not None, f"the command ended with {self.process.wait()}: {self.errors}"
        return line

    def json(self) -> Any:
        return json.loads(self.line())

    def line_with(self, part: str) -> str:
        """The next line that contains this; those before it are passed over."""
        deadline = time.monotonic() + PATIENCE
        while part not in (line := self.line(max(0.0, deadline - time.monotonic()))):
            pass
        return line

    def line_after(self, act: Callable[[], object], part: str = "") -> str:
        """Act again and again until a line with this comes: a watcher does not tell when it began to watch."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            act()
            with contextlib.suppress(AssertionError):
                while part not in (line := self.line(2.0)):
                    pass
                return line
            assert self.process.poll() is None, self.errors
        raise AssertionError(f"no line with {part!r}; on stderr: {self.errors}")

    def interrupt(self) -> int:
        """Send SIGINT, as Ctrl-C does, and return how it ended."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        assert not [line for line in self.errors if "Traceback" in line], self.errors
        return code

    def let_go(self) -> None:
        """Close the pipes, unless something that outlived the command still holds them: closing would wait for it."""
        for reader, pipe in zip(self._readers, (self.process.stdout, self.process.stderr), strict=True):
            reader.join(PATIENCE / 4)
            assert not reader.is_alive(), "something outlived the command"
            assert pipe is not None
            pipe.close()

    def _read(self, pipe: IO[str]) -> None:
        with contextlib.suppress(ValueError):
            for line in pipe:
                self._lines.put(line.rstrip("\n"))
            self._lines.put(None)

    def _read_errors(self, pipe: IO[str]) -> None:
        with contextlib.suppress(ValueError):
            self.errors.extend(line.rstrip("\n") for line in pipe)


@contextlib.contextmanager
def streaming(world: World, agent: str, *arguments: str, **more: str) -> Iterator[Stream]:
    """A command of an agent while the block runs; killed at its end if it still runs then."""
    process = world.start(agent, *arguments, **more)
    stream = Stream(process)
    try:
        yield stream
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        stream.let_go()


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Poll until this is so; fails the test when it does not become so in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def objects(world: World) -> dict[str, str]:
    """Every object in the world's store with its etag."""
    store = world.open().store
    return {info.key: info.etag for info in store.list("")}


def files(folder: Path) -> Mapping[str, bytes]:
    """Every file below a folder, but for what a machine remembers and the store's own locks."""
    hidden = ("/.tracecraft/state/", "/store/.tracecraft/")
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not any(h in str(path) for h in hidden))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
