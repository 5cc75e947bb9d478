"""One command on a host that is cut off in the middle of it, while somebody on another host does something about it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from tests.faults.commands import COMMANDS, WHOLE_BOARD, agent_of
from tests.hosts.site import Site
from tests.support.faults import Request
from tests.support.hosts import Host
from tests.support.processes import wait_until
from tests.support.proxy import Drop
from tests.support.world import COMMAND_SECONDS, Result, World, finish

Moment = Literal["lost", "unheard", "late", "given-up"]
"""What becomes of the request at which the host is cut off.

lost      it never reaches the server; the host is back when the client has given this request up
unheard   it is applied and the answer is lost; the same
late      it is applied and the answer comes when the host is back, soon after
given-up  it is applied and the answer is lost; the host is back when the command has ended
"""

READS_AND_WRITES = ("GET", "HEAD", "PUT", "POST", "DELETE")
WRITES = ("PUT", "POST", "DELETE")

CUT_SECONDS = 11.0
"""A little longer than a client waits for an answer."""

_START_SECONDS = 60.0

_OWN_PROJECT = (*WHOLE_BOARD, "send", "broadcast")
"""Commands that deal with all there is, or that write to everybody."""

_ON_STEPS = ("claim", "steal", "release", "renew", "complete", "blocked", "review", "force", "reopen")

RIVALS: dict[str, list[str]] = {
    **{name: ["claim", "{case}"] for name in (*_ON_STEPS, "exec", "exec-fail")},
    "next": ["next", "--tag", "{case}"],
    "set": ["memory", "set", "{case}", "theirs"],
    "swap": ["memory", "set", "{case}", "theirs", "--if-version", "{0}"],
    "create": ["memory", "set", "{case}", "theirs", "--if-absent"],
    "send": ["inbox", "--new"],
    "broadcast": ["inbox", "--new"],
}
"""What an agent called `other` does on another host meanwhile."""


@dataclass(frozen=True)
class Aftermath:
    """A command that was cut off: `said` is how it ended, `again` how its repetition did, where that was called for."""

    name: str
    case: str
    world: World
    host: World
    said: Result
    again: Result | None
    other: Result | None

    @property
    def agent(self) -> str:
        return agent_of(self.case)

    @property
    def done(self) -> bool:
        """Whether the agent was told, in the end, that its command is done."""
        return 0 in (self.said.code, self.again.code if self.again else None)

    @property
    def other_won(self) -> bool:
        return self.other is not None and self.other.code == 0


class Scissors:
    """Cuts a host off at the n-th request from it, of some methods, while `live`."""

    def __init__(self, site: Site, host: Host, n: int, moment: Moment, methods: Collection[str]) -> None:
        self.live = True
        self.done = threading.Event()
        self._host = host
        self._methods = methods
        at = {"lost": "before", "late": "forwarded"}.get(moment, "after")
        site.proxy.on_request(n, self._cut, self._matches, at=at)  # type: ignore[arg-type]  # one of its moments
        if at == "after":
            site.proxy.fault(self._matches, Drop(applied=True), skip=n - 1)

    def _matches(self, request: Request) -> bool:
        return self.live and request.client == self._host.address and request.method in self._methods

    def _cut(self) -> None:
        self._host.cut()
        self.done.set()


def cut_off(
    site: Site, host: Host, other: Host, name: str, n: int, moment: Moment, methods: Collection[str]
) -> Aftermath | None:
    """Run a command that is cut off at its n-th request, and what follows. None if it has no so many requests."""
    case = f"{name}-{n}-{moment}"
    project = case if name in _OWN_PROJECT else site.direct.project
    world, there, elsewhere = (replace(w, project=project) for w in (site.direct, site.on(host), site.on(other)))
    if project != site.direct.project:
        world.open("setup").probe()
    facts = COMMANDS[name].before(world, case)
    line = filled(COMMANDS[name].arguments, facts, case)
    scissors = Scissors(site, host, n, moment, methods)
    process = there.start(agent_of(case), *line, TRACECRAFT_JSON="1")
    try:
        in_time = wait_until(lambda: scissors.done.is_set() or process.poll() is not None, seconds=_START_SECONDS)
        assert in_time, f"{case} made neither an end nor {n} requests"
        rival = RIVALS.get(name) if scissors.done.is_set() else None
        met = elsewhere.run("other", *filled(rival, facts, case), "--json", exits=None) if rival else None
        if moment != "late":
            _wait(process, COMMAND_SECONDS if moment == "given-up" else CUT_SECONDS)
    finally:
        scissors.live = False
        host.heal()
    (said,) = finish([process])
    if not scissors.done.is_set():
        assert said.code == (1 if name == "exec-fail" else 0), (case, said)
        return None
    again = repeated(there, name, case, line) if said.code % 100 == 7 else None
    return Aftermath(name, case, world, there, said, again, met)


def repeated(there: World, name: str, case: str, line: list[str]) -> Result | None:
    """What a careful user does after exit 7: look, and repeat what did not happen."""
    agent = agent_of(case)
    if name in ("send", "broadcast") and there.run(agent, "sent", "--json").json["sent"]:
        return None
    return there.run(agent, *line, exits=None, TRACECRAFT_JSON="1")


def filled(arguments: Collection[str], facts: list[str], case: str) -> list[str]:
    return [part.format(*facts, case=case, agent=agent_of(case)) for part in arguments]


def _wait(process: subprocess.Popen[str], seconds: float) -> None:
    wait_until(lambda: process.poll() is not None, seconds=seconds)
