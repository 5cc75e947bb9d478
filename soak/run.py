"""The races, the faults, the hosts and the runs beside 0.2.x at full size. Figures: docs/soak.json, docs/soak.md.

python soak/run.py [options for pytest]
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TESTS = ("tests/races", "tests/faults", "tests/hosts", "tests/interop", "soak")
PACKAGES = ("tracecraft-ai", "obstore", "ministack", "moto")


def main(options: Sequence[str]) -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tracecraft-soak-") as folder:
        figures = Path(folder, "figures.jsonl")
        environment = {**os.environ, "TRACECRAFT_SIZE": "full", "TRACECRAFT_FIGURES": str(figures)}
        command = [sys.executable, "-m", "pytest", *TESTS, *options]
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        rows = [json.loads(line) for line in figures.read_text().splitlines()] if figures.exists() else []
    if status:
        print("not everything passed: docs/soak.md and docs/soak.json stay as they were", file=sys.stderr)
        return status
    report = {"schema": 1, **circumstances(), "minutes": round((time.monotonic() - began) / 60, 1), "figures": rows}
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "soak.json").write_text(json.dumps(report, indent=2) + "\n")
    (ROOT / "docs" / "soak.md").write_text(page(report))
    return 0


def circumstances() -> dict[str, Any]:
    """When, where and with what this ran."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _first_line(["git", "-C", str(ROOT), "rev-parse", "HEAD"]),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "ceph": _first_line(["radosgw", "--version"]),
    }


def page(report: Mapping[str, Any]) -> str:
    """The report for people."""
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    lines = [
        "# Long runs",
        "",
        "Written by `make soak`, which passes only if every test does: one winner in each race, nothing lost, nothing",
        "applied twice. The same figures for programs: [soak.json](soak.json).",
        "",
        f"- {report['at']}, commit {report['commit'][:12]}, {report['minutes']} minutes",
        f"- {report['system']}, {report['processors']} processors, {report['memory_gib']} GiB",
        f"- Python {report['python']}, {versions}, {report['ceph'] or 'no Ceph'}",
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


def _first_line(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    return done.stdout.partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
