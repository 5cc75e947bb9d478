"""Servers start, answer, say why they cannot, and are gone afterwards, however the tests ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ceph
from tests.support.processes import Child, StartError, free_port, listening, wait_until
from tests.support.s3 import Endpoint, send
from tests.support.servers import SERVERS, unavailable

ROOT = Path(__file__).parents[2]

PARENT = """
import sys, time
from pathlib import Path
from tests.support.processes import Child
child = Child([sys.executable, "-m", "http.server", "-b", "127.0.0.1", sys.argv[1]], log=Path(sys.argv[2]))
time.sleep(60)
"""

LEADER = """
import time
from tests.support.keeper import shared_ceph
from tests.support.runfolder import RunFolder
folder = RunFolder.begin()
first, second = shared_ceph(folder), shared_ceph(folder)
assert first == second
print(folder.path, first.url.rpartition(":")[2], flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_there_or_says_why_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert unavailable(name) is None or isinstance(unavailable(name), str)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("TRACECRAFT_TEST_S3", raising=False)
    assert (unavailable(name) is None) is (name in ("ministack", "moto"))


def test_ceph_names_the_programs_it_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", "/nowhere")
    assert ceph.available() == f"programs not found: {', '.join(ceph.PROGRAMS)}"


@pytest.mark.parametrize("fixture", ["moto_endpoint", "s3rver_endpoint"])
def test_a_server_that_cannot_be_trusted_says_so(fixture: str, request: pytest.FixtureRequest) -> None:
    endpoint = request.getfixturevalue(fixture)
    assert isinstance(endpoint, Endpoint)
    assert not endpoint.atomic
    assert send(endpoint, "PUT", "/bucket-one").status == 200
    assert send(endpoint, "PUT", "/bucket-one/key", b"1", headers={"If-None-Match": "*"}).status == 200
    again = send(endpoint, "PUT", "/bucket-one/key", b"2", headers={"If-None-Match": "*"})
    assert again.status == (200 if endpoint.name == "s3rver" else 412)


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "print('no luck'); raise SystemExit(3)"]
    shown = pytest.raises(StartError, match=r"ended with status 3(.|\n)*no luck")
    with Child(failing, log=tmp_path / "log") as child, shown:
        child.until(lambda: False, seconds=10, what="answer")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel kills orphans on Linux only")
def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    port = free_port()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(port), str(tmp_path / "log")], cwd=ROOT)
    assert wait_until(lambda: listening(port), seconds=10)
    parent.kill()
    parent.wait(10)
    assert wait_until(lambda: not listening(port), seconds=5)


def test_shared_ceph_goes_with_a_run_that_is_killed() -> None:
    if reason := ceph.available():
        pytest.skip(f"ceph: {reason}")
    leader = subprocess.Popen([sys.executable, "-c", LEADER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert leader.stdout is not None
    with leader.stdout:
        folder, port = leader.stdout.readline().split()
    assert listening(int(port))
    os.kill(leader.pid, signal.SIGKILL)
    leader.wait(10)
    assert wait_until(lambda: not Path(folder).exists(), seconds=10)
    assert not listening(int(port))
