"""Histories, races, faults, hosts and runs beside 0.2.x at full size. Figures: docs/soak.json, docs/soak.md.

python -m soak.run [options for pytest]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine

ROOT = Path(__file__).parents[1]
TESTS = ("tests/linear", "tests/races", "tests/faults", "tests/hosts", "tests/interop")


def main(options: Sequence[str]) -> int:
    ran_on, began = machine.facts(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tracecraft-soak-") as folder:
        figures = Path(folder, "figures.jsonl")
        environment = {**os.environ, "TRACECRAFT_SIZE": "full", "TRACECRAFT_FIGURES": str(figures)}
        command = [sys.executable, "-m", "pytest", *TESTS, *options]
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        rows = [json.loads(line) for line in figures.read_text().splitlines()] if figures.exists() else []
    if status:
        print("not everything passed: docs/soak.md and docs/soak.json stay as they were", file=sys.stderr)
        return status
    minutes = round((time.monotonic() - began) / 60, 1)
    report = {"schema": 2, "machine": ran_on, "minutes": minutes, "figures": rows}
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "soak.json").write_text(json.dumps(report, indent=2) + "\n")
    (ROOT / "docs" / "soak.md").write_text(page(report))
    return 0


def page(report: Mapping[str, Any]) -> str:
    """The report for people."""
    lines = [
        "# Long runs",
        "",
        "Written by `make soak`, which passes only if every test does: one winner in each race, nothing lost, nothing",
        "applied twice. The same figures for programs: [soak.json](soak.json).",
        "",
        f"{machine.sentence(report['machine'])} It took {report['minutes']} minutes.",
        "",
        "| Test | Store | Figures | Seconds |",
        "|---|---|---|---|",
    ]
    return "\n".join(lines + [row_of(row) for row in sorted_rows(report["figures"])]) + "\n"


def sorted_rows(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda row: (row["test"], row["store"]))


def row_of(row: Mapping[str, Any]) -> str:
    counted = {name: value for name, value in row.items() if name not in ("test", "store", "seconds")}
    shown = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in counted.items())
    return f"| {row['test']} | {row['store']} | {shown} | {row.get('seconds', '')} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
