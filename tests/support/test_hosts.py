"""Hosts are apart from each other and from this machine, and a cut loses packets without a word to anybody."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.hosts import SWITCH, Host, Network
from tests.support.processes import wait_until

ROOT = Path(__file__).parents[2]

_ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as there:
    there.settimeout(60)
    for word in (b"one", b"two"):
        there.sendall(word)
        print(there.recv(10).decode(), flush=True)
        sys.stdin.readline()
"""
"""Says a word to a server that repeats it, and shows the answer; and again after a line of input."""


def on(host: Host, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*host.enter, *command], capture_output=True, text=True, timeout=60, check=False)


def said_on(host: Host, *command: str) -> str:
    done = on(host, *command)
    assert done.returncode == 0, done
    return done.stdout.strip()


def test_each_host_has_a_name_processes_and_a_network_of_its_own(network: Network) -> None:
    one, two = network.add_host("one"), network.add_host("two")
    look = "import os, platform; print(platform.node(), os.stat('/proc/self/ns/pid').st_ino, os.path.exists('/proc/1'))"
    first, second = (said_on(host, sys.executable, "-c", look).split() for host in (one, two))
    assert (first[0], second[0]) == ("one", "two")
    assert first[1] != second[1]
    assert "sleep" in said_on(one, "cat", "/proc/1/cmdline")
    assert "10.77.0" in said_on(one, "ip", "-brief", "address", "show", "eth0")
    here = subprocess.run(["ip", "link"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "br0" not in here
    assert "port" not in here


_BUILD = """
import sys, time
from pathlib import Path
from tests.support.hosts import Network
with Network(Path(sys.argv[1])) as network:
    network.add_host("one")
    print("built", flush=True)
    time.sleep(600)
"""


@pytest.mark.usefixtures("network")
def test_nothing_is_left_of_a_network_whose_maker_was_killed(tmp_path: Path) -> None:
    mark = f"TRACECRAFT_TEST_MARK={tmp_path}"
    maker = subprocess.Popen(
        [sys.executable, "-c", _BUILD, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, TRACECRAFT_TEST_MARK=str(tmp_path)),
    )
    with maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "built\n"
        assert len(_marked(mark)) > 4  # the maker, and two processes at least of the switch and of the host
        maker.kill()
    assert wait_until(lambda: not _marked(mark), seconds=60)


def test_a_cut_loses_packets_and_a_connection_survives_it(network: Network) -> None:
    host = network.add_host("asker")
    with network.listener() as listener:
        command = [*host.enter, sys.executable, "-c", _ASK, SWITCH, str(listener.getsockname()[1])]
        asker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert asker.stdin is not None
        assert asker.stdout is not None
        listener.settimeout(60)
        connection, _ = listener.accept()
        with connection, asker:
            connection.settimeout(60)
            connection.sendall(connection.recv(10))
            assert asker.stdout.readline() == "one\n"
            host.cut()
            asker.stdin.write("\n")
            asker.stdin.flush()
            connection.setblocking(False)
            assert not wait_until(lambda: heard(connection), seconds=0.5)
            host.heal()
            assert wait_until(lambda: heard(connection), seconds=60)
            connection.sendall(b"two")
            assert asker.stdout.readline() == "two\n"
            asker.stdin.close()


def test_an_unplugged_host_is_told_at_once(network: Network) -> None:
    host = network.add_host("unplugged")
    with network.listener() as listener:
        port = listener.getsockname()[1]
        connect = ["python3", "-c", f"import socket; socket.create_connection(('{SWITCH}', {port}), 60).close()"]
        said_on(host, *connect)
        host.unplug()
        assert "unreachable" in on(host, *connect).stderr
        host.heal()
        said_on(host, *connect)


def test_nothing_on_a_host_outlives_its_power(network: Network, tmp_path: Path) -> None:
    host = network.add_host("short-lived")
    alive = tmp_path / "alive"
    command = [*host.enter, "sh", "-c", f"echo >{alive}; exec sleep 600"]
    process = subprocess.Popen(command)
    assert wait_until(alive.exists, seconds=30)
    host.power_off()
    assert process.wait(30) != 0


def _marked(setting: str) -> list[str]:
    """The processes that have this setting in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if setting.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
    return found


def heard(connection: socket.socket) -> bool:
    """Whether something has come; it is left there."""
    try:
        return bool(connection.recv(10, socket.MSG_PEEK))
    except BlockingIOError:
        return False
