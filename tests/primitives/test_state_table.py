"""The table of a step's states: what each action makes of each state, who is told what, and what the views say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.primitives.team import Team
from tracecraft import localprocess
from tracecraft.claims import Outcome
from tracecraft.errors import Held, LostLease, NothingReady, TracecraftError, WrongState
from tracecraft.project import Project

STEP = "s"
ME, OTHER = "me", "other"


class Now(NamedTuple):
    """What a step is after an action that was accepted."""

    state: str
    agent: str | None
    fence: int


Prepare = Callable[[Team], None]
Action = Callable[[Project], object]


def nothing(_team: Team) -> None:
    """Leave the step as it is declared."""


def held_by(agent: str, *, expired: bool = False) -> Prepare:
    def prepare(team: Team) -> None:
        team.agent(agent).steps.claim(STEP)
        if expired:
            team.silence(agent)

    return prepare


def ended_by(agent: str, outcome: Outcome) -> Prepare:
    def prepare(team: Team) -> None:
        steps = team.agent(agent).steps
        steps.claim(STEP)
        steps.complete(STEP, outcome=outcome, note=f"left {outcome}")

    return prepare


def released_by(agent: str) -> Prepare:
    def prepare(team: Team) -> None:
        steps = team.agent(agent).steps
        steps.claim(STEP)
        steps.release(STEP, note="left it")

    return prepare


def reopened(team: Team) -> None:
    ended_by(OTHER, "complete")(team)
    team.agent("third").steps.reopen(STEP, note="once more")


STATES: dict[str, Prepare] = {
    "absent": nothing,
    "mine": held_by(ME),
    "mine, expired": held_by(ME, expired=True),
    "theirs": held_by(OTHER),
    "theirs, expired": held_by(OTHER, expired=True),
    "blocked": ended_by(OTHER, "blocked"),
    "blocked by me": ended_by(ME, "blocked"),
    "needs_review": ended_by(OTHER, "needs_review"),
    "needs_review by me": ended_by(ME, "needs_review"),
    "complete": ended_by(OTHER, "complete"),
    "complete by me": ended_by(ME, "complete"),
    "released": released_by(OTHER),
    "released by me": released_by(ME),
    "reopened": reopened,
}

ACTIONS: dict[str, Action] = {
    "claim": lambda project: project.steps.claim(STEP),
    "steal": lambda project: project.steps.claim(STEP, steal=True),
    "next": lambda project: project.steps.next(),
    "complete": lambda project: project.steps.complete(STEP, note="done"),
    "blocked": lambda project: project.steps.complete(STEP, outcome="blocked", note="stuck"),
    "needs_review": lambda project: project.steps.complete(STEP, outcome="needs_review", note="look"),
    "force": lambda project: project.steps.complete(STEP, force=True, note="settled"),
    "release": lambda project: project.steps.release(STEP),
    "renew": lambda project: project.steps.renew([STEP]),
    "reopen": lambda project: project.steps.reopen(STEP),
}

ENDINGS = ("complete", "blocked", "needs_review")
HOLDER_ONLY = (*ENDINGS, "release", "renew")
Expected = Now | type[TracecraftError]


def _held_by_me() -> dict[str, Expected]:
    return {
        "claim": Now("in_progress", ME, 1),
        "steal": Now("in_progress", ME, 1),
        "next": NothingReady,
        **{outcome: Now(outcome, ME, 1) for outcome in ENDINGS},
        "force": Now("complete", ME, 2),
        "release": Now("pending", None, 1),
        "renew": Now("in_progress", ME, 1),
        "reopen": Held,
    }


def _held_by_other(*, expired: bool) -> dict[str, Expected]:
    taken = Now("in_progress", ME, 2)
    return {
        "claim": taken if expired else Held,
        "steal": taken,
        "next": taken if expired else NothingReady,
        **dict.fromkeys(HOLDER_ONLY, Held),
        "force": Now("complete", ME, 2),
        "reopen": Held,
    }


def _pending(fence: int) -> dict[str, Expected]:
    taken = Now("in_progress", ME, fence + 1)
    return {
        **dict.fromkeys(("claim", "steal", "next"), taken),
        **dict.fromkeys(HOLDER_ONLY, WrongState),
        "force": Now("complete", ME, fence + 1),
        "reopen": Now("pending", None, fence),
    }


def _left() -> dict[str, Expected]:
    """Blocked or in need of review."""
    return {
        **dict.fromkeys(("claim", "steal"), Now("in_progress", ME, 2)),
        "next": NothingReady,
        **dict.fromkeys(HOLDER_ONLY, WrongState),
        "force": Now("complete", ME, 2),
        "reopen": Now("pending", None, 1),
    }


def _complete() -> dict[str, Expected]:
    return {**_left(), "claim": WrongState, "steal": WrongState}


TABLE: dict[str, dict[str, Expected]] = {
    "absent": _pending(0),
    "mine": _held_by_me(),
    "mine, expired": _held_by_me(),
    "theirs": _held_by_other(expired=False),
    "theirs, expired": _held_by_other(expired=True),
    "blocked": _left(),
    "blocked by me": {**_left(), "blocked": Now("blocked", ME, 1)},
    "needs_review": _left(),
    "needs_review by me": {**_left(), "needs_review": Now("needs_review", ME, 1)},
    "complete": _complete(),
    # Ending a step once more as it was ended is fine, by force too.
    "complete by me": {**_complete(), "complete": Now("complete", ME, 1), "force": Now("complete", ME, 1)},
    "released": _pending(1),
    "released by me": {**_pending(1), "release": Now("pending", None, 1)},
    "reopened": _pending(1),
}

ROWS = [(state, action) for state in STATES for action in ACTIONS]


@pytest.mark.parametrize(("state", "action"), ROWS)
def test_table(team: Team, state: str, action: str) -> None:
    me = team.agent(ME)
    me.steps.add(STEP)
    STATES[state](team)
    expected = TABLE[state][action]
    before = claim_bytes(team)
    if isinstance(expected, Now):
        ACTIONS[action](me)
        assert now(me) == expected
        assert_views_follow(team, me)
    else:
        with pytest.raises(expected) as refused:
            ACTIONS[action](me)
        assert type(refused.value) is expected
        assert refused.value.exit_code == (4 if expected is NothingReady else 3)
        assert refused.value.hint
        assert claim_bytes(team) == before


@pytest.mark.parametrize(("state", "action"), [row for row in ROWS if isinstance(TABLE[row[0]][row[1]], Now)])
def test_an_action_that_was_accepted_may_be_repeated(team: Team, state: str, action: str) -> None:
    me = team.agent(ME)
    me.steps.add(STEP)
    STATES[state](team)
    ACTIONS[action](me)
    ACTIONS[action](me)
    assert now(me) == TABLE[state][action]


def now(project: Project) -> Now:
    view = project.steps.view(STEP)
    return Now(view.state, view.agent, view.fence)


def claim_bytes(team: Team) -> bytes | None:
    key = team.agent(ME).layout.claim(STEP)
    return team.store.get(key).data if team.store.has(key) else None


def assert_views_follow(team: Team, project: Project) -> None:
    """status.json and handoff.json tell what the claim says, under its fence."""
    names, shown = project.layout, now(project)
    if shown.fence == 0:
        assert not team.store.has(names.status(STEP))
        return
    status = team.store.json(names.status(STEP))
    assert (status["status"], status["agent"], status["fence"]) == tuple(shown)
    if shown.state in ENDINGS:
        handoff = team.store.json(names.handoff(STEP))
        assert (handoff["state"], handoff["from_agent"], handoff["fence"]) == tuple(shown)
        assert handoff["schema"] == 2


# Who is told what


def test_a_refusal_names_the_holder_and_when_its_lease_runs_out(team: Team) -> None:
    team.agent(OTHER).steps.claim(STEP, ttl=600)
    with pytest.raises(Held, match=r"held by other since .*; its lease runs out at") as refused:
        team.agent(ME).steps.claim(STEP)
    told = refused.value.fields
    assert (told["holder"], told["fence"]) == (OTHER, 1)
    assert told["since"]
    assert 600 <= told["expires_in"] <= 660


@pytest.mark.parametrize("outcome", ["blocked", "needs_review"])
def test_whoever_takes_up_a_step_gets_its_handoff(team: Team, outcome: Outcome) -> None:
    other = team.agent(OTHER)
    other.steps.claim(STEP)
    other.steps.complete(STEP, outcome=outcome, note="no key", to=ME, next_action="ask for it")
    hold = team.agent(ME).steps.claim(STEP)
    assert hold.how == "claimed"
    assert hold.handoff is not None
    assert (hold.handoff.note, hold.handoff.next_action, hold.handoff.next_agent) == ("no key", "ask for it", ME)
    assert (hold.handoff.from_agent, hold.handoff.state, hold.handoff.fence) == (OTHER, outcome, 1)


def test_a_reopened_step_keeps_its_handoff_and_says_why(team: Team) -> None:
    reopened(team)
    hold = team.agent(ME).steps.claim(STEP)
    assert hold.note == "once more"
    assert hold.handoff is not None
    assert hold.handoff.note == "left complete"


def test_a_released_step_says_why(team: Team) -> None:
    released_by(OTHER)(team)
    assert team.agent(ME).steps.claim(STEP).note == "left it"


@pytest.mark.parametrize(
    ("prepare", "steal", "how", "previous"),
    [
        (nothing, False, "claimed", ""),
        (held_by(ME), False, "already_yours", ""),
        (held_by(OTHER, expired=True), False, "taken_over", OTHER),
        (held_by(OTHER), True, "stolen", OTHER),
    ],
)
def test_a_claim_says_how_it_came_about(team: Team, prepare: Prepare, steal: bool, how: str, previous: str) -> None:
    prepare(team)
    hold = team.agent(ME).steps.claim(STEP, steal=steal)
    assert (hold.how, hold.previous) == (how, previous)


def test_a_claim_of_a_complete_step_points_to_reopen(team: Team) -> None:
    ended_by(OTHER, "complete")(team)
    with pytest.raises(WrongState, match="complete") as refused:
        team.agent(ME).steps.claim(STEP)
    assert refused.value.hint == "tracecraft reopen s"


def test_fences_only_grow(team: Team) -> None:
    me, other = team.agent(ME).steps, team.agent(OTHER).steps
    assert me.claim(STEP).fence == 1
    me.release(STEP)
    assert other.claim(STEP).fence == 2
    assert me.claim(STEP, steal=True).fence == 3
    me.complete(STEP)
    assert other.complete(STEP, force=True).fence == 4
    me.reopen(STEP)
    assert me.claim(STEP).fence == 5


# The fence as a caller's proof


@pytest.mark.parametrize("action", ["complete", "release", "renew"])
def test_a_wrong_fence_is_a_lost_lease(team: Team, action: str) -> None:
    me = team.agent(ME)
    fence = me.steps.claim(STEP).fence
    before = claim_bytes(team)
    with pytest.raises(LostLease):
        end_with(me, action, fence + 1)
    assert claim_bytes(team) == before
    end_with(me, action, fence)


@pytest.mark.parametrize("action", ["complete", "release", "renew"])
def test_an_old_fence_of_the_same_agent_is_a_lost_lease(team: Team, action: str) -> None:
    """The agent lost the step, and a second worker under its name won it again: the first one's hold is over."""
    first, second = team.agent(ME), team.agent(ME, place="elsewhere")
    old = first.steps.claim(STEP).fence
    team.agent(OTHER).steps.claim(STEP, steal=True)
    second.steps.claim(STEP, steal=True)
    with pytest.raises(LostLease):
        end_with(first, action, old)
    assert now(first) == Now("in_progress", ME, 3)


