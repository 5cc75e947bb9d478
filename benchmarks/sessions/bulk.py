"""Much at once: how fast large sessions are mirrored on one core, and how much memory that takes.

Every run is a whole process that mirrors one session into an empty folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.programs import Place, Seat
from benchmarks.sessions import sources
from benchmarks.sessions.sources import Transcript

_ENGINE = "TRACECRAFT_REDACTION_ENGINE"
_PROJECT = "bulk"
_LIMIT = 600.0


@dataclass(frozen=True)
class Mode:
    """A way to mirror: options, and what the environment says."""

    name: str
    options: tuple[str, ...] = ()
    variables: Mapping[str, str] | None = None


REDACTED = Mode("redacted")
HYPERSCAN = Mode("redacted, hyperscan", variables={_ENGINE: "hyperscan"})
MODES = (REDACTED, HYPERSCAN, Mode("--no-redact", options=("--no-redact",)))


def throughput(
    program: Path, root: Path, *, generated: int, sampled: int, runs: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each session and mode, and the modes left out because the program lacks what they need."""
    left_out = [] if _has_hyperscan(program) else [HYPERSCAN.name]
    modes = [mode for mode in MODES if mode.name not in left_out]
    rows = []
    with _seat(program, root) as seat:
        transcript = sources.generated(seat, generated)
        rows += [_row("generated, claude-code", transcript, mode, seat, runs) for mode in modes]
    with _seat(program, root) as seat:
        for transcript in sources.samples(seat, sampled):
            rows += [_row(f"samples, {transcript.harness}", transcript, mode, seat, runs) for mode in modes]
            transcript.path.unlink()
    return rows, left_out


def memory(program: Path, root: Path, *, large: int, long_line: int, runs: int) -> list[dict[str, Any]]:
    """Rows of a large session, mirrored once, and of one with a long line."""
    with _seat(program, root) as seat:
        rows = [_row("a large session", sources.generated(seat, large), REDACTED, seat, 1)]
    with _seat(program, root) as seat:
        rows.append(_row("a long line", sources.with_long_line(seat, long_line), REDACTED, seat, runs))
    return rows


@contextmanager
def _seat(program: Path, root: Path) -> Iterator[Seat]:
    """A seat whose home and folder last as long as the block: disks are not for ever."""
    home = root / "bulk"
    try:
        yield Place.in_folder(home, program).seat(_PROJECT, "ann")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _row(name: str, transcript: Transcript, mode: Mode, seat: Seat, runs: int) -> dict[str, Any]:
    measured = [_mirror(transcript, mode, seat, number) for number in range(runs)]
    print(f"  {name}, {mode.name}: {measured[-1]['seconds']:.1f} s", flush=True)
    return {"session": name, "mode": mode.name, "bytes": transcript.size, "runs": measured}


def _mirror(transcript: Transcript, mode: Mode, seat: Seat, number: int) -> dict[str, Any]:
    """Mirror it into a folder of its own, which is removed again."""
    place = Place.in_folder(seat.home / f"run-{number}", seat.program)
    variables = {**seat.variables, "TRACECRAFT_STORE": place.url, **(mode.variables or {})}
    command = ("session", "mirror", "--harness", transcript.harness, *mode.options)
    try:
        with _one_core():
            run = replace(seat, variables=variables).run(*command, limit=_LIMIT)
        if not run.exceeded:
            transcript.require_mirrored(place, _PROJECT)
    finally:
        shutil.rmtree(place.root, ignore_errors=True)
    return asdict(run)


@contextmanager
def _one_core() -> Iterator[None]:
    """What is started in the block runs on one core, where the system can be told so."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _has_hyperscan(program: Path) -> bool:
    python = program.with_name("python")
    command = [str(python), "-c", "import hyperscan"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
