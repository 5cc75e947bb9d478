"""Child processes that never outlive the tests, and the bounded waiting they need.

A `Child` runs in a session of its own (a Ctrl-C in the terminal does not reach it, so teardown stays in order) with its
output in a log file. It is killed by `stop()`, at interpreter exit, and, where `setpriv` exists (Linux), by the kernel
as soon as the thread that started it is gone, even by SIGKILL. So start children from a thread that lives as long as
they are needed: the main one.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

_PORTS = range(20_000, 32_000)
"""Below the ephemeral ports of Linux and macOS, so that no outgoing connection takes one between choice and use."""


class StartError(Exception):
    """A server ended, or did not answer in time. The text carries the end of its own log."""


class Child:
    """A process started here, and its log. Also a context manager that stops it."""

    def __init__(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = Path(argv[0]).name
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*_death_signal(), *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Kill the process and its group: nothing it holds is worth a farewell. Harmless when repeated."""
        atexit.unregister(self.stop)
        if self.status is None:  # so its number is still its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(10)

    def until(self, ready: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Wait until `ready()`. Raises StartError when the process ends first or the time is over."""
        in_time = wait_until(lambda: self.status is not None or ready(), seconds=seconds)
        if self.status is not None:
            raise StartError(f"{self.name} ended with status {self.status}\n{tail(self.log)}")
        if not in_time:
            raise StartError(f"{self.name}: no {what} after {seconds:g} s\n{tail(self.log)}")

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def run(argv: Sequence[str | os.PathLike[str]], *, log: Path, seconds: float, cwd: Path | None = None) -> None:
    """Run a program to its end. Raises StartError when it fails or takes too long."""
    with Child(argv, log=log, cwd=cwd) as child:
        if not wait_until(lambda: child.status is not None, seconds=seconds, every=0.005):
            raise StartError(f"{child.name} did not end in {seconds:g} s\n{tail(log)}")
        if child.status:
            raise StartError(f"{child.name} ended with status {child.status}\n{tail(log)}")


def wait_until(ready: Callable[[], bool], *, seconds: float, every: float = 0.02) -> bool:
    """Poll `ready()` until it is true or `seconds` are over; says which."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port among 100 tried of {_PORTS.start} to {_PORTS.stop}")


def listening(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, under its name; for error messages."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return f"{log.name}: no log"
    return "\n".join([f"--- end of {log.name}:", *text.splitlines()[-lines:]])


def _death_signal() -> list[str]:
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