@pytest.mark.parametrize("action", ["complete", "release", "renew"])
@pytest.mark.parametrize("fence", [None, 1])
def test_whoever_lost_a_step_is_told_who_holds_it(team: Team, action: str, fence: int | None) -> None:
    me = team.agent(ME)
    me.steps.claim(STEP)
    team.agent(OTHER).steps.claim(STEP, steal=True)
    with pytest.raises(LostLease, match="other does since") as refused:
        end_with(me, action, fence)
    assert (refused.value.fields["holder"], refused.value.fields["fence"]) == (OTHER, 2)
    assert now(me) == Now("in_progress", OTHER, 2)


def end_with(project: Project, action: str, fence: int | None) -> None:
    match action:
        case "complete":
            project.steps.complete(STEP, fence=fence)
        case "release":
            project.steps.release(STEP, fence=fence)
        case _:
            project.steps.renew([STEP], fence=fence)


# One name in two places


def test_the_same_agent_elsewhere_gets_its_claim_and_a_warning(team: Team) -> None:
    team.agent(ME).steps.claim(STEP)
    elsewhere = team.agent(ME, place="host-b:/work")
    assert elsewhere.steps.claim(STEP).how == "already_yours"
    assert any("one agent, two places?" in notice for notice in elsewhere.notices)


