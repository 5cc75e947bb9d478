"""Every command that writes, on a host that is cut off in the middle of it: what it says is true, and done once.

The host is cut off at a request: before it is applied, or when it is and the answer is under way. Meanwhile somebody on
another host wants the same. Then the host comes back. As most of the time goes by waiting, many hosts are cut off side
by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import cycle, product
from queue import SimpleQueue
from typing import TypeVar

import pytest

from tests.faults.commands import COMMANDS
from tests.hosts.cutting import READS_AND_WRITES, WRITES, Moment, cut_off
from tests.hosts.effects import check
from tests.hosts.site import Site
from tests.support.hosts import Host, Network
from tests.support.scale import FULL, measured, size

Case = TypeVar("Case")
Answer = TypeVar("Answer")

MOMENTS: Sequence[Moment] = ("lost", "unheard", "late")
PLANS: dict[str, Sequence[tuple[str, Moment]]] = {
    # In `make test` the moments take turns.
    "first write": list(product(COMMANDS, MOMENTS) if FULL else zip(COMMANDS, cycle(MOMENTS), strict=False)),
    "every request": list(product(COMMANDS, MOMENTS)),
    "until it gives up": [(name, "given-up") for name in COMMANDS],
}
SIDE_BY_SIDE = size(32, 25)
MOST = 200
"""No command makes so many requests, but `init`, which tries the store out."""


@pytest.fixture(scope="module")
def free_hosts(network: Network) -> SimpleQueue[Host]:
    """Hosts that no case uses at the moment."""
    free: SimpleQueue[Host] = SimpleQueue()
    for number in range(SIDE_BY_SIDE):
        free.put(network.add_host(f"cut-{number}"))
    return free


@pytest.mark.parametrize("plan", ["first write", *(["every request", "until it gives up"] if FULL else [])])
def test_cut_off(plan: str, quick: Site, hosts: Sequence[Host], free_hosts: SimpleQueue[Host]) -> None:
    cases = PLANS[plan]

    def run(case: tuple[str, Moment]) -> int:
        name, moment = case
        if plan == "every request":
            return at_every_request(partial(cut_at, quick, hosts[0], free_hosts, name, moment), name)
        assert cut_at(quick, hosts[0], free_hosts, name, moment, 1, WRITES), f"{name} never wrote"
        return 1

    with measured(f"hosts: cut off, {plan}", quick.server) as figures:
        figures["cuts"] = sum(side_by_side(run, cases))


def at_every_request(cut_once: Callable[[int, Sequence[str]], bool], name: str) -> int:
    """Cut a command off at its first request, its second, and so on until it has no more; how often that was."""
    cuts = 0
    for n in numbers(name):
        if not cut_once(n, READS_AND_WRITES):
            return cuts
        cuts += 1
    assert name == "init", f"{name} never ended"
    return cuts


def numbers(name: str) -> Iterator[int]:
    """At which requests to cut. Of the many with which `init` tries the store out most are left out."""
    return (n for n in range(1, MOST) if name != "init" or n <= 5 or n % 20 == 0)


def cut_at(
    site: Site, other: Host, free: SimpleQueue[Host], name: str, moment: Moment, n: int, methods: Sequence[str]
) -> bool:
    """One case, judged; False if the command makes no so many requests."""
    host = free.get()
    try:
        after = cut_off(site, host, other, name, n, moment, methods)
    finally:
        free.put(host)
    if after:
        check(after)
    return after is not None


def side_by_side(work: Callable[[Case], Answer], cases: Sequence[Case]) -> list[Answer]:
    """As many cases at once as there are hosts to be cut off; what went wrong in any of them is raised."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        futures = [pool.submit(work, case) for case in cases]
        try:
            wait(futures)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    errors = [error for future in futures if (error := future.exception())]
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(cases)} cases", [e for e in errors if isinstance(e, Exception)])
    return [future.result() for future in futures]
