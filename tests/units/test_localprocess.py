"""A process of this machine is called dead only when it certainly is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.processes import wait_until
from tracecraft import localprocess

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells when a process began")


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def test_a_life() -> None:
    process = sleeper()
    name = localprocess.name(process.pid)
    try:
        assert str(process.pid) in name
        assert not localprocess.is_dead(name)
        assert localprocess.name(process.pid) == name
    finally:
        process.kill()
    # A zombie, which nobody has waited for yet, is gone too.
    assert wait_until(lambda: localprocess.is_dead(name), seconds=30)
    process.wait(30)
    assert localprocess.is_dead(name)
    assert localprocess.name(process.pid) == ""


def test_a_pid_that_is_used_again_is_another_process() -> None:
    machine, pid, started = localprocess.name(os.getpid()).split("/")
    assert not localprocess.is_dead(f"{machine}/{pid}/{started}")
    assert localprocess.is_dead(f"{machine}/{pid}/{int(started) - 1}")


def test_what_cannot_be_told_is_not_dead() -> None:
    machine, pid, started = localprocess.name(os.getpid()).split("/")
    for text in ("", "/", "//", "x", f"elsewhere/{pid}/{started}", f"{machine}/{pid}", f"{machine}/{pid}/",
                 f"{machine}/x/1", f"{machine}/-1/1", "elsewhere/999999/1"):  # fmt: skip
        assert not localprocess.is_dead(text)


def test_a_process_with_a_name_like_a_trap() -> None:
    code = "open('/proc/self/comm', 'w').write(') R 1 2 ('); print(flush=True); import time; time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    name = localprocess.name(process.pid)
    try:
        assert name.rpartition("/")[2].isdigit()
        assert not localprocess.is_dead(name)
    finally:
        process.kill()
        process.communicate()
    assert localprocess.is_dead(name)
