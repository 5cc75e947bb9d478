"""Agents on three hosts work as one team: one wins, the others are told; what one leaves, the others find."""

from __future__ import annotations

from collections.abc import Sequence

from tests.hosts.site import Site
from tests.races.judge import complaints
from tests.races.test_one_winner import HELD_SECONDS, Deciding, told
from tests.support.hosts import Host
from tests.support.processes import wait_until
from tests.support.proxy import Match
from tests.support.scale import measured, size
from tests.support.world import finish

PER_HOST = 2


def test_one_winner_among_agents_on_three_hosts(here: Site, hosts: Sequence[Host]) -> None:
    races = size(60, 2)
    with measured("hosts: one winner", here.server) as figures:
        together = 0
        for number in range(races):
            step = f"step-{number}"
            gate = here.proxy.hold(Deciding(step, "if-none-match"), PER_HOST * len(hosts), timeout=HELD_SECONDS)
            agents = [(host, f"{host.name}-{n}") for host in hosts for n in range(PER_HOST)]
            started = [here.on(host).start(agent, "claim", step, "--json") for host, agent in agents]
            outcomes = [told(agent, step, said) for (_, agent), said in zip(agents, finish(started), strict=True)]
            assert not complaints(here.direct, step, outcomes)
            together += gate.complete
        assert together
        figures |= {"races": races, "hosts": len(hosts), "processes": races * PER_HOST * len(hosts)}


def test_a_waiter_wakes_when_another_host_completes(here: Site, hosts: Sequence[Host]) -> None:
    alpha, beta, gamma = (here.on(host) for host in hosts)
    alpha.run("ada", "claim", "design")
    waiters = [there.start(f"w{n}", "wait-for", "design", "--json") for n, there in enumerate((beta, gamma))]
    for host in hosts[1:]:
        looked = Match("GET", client=host.address)
        assert wait_until(lambda looked=looked: any(map(looked, here.proxy.requests)), seconds=60)  # type: ignore[misc]
    assert all(waiter.poll() is None for waiter in waiters)
    alpha.run("ada", "complete", "design")
    for result in finish(waiters):
        assert (result.code, result.json["complete"]) == (0, ["design"])


def test_mail_reaches_every_host_once(here: Site, hosts: Sequence[Host]) -> None:
    there = {host.name: here.on(host) for host in hosts}
    for name, world in there.items():
        for other in there:
            world.run(name, "send", other, f"{name} to {other}")
        world.run(name, "broadcast", f"{name} to all")
    for name, world in there.items():
        shown = {letter["message"] for letter in world.run(name, "inbox", "--new", "--json").json["messages"]}
        assert shown == {f"{sender} to {name}" for sender in there} | {
            f"{sender} to all" for sender in there if sender != name
        }
        assert world.run(name, "inbox", "--new", "--json").json["messages"] == []


def test_work_is_handed_from_host_to_host(here: Site, hosts: Sequence[Host]) -> None:
    alpha, beta, gamma = (here.on(host) for host in hosts)
    alpha.run("ada", "claim", "parser")
    notes = alpha.folder("ada") / "notes.txt"
    notes.write_text("half done")
    alpha.run("ada", "artifact", "upload", str(notes), "--step", "parser")
    alpha.run("ada", "complete", "parser", "--blocked", "--note", "see notes", "--to", "bob")

    taken = beta.run("bob", "claim", "parser", "--json").json
    assert (taken["fence"], taken["handoff"]["note"], taken["handoff"]["from_agent"]) == (2, "see notes", "ada")
    beta.run("bob", "artifact", "download", "notes.txt", "--step", "parser")
    assert (beta.folder("bob") / "notes.txt").read_text() == "half done"
    beta.run("bob", "complete", "parser", "--note", "done", "--to", "cid")

    assert gamma.run("cid", "handoff", "parser", "--json").json["handoff"]["note"] == "done"
    assert alpha.run("ada", "complete", "parser", "--fence", "1", "--json", exits=3).error["state"] == "complete"


def test_each_host_is_known_by_its_name(here: Site, hosts: Sequence[Host]) -> None:
    for host in hosts:
        here.on(host).run(host.name, "claim", f"on-{host.name}")
    places = {agent["agent"]: agent["place"] for agent in here.direct.run("x", "agents", "--json").json["agents"]}
    for host in hosts:
        assert host.name in places[host.name].partition("/")[0]
