"""The benchmarks: python -m benchmarks.run [PART ...] [pages] [--quick] [--into FOLDER]

The parts are speed, waiters, scale, sessions, runs, trackers, contention and redaction. Without names, all of them;
`pages` only writes the pages anew. Raw numbers go to benchmarks/results/, and docs/performance.md and docs/at-scale.md
are written from them. --quick tries everything at tiny sizes, and writes to a new folder instead, or to FOLDER; so
does --into alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import paper, redaction, scale, speed, tables, waiters
from benchmarks.contention import run as contention
from benchmarks.machine import facts
from benchmarks.measure import BenchmarkError
from benchmarks.runs import recording, trackers
from benchmarks.sessions import run as sessions
from tests.support.servers import unavailable

ROOT = Path(__file__).parents[1]
PARTS = ("speed", "waiters", "scale", "sessions", "runs", "trackers", "contention", "redaction")
WITHOUT_CEPH = ("redaction", "runs", "trackers", "pages")


@dataclass(frozen=True)
class Target:
    """Where what was measured goes, and the pages made of it."""

    results: Path
    pages: Path

    def write_pages(self) -> None:
        (self.pages / "performance.md").write_text(tables.page(self.results))
        if at_scale := paper.page(self.results):
            (self.pages / "at-scale.md").write_text(at_scale)


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    for name, value in facts().items():
        print(f"{name}: {value}", flush=True)
    try:
        if set(options.parts) - set(WITHOUT_CEPH) and (reason := unavailable("ceph")):
            raise BenchmarkError(f"the benchmarks need Ceph: {reason}")
        target = _target(options.quick, options.into)
        for part in options.parts:
            _run(part, target, quick=options.quick)
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    print(f"results in {target.results}, pages in {target.pages}")
    return 0


def _run(part: str, target: Target, *, quick: bool) -> None:
    """One part, and the page anew: what was measured stays even if a later part fails."""
    print(f"== {part}", flush=True)
    began = time.monotonic()
    match part:
        case "speed":
            speed.main(target.results, speed.QUICK if quick else speed.FULL)
        case "waiters":
            waiters.main(target.results, waiters.QUICK if quick else waiters.FULL)
        case "scale":
            scale.main(target.results, scale.QUICK if quick else scale.FULL)
        case "sessions":
            sessions.main(target.results, sessions.QUICK if quick else sessions.FULL)
        case "runs":
            recording.main(target.results, recording.QUICK if quick else recording.FULL)
        case "trackers":
            trackers.main(target.results, trackers.QUICK if quick else trackers.FULL)
        case "contention":
            contention.main(quick)
        case "redaction":
            redaction.main(target.results, redaction.QUICK if quick else redaction.FULL)
        case "pages":
            pass
    target.write_pages()
    print(f"{part} took {time.monotonic() - began:.0f} s", flush=True)


def _target(quick: bool, into: Path | None) -> Target:
    if into is None and not quick:
        return Target(ROOT / "benchmarks" / "results", ROOT / "docs")
    folder = into or Path(tempfile.mkdtemp(prefix="tracecraft-bench-"))
    (folder / "results").mkdir(parents=True, exist_ok=True)
    return Target(folder / "results", folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Measure; see benchmarks/run.py.")
    parser.add_argument("parts", nargs="*", metavar="PART", type=_part, default=PARTS, help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="tiny sizes, into a new folder")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="write there")
    return parser


def _part(text: str) -> str:
    if text not in (*PARTS, "pages"):
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(PARTS)}, pages")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
