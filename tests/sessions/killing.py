"""A command that is killed at one of its requests."""

from __future__ import annotations

import signal
import subprocess
import threading

from tests.support.faults import Moment
from tests.support.proxy import Proxy
from tests.support.world import World, finish


def killed(world: World, agent: str, proxy: Proxy, n: int, moment: Moment, *line: str) -> bool:
    """Run a command of a world behind the proxy, killed at its n-th request; says whether it came to that."""
    started = threading.Event()
    processes: list[subprocess.Popen[str]] = []

    def kill() -> None:
        started.wait(30)
        processes[0].kill()
        processes[0].wait(30)

    proxy.on_request(n, kill, at=moment)
    processes.append(world.start(agent, *line))
    started.set()
    result = finish(processes)[0]
    assert result.code in (0, -signal.SIGKILL), result
    return result.code != 0
