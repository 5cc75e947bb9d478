"""A host that is cut off keeps its leases if it comes back in time, and has lost them for good if it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.hosts.site import Site
from tests.support.hosts import Host, Network
from tests.support.processes import wait_until
from tests.support.proxy import Match
from tests.support.scale import FULL
from tests.support.world import World, finish

TTL = "5"
"""The shortest there is."""

SECONDS = 60.0


def claim_on_file(world: World) -> tuple[str, int, int]:
    """Holder, fence and number of the change that made it so."""
    claim = world.open("judge").steps.view("build").claim
    assert claim is not None
    return claim.record.agent or "", claim.record.fence, claim.record.rev


def worker(mark: Path) -> list[str]:
    """A command that says that it works, again and again, until it is stopped."""
    return ["sh", "-c", f"while :; do echo >>{mark}; sleep 0.1; done"]


def test_a_claim_of_a_host_that_stays_away_is_taken_over(quick: Site, hosts: Sequence[Host]) -> None:
    alpha, beta, _ = (quick.on(host) for host in hosts)
    alpha.run("ada", "claim", "build", "--ttl", TTL)
    hosts[0].cut()
    lost_in_vain = alpha.start("ada", "complete", "build", "--json")
    taken = beta.run("bob", "claim", "build", "--wait", "1m", "--json").json
    assert (taken["how"], taken["previous"], taken["fence"]) == ("taken_over", "ada", 2)
    hosts[0].heal()
    (late,) = finish([lost_in_vain])
    assert (late.code, late.error["code"]) in ((3, "lost_lease"), (7, "unreachable"))
    for command in (["complete"], ["release"], ["renew"], ["complete", "--fence", "1"]):
        refused = alpha.run("ada", *command, "build", "--json", exits=3)
        assert (refused.error["code"], refused.error["holder"]) == ("lost_lease", "bob")
    assert alpha.run("ada", "claim", "build", "--json", exits=3).error["holder"] == "bob"
    beta.run("bob", "complete", "build", "--fence", "2")


def test_exec_on_a_host_that_stays_away_stops_its_command_before_another_begins(
    quick: Site, hosts: Sequence[Host], tmp_path: Path
) -> None:
    alpha, beta, _ = (quick.on(host) for host in hosts)
    marks, seen = tmp_path / "marks", tmp_path / "seen"
    first = alpha.start("ada", "exec", "build", "--ttl", TTL, "--json", "--", *worker(marks))
    assert wait_until(marks.exists, seconds=SECONDS)
    hosts[0].cut()
    # What the second worker finds when it begins is all that the first one ever did.
    beta.run("bob", "exec", "build", "--wait", "1m", "--", "cp", str(marks), str(seen))
    (stopped,) = finish([first])
    assert (stopped.code, stopped.error["code"]) == (103, "lost_lease")
    assert marks.read_text() == seen.read_text()
    hosts[0].heal()
    late = alpha.run("ada", "complete", "build", "--fence", "1", "--json", exits=3)
    assert (late.error["state"], late.error["agent"]) == ("complete", "bob")


def test_a_short_cut_costs_nothing(quick: Site, hosts: Sequence[Host], tmp_path: Path) -> None:
    ttl = "12"
    alpha, beta, _ = (quick.on(host) for host in hosts)
    marks, end = tmp_path / "marks", tmp_path / "end"
    command = ["sh", "-c", f"while [ ! -e {end} ]; do echo >>{marks}; sleep 0.1; done"]
    work = alpha.start("ada", "exec", "build", "--ttl", ttl, "--", *command)
    assert wait_until(marks.exists, seconds=SECONDS)
    renewing = Match("GET", key="steps/build/claim.json", client=hosts[0].address)

    def renewals() -> int:
        return sum(map(renewing, quick.proxy.requests))

    for how in (hosts[0].cut, hosts[0].unplug) if FULL else (hosts[0].cut,):
        before = renewals()
        assert wait_until(lambda before=before: renewals() > before, seconds=SECONDS)  # type: ignore[misc]
        _, _, rev = claim_on_file(quick.direct)
        how()
        assert beta.run("bob", "claim", "build", "--json", exits=3).error["holder"] == "ada"
        hosts[0].heal()
        assert wait_until(lambda rev=rev: claim_on_file(quick.direct)[2] > rev + 1, seconds=SECONDS)  # type: ignore[misc]
    end.touch()
    (done,) = finish([work])
    assert done.code == 0, done
    assert claim_on_file(quick.direct)[:2] == ("ada", 1)


def test_a_host_without_power_is_followed_by_another(
    quick: Site, hosts: Sequence[Host], network: Network, tmp_path: Path
) -> None:
    """Its agent's other host does not take the process there for dead, however its own processes are numbered."""
    beta = quick.on(hosts[1])
    doomed = network.add_host("doomed")
    marks = tmp_path / "marks"
    work = quick.on(doomed).start("ada", "exec", "build", "--ttl", TTL, "--", *worker(marks))
    assert wait_until(marks.exists, seconds=SECONDS)
    assert beta.run("ada", "exec", "build", "--json", "--", "true", exits=103).error["code"] == "held"
    doomed.power_off()
    finish([work])
    taken = beta.run("bob", "claim", "build", "--wait", "1m", "--json").json
    assert (taken["how"], taken["previous"]) == ("taken_over", "ada")
