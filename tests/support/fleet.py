"""Worker processes that are started once and then do many rounds of work, each round begun by all at one moment.

A job is a function at the top of a module. It is called in the worker, prepares what it needs, and returns what is to
be done when the round begins; the result of that comes back. Results and arguments must be picklable.

    with Fleet(50) as fleet:
        results = fleet.run(claim, [(world, f"agent-{n}", "step-1") for n in range(50)])

The start is a lock file: the fleet holds it while the workers prepare, each worker then asks for a share of it, and the
kernel wakes all of them when the fleet lets go.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

ROUND_SECONDS = 600.0
_END = 10.0

Act = Callable[[], Any]
Job = Callable[..., Act]


class WorkerError(Exception):
    """A job raised what it should have dealt with, or its worker is gone. The text carries the worker's traceback."""


class Fleet:
    """So many worker processes, from entering the block to leaving it."""

    def __init__(self, count: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        handle, gate = tempfile.mkstemp(prefix="tracecraft-gate-")
        os.close(handle)
        self._gate = Path(gate)
        self._workers: list[tuple[BaseProcess, Connection]] = [self._start() for _ in range(count)]

    def __len__(self) -> int:
        return len(self._workers)

    def run(self, job: Job, arguments: Sequence[tuple[Any, ...]], *, seconds: float = ROUND_SECONDS) -> list[Any]:
        """One round: the job with each of these arguments, one worker each, all at once; their results in order."""
        chosen = [connection for _, connection in self._workers[: len(arguments)]]
        assert len(chosen) == len(arguments), f"{len(self._workers)} workers cannot do {len(arguments)} jobs at once"
        with self._gate.open("rb") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            for connection, given in zip(chosen, arguments, strict=True):
                connection.send((job, given))
            for connection in chosen:
                _receive(connection, seconds)
        answers = [_receive(connection, seconds) for connection in chosen]
        for problem, _ in answers:
            if problem:
                raise WorkerError(problem)
        return [result for _, result in answers]

    def close(self) -> None:
        """End the workers, by force those that do not go."""
        for _, connection in self._workers:
            connection.close()
        for process, _ in self._workers:
            process.join(_END)
            if process.is_alive():
                process.kill()
                process.join(_END)
        self._workers = []
        self._gate.unlink(missing_ok=True)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._gate), daemon=True)
        process.start()
        theirs.close()
        return process, ours


def _receive(connection: Connection, seconds: float) -> Any:
    if not connection.poll(seconds):
        raise WorkerError(f"a worker said nothing for {seconds:g} s")
    try:
        return connection.recv()
    except EOFError:
        raise WorkerError("a worker is gone") from None


def _work(connection: Connection, gate: Path) -> None:
    """A worker's life: until the fleet closes its end of the pipe."""
    while True:
        try:
            job, arguments = connection.recv()
        except EOFError:
            return
        problem, act = _caught(partial(job, *arguments))
        connection.send("ready")
        with gate.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
        result = None
        if not problem:
            problem, result = _caught(act)
        connection.send((problem, result))


def _caught(call: Act) -> tuple[str, Any]:
    """What a call raised, as text, and what it returned."""
    try:
        return "", call()
    except BaseException:
        return traceback.format_exc(), None
