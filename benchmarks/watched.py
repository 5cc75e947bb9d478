"""A command that waits for something, and when it said what."""

from __future__ import annotations

import subprocess
import threading
import time
from types import TracebackType

from benchmarks.measure import BenchmarkError


class Watched:
    """A process whose lines of output are kept with the time at which they came. Leaving the block kills it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[tuple[float, str]] = []
        self._ended: float | None = None
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def said(self, part: str, seconds: float) -> float:
        """When a line with this in it came, by time.monotonic(). Raises BenchmarkError when none does in time."""
        with self._news:
            in_time = self._news.wait_for(lambda: self._when(part) is not None or self._ended is not None, seconds)
            when = self._when(part)
        if when is None:
            raise BenchmarkError(f"no {part!r} after {seconds:g} s (ended: {in_time}): {self._lines}")
        return when

    def has_said(self, part: str) -> bool:
        with self._news:
            return self._when(part) is not None

    def ended(self, seconds: float) -> float:
        """When it ended, by time.monotonic(). Raises BenchmarkError when it does not, or not with status 0."""
        with self._news:
            self._news.wait_for(lambda: self._ended is not None, seconds)
        if self._ended is None or self._process.wait(10) != 0:
            raise BenchmarkError(f"did not end well in {seconds:g} s: {self._lines}")
        return self._ended

    def __enter__(self) -> Watched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(10)

    def _when(self, part: str) -> float | None:
        return next((at for at, line in self._lines if part in line), None)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._lines.append((time.monotonic(), line))
                self._news.notify_all()
        with self._news:
            self._ended = time.monotonic()
            self._news.notify_all()
