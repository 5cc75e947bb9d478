"""Names a process of this machine so that its death can be told for certain later."""

from __future__ import annotations

import os
from pathlib import Path


def name(pid: int) -> str:
    """Machine, pid and start time of a process; empty where the system does not tell them."""
    machine, started = _machine(), _started(pid)
    return f"{machine}/{pid}/{started}" if machine and started else ""


def is_dead(process: str) -> bool:
    """Whether a named process is certainly gone. False for one on another machine, or when it cannot be told."""
    machine, _, rest = process.partition("/")
    pid, _, started = rest.partition("/")
    if not pid.isdigit() or not started or machine != _machine():
        return False
    return _started(int(pid)) != started


def _machine() -> str:
    """The running kernel and the pid namespace, since pids of one container mean nothing in another.

    After a reboot this differs, and a process of before is not called dead; its lease runs out.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}.{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start time in clock ticks since boot, field 22 of /proc/<pid>/stat (proc(5)); a zombie counts as gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
