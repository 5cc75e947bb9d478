"""Time and peak memory of one whole process, from its start to its exit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SPAWNED = Path(__file__).with_name("spawned.py")


class BenchmarkError(Exception):
    """Nothing can be reported: what is needed is missing, or a program did not do what it was measured at."""


@dataclass(frozen=True)
class Run:
    """One process. `exceeded` says that it was stopped after `seconds`; its peak is not known then."""

    seconds: float
    peak_kib: int
    exceeded: bool = False


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str],
    cwd: Path,
    limit: float,
    exits: int = 0,
    stdout: Path | None = None,
) -> Run:
    """Run a program to its end, or for `limit` seconds. Raises BenchmarkError when it ends otherwise than `exits`."""
    with tempfile.TemporaryDirectory(prefix="tracecraft-measure-") as name:
        report, said = Path(name, "report"), stdout or Path(name, "said")
        command = [sys.executable, "-I", "-S", str(_SPAWNED), str(report), *map(str, argv)]
        with said.open("wb") as out:
            process = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            if not _ended(process, limit):
                return Run(limit, 0, exceeded=True)
        seconds, kib, code = report.read_text().split()
        if int(code) != exits:
            text = said.read_text(errors="replace")[-2000:]
            raise BenchmarkError(f"{' '.join(map(str, argv))} ended with {code}, not {exits}:\n{text}")
    return Run(float(seconds), int(kib))


def floor(runs: int) -> list[Run]:
    """What measuring itself adds: runs of a program that does nothing."""
    return [run(["/bin/true"], env={}, cwd=Path("/"), limit=10) for _ in range(runs)]


def _ended(process: subprocess.Popen[bytes], limit: float) -> bool:
    """Wait for the process; one that takes too long, or longer than we live, is killed with everything it started."""
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
    return True
