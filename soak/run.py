"""Histories, races, faults, hosts, mirroring and work beside 0.2.x at full size. Figures: docs/soak.json, docs/soak.md.

python -m soak.run [PART ...] [-- options for pytest]      parts: linear races faults hosts mirroring interop; none: all
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from benchmarks import machine

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "soak.json"
PAGE = ROOT / "docs" / "soak.md"
PARTS = {
    "linear": "Histories",
    "races": "Races",
    "faults": "Faults",
    "hosts": "Hosts",
    "mirroring": "Mirroring",
    "interop": "Beside 0.2.x",
}
"""The folders of tests, each with its heading."""

_HEAD = """\
# Long runs

Written by `make soak`. A part is written only if every test in it passed: each history has an order that explains it,
each race one winner, each mirrored transcript is its source, nothing is lost, nothing applied twice. The same figures
for programs: [soak.json](soak.json).
What these tests are: [How the guarantees are tested](correctness.md).
"""


def main(arguments: Sequence[str]) -> int:
    parts = list(takewhile(lambda argument: argument != "--", arguments))
    if unknown := set(parts) - PARTS.keys():
        print(f"{', '.join(sorted(unknown))}: none of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    failed = [part for part in parts or PARTS if not soak(part, arguments[len(parts) + 1 :])]
    if failed:
        print(f"not everything passed in {', '.join(failed)}: what is written of that is of before", file=sys.stderr)
    return 1 if failed else 0


def soak(part: str, options: Sequence[str]) -> bool:
    """Run a part and write what it measured. False when not every test passed."""
    ran_on = machine.facts()
    with tempfile.TemporaryDirectory(prefix="tracecraft-soak-") as folder:
        figures = Path(folder, "figures.jsonl")
        environment = {**os.environ, "TRACECRAFT_SIZE": "full", "TRACECRAFT_FIGURES": str(figures)}
        command = [sys.executable, "-m", "pytest", f"tests/{part}", *options]
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            return False
        rows = [json.loads(line) for line in figures.read_text().splitlines()] if figures.exists() else []
    record(part, {"machine": ran_on, "figures": sorted(rows, key=lambda row: (row["test"], row["store"]))})
    return True


def record(part: str, measured: Mapping[str, Any]) -> None:
    """Put what a part measured beside what is known of the others."""
    report: dict[str, Any] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {"schema": 2, "parts": {}}
    report["parts"][part] = measured
    FIGURES.write_text(json.dumps(report, indent=2) + "\n")
    PAGE.write_text(page(report))


def page(report: Mapping[str, Any]) -> str:
    """The report for people."""
    known = [part for part in PARTS if part in report["parts"]]
    return "\n".join([_HEAD, *(line for part in known for line in _section(part, report["parts"][part]))])


def _section(part: str, measured: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {PARTS[part]}", "", machine.sentence(measured["machine"]), "")
    if measured["figures"]:
        yield from ("| Test | Store | Figures | Seconds |", "|---|---|---|---:|", *_rows(measured["figures"]), "")
    else:
        yield from ("All of it passed; nothing is counted there.", "")


def _rows(figures: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for row in figures:
        counted = {name: value for name, value in row.items() if name not in ("test", "store", "seconds")}
        shown = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in counted.items())
        yield f"| {row['test']} | {row['store']} | {shown} | {row.get('seconds', '')} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
