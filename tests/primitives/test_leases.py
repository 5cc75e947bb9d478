"""Leases: how long a holder is left alone, who may take over afterwards, and what the one that lost may still do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.primitives.team import Team
from tests.support.processes import wait_until
from tests.support.proxy import ANY, Drop, Hang, Proxy
from tests.support.servers import Endpoint, make_bucket
from tests.support.world import COMMAND_SECONDS, Result, World, finish
from tracecraft.claims import Claim
from tracecraft.errors import Held, LostLease, Refused, TracecraftError, UsageError
from tracecraft.lease import LeaseKeeper
from tracecraft.project import Project
from tracecraft.records import Stored, read

STEP = "s"
TTL = 5.0
"""The shortest there is."""
PATIENCE = 60.0
HOUR = 3600

_SHIFTED = """
import sys, time
true_time, offset = time.time_ns, int(sys.argv.pop(1))
time.time_ns = lambda: true_time() + offset * 10**9
from tracecraft.cli import main
main()
"""

_HOLD = """
import sys, time
from tracecraft import Project
with Project.open().steps.hold(sys.argv[1], ttl=5):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(params=["folder", "ministack"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A project on a folder, and on one server whose times are whole seconds."""
    if request.param == "folder":
        return World.in_folder(tmp_path)
    endpoint: Endpoint = request.getfixturevalue("ministack_endpoint")
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_bucket(endpoint, name)
    return World.in_bucket(tmp_path, endpoint, name)


def claim_of(project: Project, step: str = STEP) -> Stored[Claim]:
    claim = read(project.store, project.layout.claim(step), Claim)
    assert claim is not None
    return claim


def written_at(project: Project, step: str = STEP) -> float:
    """When the claim was last written by the store's clock."""
    return project.store.head(project.layout.claim(step)).modified


def start_shifted(world: World, agent: str, hours: int, *arguments: str) -> subprocess.Popen[str]:
    """Start a command on a machine whose clock is off."""
    return subprocess.Popen(
        [sys.executable, "-c", _SHIFTED, str(hours * HOUR), *arguments],
        cwd=world.folder(agent),
        env=world.environment(agent),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_shifted(world: World, agent: str, hours: int, *arguments: str) -> Result:
    return finish([start_shifted(world, agent, hours, *arguments)])[0]


# With real time


@pytest.mark.parametrize(("holder_off", "challenger_off"), [(-1, 1), (1, -1)])
def test_nobody_before_the_ttl_somebody_after_it(world: World, holder_off: int, challenger_off: int) -> None:
    """The holder is gone at once; clocks that are an hour off change nothing."""
    judge = world.open("judge")
    assert run_shifted(world, "holder", holder_off, "claim", STEP, "--ttl", "5").code == 0
    held = written_at(judge)
    refused = run_shifted(world, "challenger", challenger_off, "claim", STEP, "--ttl", "5", "--json")
    assert refused.code == 3, refused
    assert refused.error["holder"] == "holder"
    arguments = ("claim", STEP, "--ttl", "60", "--wait", f"{PATIENCE}s")
    assert run_shifted(world, "challenger", challenger_off, *arguments).code == 0
    assert written_at(judge) - held >= TTL
    record = claim_of(judge).record
    assert (record.agent, record.fence, record.previous) == ("challenger", 2, "holder")
    back = run_shifted(world, "holder", holder_off, "complete", STEP, "--json")
    assert back.code == 3
    assert back.error["code"] == "lost_lease"
    assert back.error["holder"] == "challenger"


def test_a_killed_holder_is_followed_by_another(world: World) -> None:
    judge = world.open("judge")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, STEP],
        cwd=world.folder("holder"),
        env=world.environment("holder"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert wait_until(lambda: claim_of(judge).record.rev >= 3, seconds=PATIENCE), "never renewed"
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    last_sign = written_at(judge)
    # Other work under the dead process's name does not keep what it alone held.
    world.open("holder").steps.claim("other-work", ttl=60)
    hold = world.open("next-one").steps.claim(STEP, ttl=60, wait=PATIENCE)
    assert (hold.how, hold.previous, hold.fence) == ("taken_over", "holder", 2)
    assert written_at(judge) - last_sign >= TTL


def test_a_hold_is_renewed_while_the_block_runs(folder_world: World) -> None:
    project = folder_world.open("me")
    with project.steps.hold(STEP, ttl=TTL) as held:
        first = written_at(project)
        assert wait_until(lambda: written_at(project) - first > TTL, seconds=PATIENCE), "never renewed"
        held.check()
        with pytest.raises(Held):
            folder_world.open("other").steps.claim(STEP)
    assert project.steps.view(STEP).state == "complete"


# Older claims, as the store's clock shows them


@pytest.fixture
def aged(folder_world: World) -> Callable[..., None]:
    """Let claims and heartbeats of a folder store be an hour older than they are."""

    def age(*keys: str, seconds: float = HOUR) -> None:
        for key in keys:
            path = folder_world.root / "store" / key
            modified = path.stat().st_mtime - seconds
            os.utime(path, (modified, modified))

    return age


@pytest.mark.parametrize("alive", ["agent", "self"])
def test_a_heartbeat_keeps_what_the_agent_holds_not_what_its_process_held(
    folder_world: World, aged: Callable[..., None], alive: str
) -> None:
    holder, other = folder_world.open("holder"), folder_world.open("other")
    holder.steps.claim(STEP, ttl=TTL, alive="self" if alive == "self" else "agent")
    aged(holder.layout.claim(STEP))
    if alive == "agent":
        with pytest.raises(Held) as refused:
            other.steps.claim(STEP)
        assert 0 < refused.value.fields["expires_in"] <= TTL + 2
    else:
        assert other.steps.claim(STEP).how == "taken_over"


def test_a_silent_agent_loses_what_it_holds(folder_world: World, aged: Callable[..., None]) -> None:
    holder = folder_world.open("holder")
    holder.steps.claim(STEP, ttl=60)
    aged(holder.layout.claim(STEP), holder.layout.agent("holder"), seconds=65)
    with pytest.raises(Held):
        folder_world.open("other").steps.claim(STEP)
    # A tenth of the ttl, 6 s here, is left for answers under way.
    aged(holder.layout.claim(STEP), holder.layout.agent("holder"), seconds=2)
    assert folder_world.open("other").steps.claim(STEP).how == "taken_over"


def test_renew_keeps_a_claim(folder_world: World, aged: Callable[..., None]) -> None:
    holder = folder_world.open("holder")
    holder.steps.claim(STEP, ttl=60)
    aged(holder.layout.claim(STEP), holder.layout.agent("holder"))
    holder.steps.renew([STEP])
    with pytest.raises(Held):
        folder_world.open("other").steps.claim(STEP)


@pytest.mark.parametrize("act", ["complete", "release", "renew", "claim"])
def test_a_holder_that_comes_back_late_changes_nothing(
    folder_world: World, aged: Callable[..., None], act: str
) -> None:
    holder, other = folder_world.open("holder"), folder_world.open("other")
    holder.steps.claim(STEP, ttl=60)
    aged(holder.layout.claim(STEP), holder.layout.agent("holder"))
    other.steps.claim(STEP)
    names = holder.layout
    kept = [names.claim(STEP), names.status(STEP)]
    before = [holder.store.get(key).data for key in kept]
    with pytest.raises(Refused, match="other") as refused:
        act_on(holder, act)
    assert type(refused.value) is (Held if act == "claim" else LostLease)
    assert (refused.value.exit_code, refused.value.fields["holder"]) == (3, "other")
    assert [holder.store.get(key).data for key in kept] == before
    assert other.steps.complete(STEP, fence=2).state == "complete"


def act_on(project: Project, act: str) -> None:
    match act:
        case "complete":
            project.steps.complete(STEP, note="too late", to="other")
        case "release":
            project.steps.release(STEP)
        case "renew":
            project.steps.renew([STEP])
        case _:
            project.steps.claim(STEP)


def test_a_late_holder_that_nobody_followed_may_finish(folder_world: World, aged: Callable[..., None]) -> None:
    holder = folder_world.open("holder")
    holder.steps.claim(STEP, ttl=60)
    aged(holder.layout.claim(STEP), holder.layout.agent("holder"))
    assert holder.steps.complete(STEP, fence=1).state == "complete"


def test_the_longest_hold_bounds_a_holder_that_goes_on_beating(folder_world: World, aged: Callable[..., None]) -> None:
    holder, other = folder_world.open("holder"), folder_world.open("other")
    holder.steps.claim(STEP, max_hold=2 * HOUR)
    aged(holder.layout.claim(STEP), seconds=1.5 * HOUR)
    holder.steps.renew([STEP])
    with pytest.raises(Held):
        other.steps.claim(STEP)
    began = claim_of(holder).record.held_since
    assert began is not None
    aged(holder.layout.claim(STEP), seconds=1.0)
    holder.steps.renew([STEP])
    assert claim_of(holder).record.held_since == began


def test_a_hold_that_is_too_long_is_taken_over(folder_world: World, aged: Callable[..., None]) -> None:
    holder, other = folder_world.open("holder"), folder_world.open("other")
    holder.steps.claim(STEP, max_hold=HOUR)
    aged(holder.layout.claim(STEP), seconds=1.5 * HOUR)
    holder.steps.renew([STEP])
    hold = other.steps.claim(STEP)
    assert (hold.how, hold.previous) == ("taken_over", "holder")
    # The new hold counts from its own beginning.
    with pytest.raises(Held):
        holder.steps.claim(STEP)


def test_a_claim_that_waits_wins_as_soon_as_the_step_is_released(folder_world: World) -> None:
    holder, other = folder_world.open("holder"), folder_world.open("other")
    holder.steps.claim(STEP)
    process = folder_world.start("other", "claim", STEP, "--wait", f"{PATIENCE}s")
    told = holder.layout.events()
    assert wait_until(
        lambda: any("claim.refused" in info.key for info in holder.store.list(told)), seconds=COMMAND_SECONDS
    )
    holder.steps.release(STEP)
    assert finish([process])[0].code == 0
    assert other.steps.view(STEP).held_by("other")


def test_a_claim_does_not_wait_longer_than_asked(team: Team) -> None:
    team.agent("holder").steps.claim(STEP)
    with pytest.raises(TracecraftError, match="waited in vain") as late:
        team.agent("other").steps.claim(STEP, wait=0.1)
    assert (late.value.exit_code, late.value.fields["holder"]) == (5, "holder")


# The keeper of one hold


@pytest.fixture
def proxied(tmp_path: Path, ministack_endpoint: Endpoint) -> Iterator[tuple[World, Proxy]]:
    """A project on a server whose connection can be cut."""
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_bucket(ministack_endpoint, name)
    with Proxy(ministack_endpoint.url) as proxy:
        yield World.in_bucket(tmp_path, ministack_endpoint, name, through=proxy.url), proxy


def test_a_keeper_notices_that_its_hold_is_over_and_says_so_once(folder_world: World) -> None:
    holder = folder_world.open("holder")
    told: list[str] = []
    keeper = LeaseKeeper(holder, holder.steps.claim(STEP, ttl=TTL, alive="self"), on_lost=lambda: told.append("lost"))
    keeper.start()
    try:
        folder_world.open("other").steps.claim(STEP, steal=True)
        assert keeper.lost.wait(PATIENCE)
    finally:
        keeper.stop()
    assert told == ["lost"]
    assert holder.steps.view(STEP).held_by("other")


def test_a_store_that_stays_away_until_the_deadline_costs_the_lease(proxied: tuple[World, Proxy]) -> None:
    world, proxy = proxied
    holder = world.open("holder")
    keeper = LeaseKeeper(holder, holder.steps.claim(STEP, ttl=TTL, alive="self"))
    keeper.start()
    try:
        proxy.down = True
        assert keeper.lost.wait(PATIENCE)
    finally:
        keeper.stop()


def test_a_store_that_comes_back_in_time_costs_nothing(proxied: tuple[World, Proxy]) -> None:
    world, proxy = proxied
    holder = world.open("holder")
    keeper = LeaseKeeper(holder, holder.steps.claim(STEP, ttl=30.0, alive="self"))
    keeper.start()
    try:
        rule = proxy.fault(ANY, Drop(), times=3)
        assert wait_until(lambda: rule.fired == 3, seconds=PATIENCE)
        rev = claim_of(holder).record.rev
        assert wait_until(lambda: claim_of(holder).record.rev > rev, seconds=PATIENCE)
    finally:
        keeper.stop()
    assert not keeper.lost.is_set()


def test_a_store_that_swallows_requests_costs_the_lease_before_anybody_takes_over(
    proxied: tuple[World, Proxy], ministack_endpoint: Endpoint
) -> None:
    """A renewal that hangs fails much later than the lease ends."""
    world, proxy = proxied
    direct = replace(world, url=world.url.replace(proxy.url, ministack_endpoint.url))
    rival = direct.open("rival")
    rival.probe()
    holder = world.open("holder")
    keeper = LeaseKeeper(holder, holder.steps.claim(STEP, ttl=TTL, alive="self"))
    proxy.fault(ANY, Hang(600), times=None)
    keeper.start()
    try:
        assert rival.steps.claim(STEP, wait=PATIENCE).how == "taken_over"
        assert keeper.lost.is_set()
    finally:
        keeper.stop()


def test_a_stopped_keeper_renews_no_more(team: Team) -> None:
    holder = team.agent("holder")
    keeper = LeaseKeeper(holder, holder.steps.claim(STEP, ttl=TTL, alive="self"))
    keeper.start()
    keeper.stop()
    assert not any(thread.name == f"lease-{STEP}" for thread in threading.enumerate())
    holder.steps.complete(STEP, fence=1)
    assert not keeper.lost.is_set()


# The context manager


def test_leaving_the_block_completes_the_step(team: Team) -> None:
    me = team.agent("me")
    with me.steps.hold(STEP) as held:
        assert held.hold.fence == 1
        assert claim_of(me).record.alive == "self"
    assert (me.steps.view(STEP).state, me.steps.view(STEP).agent) == ("complete", "me")


def test_an_exception_releases_the_step_with_its_reason(team: Team) -> None:
    me = team.agent("me")
    with pytest.raises(ValueError, match="no luck"), me.steps.hold(STEP):
        raise ValueError("no luck")
    assert me.steps.view(STEP).state == "pending"
    assert "no luck" in team.agent("other").steps.claim(STEP).note


def test_a_step_ended_inside_the_block_stays_as_it_was_ended(team: Team) -> None:
    me = team.agent("me")
    with me.steps.hold(STEP) as held:
        held.complete(outcome="needs_review", note="look at this", to="other")
    view = me.steps.view(STEP)
    assert view.state == "needs_review"
    assert view.handoff is not None
    assert (view.handoff.note, view.handoff.next_agent) == ("look at this", "other")


def test_a_block_whose_step_was_stolen_ends_in_lost_lease(team: Team) -> None:
    me, other = team.agent("me"), team.agent("other")
    with pytest.raises(LostLease), me.steps.hold(STEP):
        other.steps.claim(STEP, steal=True)
    assert other.steps.view(STEP).held_by("other")


def test_check_raises_once_the_lease_is_lost(team: Team) -> None:
    me, other = team.agent("me"), team.agent("other")

    def work() -> None:
        with me.steps.hold(STEP, ttl=TTL) as held:
            held.check()
            other.steps.claim(STEP, steal=True)
            assert wait_until(lambda: is_lost(held.check), seconds=PATIENCE), "not noticed"
            held.check()

    with pytest.raises(LostLease, match="lease of s was lost"):
        work()
    assert other.steps.view(STEP).held_by("other")


def is_lost(check: Callable[[], None]) -> bool:
    try:
        check()
    except LostLease:
        return True
    return False


def test_an_exception_in_a_block_whose_step_was_stolen_is_not_hidden(team: Team) -> None:
    me, other = team.agent("me"), team.agent("other")

    def work() -> None:
        with me.steps.hold(STEP):
            other.steps.claim(STEP, steal=True)
            raise ValueError("the real reason")

    with pytest.raises(ValueError, match="the real reason"):
        work()
    assert any("was not released" in notice for notice in me.notices)
    assert other.steps.view(STEP).held_by("other")


def test_a_held_step_is_not_entered(team: Team) -> None:
    team.agent("other").steps.claim(STEP)
    entered = False
    with pytest.raises(Held), team.agent("me").steps.hold(STEP):
        entered = True
    assert not entered


def test_a_ttl_too_short_is_refused_before_the_block(team: Team) -> None:
    with pytest.raises(UsageError), team.agent("me").steps.hold(STEP, ttl=1.0):
        pass
    assert not team.agent("me").steps.view(STEP).exists
