"""What a benchmark ran on: figures mean little without it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def facts() -> dict[str, str]:
    """The machine, the software and the moment, as short texts to print and to keep beside the raw numbers."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _said(["git", "rev-parse", "--short", "HEAD"]),
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
        "tracecraft": version("tracecraft-ai"),
        "obstore": version("obstore"),
        "ministack": version("ministack"),
        "moto": version("moto"),
        "ceph": _said(["ceph-mon", "--version"]),
    }


def sentence(said: Mapping[str, str]) -> str:
    """These facts for people."""
    shown = "; ".join(f"{name}: {value}" for name, value in said.items() if name not in ("when", "commit"))
    return f"Measured {said['when']} at commit {said['commit']}, on {shown}."


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _said(command: Sequence[str]) -> str:
    """What a program says, or that it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "not there"