def test_a_step_held_by_a_process_is_refused_to_its_own_agent(team: Team) -> None:
    """What `exec` holds is its own: a sibling under the same name does not share it."""
    team.agent(ME).steps.claim(STEP, alive="self")
    elsewhere = team.agent(ME, place="host-b:/work")
    for _ in range(2):
        with pytest.raises(Held):
            elsewhere.steps.claim(STEP)
        with pytest.raises(Held):
            elsewhere.steps.claim(STEP, alive="self")
    with pytest.raises(WrongState, match="renews it alone"):
        elsewhere.steps.renew([STEP])
    assert now(elsewhere) == Now("in_progress", ME, 1)


def test_renewing_everything_leaves_out_what_processes_hold(team: Team) -> None:
    me = team.agent(ME)
    me.steps.claim("by-hand")
    me.steps.claim("by-process", alive="self")
    assert [view.step for view in me.steps.renew()] == ["by-hand"]


def test_a_dead_process_gives_its_step_back_to_its_agent_alone(team: Team) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    me, other = team.agent(ME), team.agent(OTHER)
    try:
        me.steps.claim(STEP, alive="self", process=localprocess.name(process.pid))
        with pytest.raises(Held):
            me.steps.claim(STEP)
    finally:
        process.kill()
        process.communicate()
    with pytest.raises(Held):
        other.steps.claim(STEP)
    hold = me.steps.claim(STEP)
    assert (hold.how, hold.fence) == ("taken_over", 2)


# What is checked before anything is written


@pytest.mark.parametrize("action", list(ACTIONS))
def test_without_an_agent_nothing_is_written(team: Team, action: str) -> None:
    ended_by(OTHER, "complete")(team)
    written = len(team.store.written)
    with pytest.raises(TracecraftError, match="no agent") as refused:
        ACTIONS[action](team.agent(""))
    assert refused.value.exit_code == 2
    assert len(team.store.written) == written


@pytest.mark.parametrize("ttl", [0.0, 4.9, -1.0])
def test_a_ttl_below_five_seconds_is_refused(team: Team, ttl: float) -> None:
    with pytest.raises(TracecraftError, match="too short") as refused:
        team.agent(ME).steps.claim(STEP, ttl=ttl)
    assert refused.value.exit_code == 2
    assert team.store.written == []
