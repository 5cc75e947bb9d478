"""Round trips: how many waves of requests a command takes on a bucket, once everything is set up.

The proxy delays every request, so requests sent side by side overlap and requests sent one after another do not.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.proxy import Match, Proxy, Request, waves
from tests.support.s3 import make_bucket
from tests.support.servers import Endpoint
from tests.support.world import World

DELAYS = (0.05, 0.3, 1.0)
"""Seconds, tried in turn. A starved machine may send the requests of one wave so late that they do not overlap; what is
really done one after the other overlaps with no delay."""


@pytest.fixture(scope="module")
def proxy(ministack_endpoint: Endpoint) -> Iterator[Proxy]:
    with Proxy(ministack_endpoint.url) as proxy:
        yield proxy


@pytest.fixture
def slow(tmp_path_factory: pytest.TempPathFactory, ministack_endpoint: Endpoint, proxy: Proxy) -> World:
    """A project whose agents `a` and `b` are set up, behind the proxy."""
    root = tmp_path_factory.mktemp("waves")
    name = f"waves-{root.name.lower()}"
    make_bucket(ministack_endpoint, name)
    world = World.in_bucket(root, ministack_endpoint, name, through=proxy.url)
    proxy.delay = 0.0
    for agent in ("a", "b"):
        world.run(agent, "init")
    world.run("a", "run", "start", "x")
    return world


def requests_of(proxy: Proxy, world: World, delay: float, command: str, exits: int = 0) -> list[Request]:
    """What one command of agent `a` asked of the store."""
    proxy.clear()
    proxy.delay = delay
    try:
        world.run("a", *command.split(), exits=exits)
    finally:
        proxy.delay = 0.0
    return proxy.requests


def shallow(proxy: Proxy, world: World, command: str, most: int) -> list[Request]:
    """The requests of a command, in which N tells its runs apart. Fails if there are more waves than `most`."""
    for number, delay in enumerate(DELAYS):
        prepare(world, number)
        requests = requests_of(proxy, world, delay, command.replace("N", str(number)))
        if waves(requests) <= most:
            return requests
    raise AssertionError(f"{waves(requests)} waves, not {most}:\n{chain(requests)}")


def chain(requests: list[Request]) -> str:
    """The requests as a failing test shows them."""
    began = min(request.started for request in requests)
    return "\n".join(
        f"{request.started - began:6.3f} to {request.ended - began:6.3f}  {request.method} {request.path}"
        + (" (conditional)" if request.conditional else "")
        for request in requests
    )


@pytest.mark.parametrize(
    ("command", "most"),
    [
        ("claim freshN", 2),
        ("complete mineN --note done --to b", 3),
        ("send b hello", 1),
        ("broadcast hello", 1),
        ("memory get k", 1),
        ("memory set k new", 1),
        ("memory set new.keyN v --if-absent", 2),
        ("inbox", 3),
        ("inbox --new", 4),
        ("status", 3),
        ("step-status mineN", 1),
        ("wait-for doneN", 1),
        ("log", 2),
        ("agents", 3),
        ("run log-metric m 1", 2),
        ("run log-usage --model m --input 1 --output 1", 2),
        ("run note hello", 2),
    ],
)
def test_waves(proxy: Proxy, slow: World, command: str, most: int) -> None:
    assert shallow(proxy, slow, command, most)


def test_the_count_can_fail(proxy: Proxy, slow: World) -> None:
    """A claim takes a wave to decide and one for its views: never one alone."""
    with pytest.raises(AssertionError, match="2 waves, not 1"):
        shallow(proxy, slow, "claim otherN", 1)


def test_a_swap_of_memory(proxy: Proxy, slow: World) -> None:
    slow.run("a", "memory", "set", "swapped", "v")
    version = slow.run("a", "memory", "get", "swapped", "--json").json["version"]
    for delay in DELAYS:
        requests = requests_of(proxy, slow, delay, f"memory set swapped v --if-version {version}")
        if waves(requests) <= 2:
            return
        version = slow.run("a", "memory", "get", "swapped", "--json").json["version"]
    raise AssertionError(chain(requests))


def test_the_first_wave_of_a_claim_decides(proxy: Proxy, slow: World) -> None:
    requests = shallow(proxy, slow, "claim decidedN", 2)
    (decision,) = [request for request in requests if Match("PUT", key="claim.json", conditional=True)(request)]
    assert waves([request for request in requests if request.started <= decision.started]) == 1, chain(requests)


def test_each_poll_of_a_barrier_is_one_wave(proxy: Proxy, slow: World) -> None:
    """Two steps, of which one stays open."""
    prepare(slow, 0)
    for delay in DELAYS:
        requests = requests_of(proxy, slow, delay, "wait-for mine0 done0 --timeout 5s", exits=5)
        polls = sum(Match("GET", key="steps/mine0/claim.json")(request) for request in requests)
        assert polls >= 2
        if waves(requests) == polls:
            return
    raise AssertionError(chain(requests))


def test_many_messages_cost_no_more_waves(proxy: Proxy, slow: World) -> None:
    prepare(slow, 0)
    sender = slow.open("b").mailbox
    for delay in DELAYS:
        for number in range(40):
            sender.send("a", str(number))
        requests = requests_of(proxy, slow, delay, "inbox --new")
        assert len(requests) > 40
        if waves(requests) <= 4:
            return
    raise AssertionError(chain(requests))


def prepare(world: World, number: int) -> None:
    """Steps, memory and mail for agent `a`, which has done something of everything before."""
    ann, bob = world.open("a"), world.open("b")
    ann.steps.claim(f"done{number}")
    ann.steps.complete(f"done{number}")
    ann.steps.claim(f"mine{number}")
    ann.memory.set("k", "v")
    bob.mailbox.send("a", "first")
    assert list(ann.mailbox.new())
    bob.mailbox.send("a", "second")
