"""Several hosts on one machine: each has a network, a host name and processes of its own, and its cable can be cut.

    with Network(tmp_path) as network:
        one, two = network.add_host("one"), network.add_host("two")
        with Proxy(endpoint.url, listener=network.listener()) as proxy:
            ...
            one.cut()       # nothing passes any more, in either direction, and nobody is told
            one.heal()

A host is a process (a waiting shell) in Linux namespaces of its own: network, host name, processes and mounts, the last
so that /proc shows the host's own processes. A switch, the network namespace of another such process, has a bridge to
which all hosts are wired. What happens on the switch's address is up to whoever listens there: `listener` makes a
socket that lives in the switch's network and serves a process outside of it.

Nothing has a name outside of these namespaces: two runs side by side do not see each other, and when the processes are
gone, however that came about (see processes.py), the kernel has removed everything.

`unavailable` says why this cannot be had here.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.support.processes import Child, wait_until

SWITCH = "10.77.0.1"
"""The address at which all hosts find the store. The same in every run, as each has a network of its own."""

_MOST = 250
_SECONDS = 30.0
_NEEDED = ("ip", "bridge", "nsenter", "unshare")
_BRIDGE_MAC = "02:00:00:00:00:01"
_FORWARDING, _DISABLED = "3", "0"
"""States of a bridge's port (bridge(8)). A disabled one drops what comes from either side; the link stays up."""

_APART = ("--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What a host, and the switch, has for itself. Its first process takes all the others with it when it ends."""

_NAMED = 'printf %s "$1" >/proc/sys/kernel/hostname && echo ready && while :; do sleep 3600 & wait; done'
"""The first process of a host: names it, and takes leave of every process that its parent left behind."""

_LISTEN = """
import socket, sys
here = socket.create_server((sys.argv[1], 0), backlog=512)
with socket.socket(fileno=int(sys.argv[2])) as back:
    socket.send_fds(back, [b"."], [here.fileno()])
"""


def unavailable() -> str | None:
    """Why there can be no hosts here, or None if there can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    for program in _NEEDED:
        if shutil.which(program) is None:
            return f"program not found: {program}"
    try_out = ["unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc", "--"]
    done = _run([*try_out, "ip", "-batch", "-"], "link add br0 type bridge\nlink add type veth\n")
    if done.returncode:
        return f"no network namespaces with a bridge (root and CAP_NET_ADMIN are needed): {done.stderr.strip()}"
    return None


class Host:
    """One machine of the network. `enter` begins a command line that is to run there; the folder `/` is its cwd."""

    def __init__(self, name: str, address: str, port: str, process: Child, network: Network) -> None:
        self.name = name
        self.address = address
        self._port = port
        self._process = process
        self._network = network

    @property
    def enter(self) -> Sequence[str]:
        own = f"/proc/{self._process.pid}/ns"
        return (
            *("nsenter", f"--net={own}/net", f"--uts={own}/uts", f"--mount={own}/mnt"),
            *(f"--pid={own}/pid_for_children", "--"),
        )

    def cut(self) -> None:
        """Lose every packet from and to the host from now on. Its connections hang; nobody is told anything."""
        assert self._set_port(_DISABLED) or self._process.status is not None

    def unplug(self) -> None:
        """The same, and the host knows: connections it opens fail at once. Those it has hang."""
        self.cut()
        _batch(self.enter, "link set eth0 down")

    def heal(self) -> None:
        """Let packets pass again. What TCP has sent in vain it sends again, after a pause as long as the cut."""
        _batch(self.enter, "link set eth0 up", f"neigh replace {SWITCH} lladdr {_BRIDGE_MAC} dev eth0 nud permanent")
        # A link that was down takes a moment to come up; before, its port takes no orders.
        assert wait_until(lambda: self._set_port(_FORWARDING), seconds=_SECONDS), f"{self.name} did not come back"

    def power_off(self) -> None:
        """End the host: all its processes are killed, and nobody hears of it."""
        self.cut()
        self._process.stop()

    def _set_port(self, state: str) -> bool:
        return self._network.on_switch("bridge", "link", "set", "dev", self._port, "state", state)


class Network:
    """A switch and the hosts wired to it, from entering the block to leaving it. Logs go to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(2)
        self._children: list[Child] = []

    def add_host(self, name: str) -> Host:
        """Wire up one more host with this host name. From the main thread, as its process is to outlive the thread."""
        number = next(self._numbers)
        assert number <= _MOST, "too many hosts for one network"
        process = self._start(name)
        address, port, mac = f"10.77.0.{number}", f"port{number}", f"02:00:00:00:01:{number:02x}"
        _batch(
            self._enter,
            f"link add {port} type veth peer name eth0 address {mac} netns {process.pid}",
            f"link set {port} master br0 up",
            f"neigh replace {address} lladdr {mac} dev br0 nud permanent",
        )
        host = Host(name, address, port, process, self)
        _batch(host.enter, "link set lo up", f"addr add {address}/24 dev eth0")
        host.heal()
        return host

    def listener(self) -> socket.socket:
        """A listening socket on the switch's address and a free port, for use by this process."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [*self._enter, sys.executable, "-c", _LISTEN, SWITCH, str(theirs.fileno())]
            subprocess.run(command, pass_fds=[theirs.fileno()], timeout=_SECONDS, check=True)
            _, handles, _, _ = socket.recv_fds(ours, 1, 1)
        return socket.socket(fileno=handles[0])

    def on_switch(self, *command: str) -> bool:
        """Run a command in the switch's network; says whether it succeeded."""
        return _run([*self._enter, *command]).returncode == 0

    def __enter__(self) -> Network:
        self._switch = self._start("switch")
        _batch(
            self._enter,
            "link set lo up",
            f"link add br0 address {_BRIDGE_MAC} type bridge stp_state 0 forward_delay 0",
            f"addr add {SWITCH}/24 dev br0",
            "link set br0 up",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self._children):
            child.stop()

    @property
    def _enter(self) -> Sequence[str]:
        return ("nsenter", f"--net=/proc/{self._switch.pid}/ns/net", "--")

    def _start(self, name: str) -> Child:
        """A process that keeps new namespaces until it is stopped, or who started it is killed."""
        log = self._folder / f"{name}-{len(self._children)}.log"
        child = Child(["unshare", *_APART, "sh", "-c", _NAMED, "sh", name], log=log, env=_environment())
        self._children.append(child)
        child.until(lambda: "ready" in log.read_text(), seconds=_SECONDS, what="namespace")
        return child


def _batch(enter: Sequence[str], *commands: str) -> None:
    """Several commands of `ip` in one namespace, which must succeed."""
    done = _run([*enter, "ip", "-batch", "-"], "\n".join(commands))
    assert done.returncode == 0, (commands, done.stderr)


def _run(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False, env=_environment()
    )


def _environment() -> dict[str, str]:
    """With the folders where `ip` and `bridge` are, which not every root has on its path."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
