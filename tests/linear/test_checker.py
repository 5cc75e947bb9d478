"""The checker itself: small histories whose verdict a person can see, and random ones judged by trying everything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tests.linear.account import account, smallest_part
from tests.linear.checker import Verdict, check
from tests.linear.history import Answer, Operation
from tests.linear.leases import early_takeovers
from tests.linear.models import DONE, REFUSED, MemoryModel, Model, StepModel, two_versions, with_bases
from tests.support.steptable import Told

STEP = StepModel()
LEASE = StepModel(leases_run_out=True)
MEMORY = MemoryModel()


def did(
    called: float, returned: float, agent: str, action: Mapping[str, Any], answer: Answer | None, **more: Any
) -> Operation:
    """An operation on one object; without an answer it never returned."""
    ended = returned if answer is not None else math.inf
    return Operation(f"{agent}@{called:g}", agent, "thing", action, called, ended, answer, **more)


def claim(agent: str, *, steal: bool = False) -> Mapping[str, Any]:
    return {"do": "claim", "agent": agent, "steal": steal, "alive": "agent"}


def complete(agent: str, fence: int | None = None) -> Mapping[str, Any]:
    return {"do": "complete", "agent": agent, "outcome": "complete", "force": False, "fence": fence}


def held(how: str, agent: str, fence: int, previous: str = "") -> Told:
    return Told(how, "in_progress", agent, fence, previous)


LOOK = {"do": "look"}
GET = {"do": "get"}


def put(token: str) -> Mapping[str, Any]:
    return {"do": "set", "token": token}


def swap(expected: str, token: str) -> Mapping[str, Any]:
    return {"do": "swap", "token": token, "expected": expected}


def update(token: str) -> Mapping[str, Any]:
    return {"do": "update", "token": token}


def is_(token: str | None) -> Answer:
    return ("is", token)


GOOD: Mapping[str, tuple[Model, Sequence[Operation]]] = {
    "nothing": (STEP, []),
    "one of two racers wins": (
        STEP,
        [
            did(0, 3, "ann", claim("ann"), held("claimed", "ann", 1)),
            did(1, 2, "bob", claim("bob"), held("held", "ann", 1)),
        ],
    ),
    "a steal, and the loser is told": (
        STEP,
        [
            did(0, 1, "ann", claim("ann"), held("claimed", "ann", 1)),
            did(2, 5, "bob", claim("bob", steal=True), held("stolen", "bob", 2, "ann")),
            did(3, 4, "ann", complete("ann", 1), held("lost_lease", "bob", 2)),
        ],
    ),
    "an unknown claim that took effect late": (
        STEP,
        [
            did(0, 0, "ann", claim("ann"), None),
            did(1, 2, "bob", LOOK, Told("done", "pending", None, 0)),
            did(3, 4, "bob", claim("bob"), held("held", "ann", 1)),
        ],
    ),
    "an unknown claim that never took effect": (
        STEP,
        [
            did(0, 0, "ann", claim("ann"), None),
            did(1, 2, "bob", claim("bob"), held("claimed", "bob", 1)),
            did(3, 4, "bob", complete("bob"), Told("done", "complete", "bob", 1)),
        ],
    ),
    "a lease that ran out": (
        LEASE,
        [
            did(0, 1, "ann", claim("ann"), held("claimed", "ann", 1)),
            did(9, 10, "bob", claim("bob"), held("taken_over", "bob", 2, "ann")),
        ],
    ),
    "one of two swaps wins": (
        MEMORY,
        [
            did(0, 1, "ann", put("a"), DONE),
            did(2, 4, "ann", swap("a", "b"), DONE),
            did(2, 4, "bob", swap("a", "c"), REFUSED),
            did(3, 5, "cid", GET, is_("a")),
        ],
    ),
    "an unknown swap that is seen and not seen before": (
        MEMORY,
        [
            did(0, 1, "ann", put("a"), DONE),
            did(2, 2, "ann", swap("a", "b"), None),
            did(3, 4, "bob", GET, is_("a")),
            did(5, 6, "bob", GET, is_("b")),
        ],
    ),
    "a blind write that was sent twice": (
        MEMORY,
        [
            did(0, 9, "ann", put("a"), DONE, repeats=True),
            did(1, 2, "bob", GET, is_("a")),
            did(3, 4, "bob", put("b"), DONE),
            did(5, 6, "bob", GET, is_("b")),
            did(7, 8, "bob", GET, is_("a")),
        ],
    ),
    "two deletes, each of a value": (
        MEMORY,
        [
            did(0, 1, "bob", put("a"), DONE),
            did(2, 5, "ann", {"do": "delete"}, DONE),
            did(4, 7, "bob", put("b"), DONE),
            did(6, 9, "cid", {"do": "delete"}, DONE),
            did(10, 11, "bob", GET, is_(None)),
        ],
    ),
}

BAD: Mapping[str, tuple[Model, Sequence[Operation]]] = {
    "two winners": (
        STEP,
        [
            did(0, 3, "ann", claim("ann"), held("claimed", "ann", 1)),
            did(1, 2, "bob", claim("bob"), held("claimed", "bob", 1)),
        ],
    ),
    "the same fence twice": (
        STEP,
        [
            did(0, 1, "ann", claim("ann"), held("claimed", "ann", 1)),
            did(2, 3, "ann", {"do": "release", "agent": "ann", "fence": 1}, Told("done", "pending", None, 1)),
            did(4, 5, "bob", claim("bob"), held("claimed", "bob", 1)),
        ],
    ),
    "a completion that was lost": (
        STEP,
        [
            did(0, 1, "ann", claim("ann"), held("claimed", "ann", 1)),
            did(2, 3, "ann", complete("ann"), Told("done", "complete", "ann", 1)),
            did(4, 5, "bob", LOOK, held("done", "ann", 1)),
        ],
    ),
    "a completion by who had lost the step": (
        STEP,
        [
            did(0, 1, "ann", claim("ann"), held("claimed", "ann", 1)),
            did(2, 3, "bob", claim("bob", steal=True), held("stolen", "bob", 2, "ann")),
            did(4, 5, "ann", complete("ann"), Told("done", "complete", "ann", 2)),
        ],
    ),
    "a read of what was before": (
        MEMORY,
        [
            did(0, 1, "ann", put("a"), DONE),
            did(2, 3, "ann", put("b"), DONE),
            did(4, 5, "bob", GET, is_("a")),
        ],
    ),
    "reads that go back": (
        MEMORY,
        [
            did(0, 1, "ann", put("a"), DONE),
            did(2, 9, "ann", put("b"), DONE),
            did(3, 4, "bob", GET, is_("b")),
            did(5, 6, "bob", GET, is_("a")),
        ],
    ),
    "two swaps of one version": (
        MEMORY,
        [
            did(0, 1, "ann", put("a"), DONE),
            did(2, 4, "ann", swap("a", "b"), DONE),
            did(2, 4, "bob", swap("a", "c"), DONE),
        ],
    ),
    "two updates of one value": (
        MEMORY,
        [
            did(0, 2, "ann", update("a"), ("after", None)),
            did(0, 2, "bob", update("b"), ("after", None)),
        ],
    ),
    "two deletes of one value": (
        MEMORY,
        [
            did(0, 1, "ann", put("a"), DONE),
            did(2, 4, "ann", {"do": "delete"}, DONE),
            did(2, 4, "bob", {"do": "delete"}, DONE),
        ],
    ),
    "a write that was acknowledged and never seen": (
        MEMORY,
        [
            did(0, 1, "ann", put("a"), DONE),
            did(2, 5, "ann", swap("a", "b"), DONE),
            did(3, 4, "bob", put("c"), DONE),
            did(6, 7, "bob", GET, is_("b")),
        ],
    ),
    "a swap refused without a reason": (
        MEMORY,
        [did(0, 1, "ann", put("a"), DONE), did(2, 3, "ann", swap("a", "b"), REFUSED)],
    ),
    "an unknown write that was seen before it was called": (
        MEMORY,
        [did(0, 1, "bob", GET, is_("a")), did(2, 2, "ann", put("a"), None)],
    ),
    "an unknown write that took effect twice": (
        MEMORY,
        [
            did(0, 0, "ann", put("a"), None),
            did(1, 2, "bob", GET, is_("a")),
            did(3, 4, "bob", put("b"), DONE),
            did(5, 6, "bob", GET, is_("a")),
        ],
    ),
    "a lease taken over where none runs out": (
        STEP,
        [
            did(0, 1, "ann", claim("ann"), held("claimed", "ann", 1)),
            did(9, 10, "bob", claim("bob"), held("taken_over", "bob", 2, "ann")),
        ],
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_explained_is_accepted(name: str) -> None:
    model, history = GOOD[name]
    assert check(history, model) is Verdict.LINEARIZABLE


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_explained_is_found(name: str) -> None:
    model, history = BAD[name]
    assert check(history, model) is Verdict.IMPOSSIBLE
    told = account(history, model)
    assert "no order of these explains every answer" in told
    assert all(operation.name in told for operation in smallest_part(history, model))


def test_a_search_that_grows_too_large_is_undecided() -> None:
    history = [did(0, 99, f"w{n}", put(f"{n}"), DONE) for n in range(9)]
    assert check(history, MEMORY, limit=100_000) is Verdict.LINEARIZABLE
    unexplained = [*history, did(0, 99, "bob", GET, is_("never"))]
    assert check(unexplained, MEMORY, limit=100) is Verdict.UNDECIDED
    assert check(unexplained, MEMORY) is Verdict.IMPOSSIBLE


def test_the_account_leaves_out_what_is_not_needed() -> None:
    history = [
        *(did(n, n + 0.5, "cid", GET, is_(None)) for n in range(10)),
        did(10, 11, "ann", put("a"), DONE),
        did(12, 13, "bob", GET, is_("a")),
        did(14, 15, "bob", GET, is_(None)),
        did(16, 17, "ann", put("b"), DONE),
    ]
    assert [operation.name for operation in smallest_part(history, MEMORY)] == ["ann@10", "bob@14"]


def test_an_update_in_doubt_follows_what_its_value_says() -> None:
    """Somebody saw the value, and with it what it was made from: it cannot have taken effect elsewhere."""
    seen = {"token": "b", "after": "gone"}
    history = [
        did(0, 1, "ann", put("a"), DONE),
        did(2, 2, "ann", update("b"), None),
        did(3, 4, "bob", GET, is_("b"), value=seen),
    ]
    assert check(history, MEMORY) is Verdict.LINEARIZABLE
    assert check(with_bases(history), MEMORY) is Verdict.IMPOSSIBLE


def test_one_version_belongs_to_one_value() -> None:
    first = did(0, 1, "ann", put("a"), DONE, version="1")
    again = did(2, 3, "bob", GET, is_("a"), version="1")
    assert not two_versions([first, again])
    assert two_versions([first, replace(again, version="2")])
    assert two_versions([first, did(2, 3, "bob", put("b"), DONE, version="1")])


def test_a_lease_is_not_taken_over_before_its_time() -> None:
    claimed = did(0, 1, "ann", claim("ann"), held("claimed", "ann", 1))
    renewed = did(3, 4, "ann", {"do": "renew", "agent": "ann"}, held("done", "ann", 1))
    late = did(9, 10, "bob", claim("bob"), held("taken_over", "bob", 2, "ann"))
    early = replace(late, called=6.0, returned=7.0)
    unacknowledged = replace(renewed, returned=math.inf, answer=None)
    assert not early_takeovers([claimed, renewed, late], ttl=5)
    assert not early_takeovers([claimed, early], ttl=5)
    assert not early_takeovers([claimed, unacknowledged, early], ttl=5)
    assert early_takeovers([claimed, renewed, early], ttl=5)


# Random histories

AGENTS = ("ann", "bob")
STEP_ACTIONS: Sequence[Mapping[str, Any]] = [
    LOOK,
    {"do": "reopen"},
    *(claim(agent, steal=steal) for agent in AGENTS for steal in (False, True)),
    *(complete(agent, fence) for agent in AGENTS for fence in (None, 1)),
    *({"do": "release", "agent": agent, "fence": None} for agent in AGENTS),
    *({"do": "renew", "agent": agent} for agent in AGENTS),
]
MEMORY_ACTIONS: Sequence[Mapping[str, Any]] = [
    GET,
    {"do": "delete"},
    *(put(token) for token in "ab"),
    *({"do": "create", "token": token} for token in "cd"),
    *(swap(expected, token) for expected in "ac" for token in "ef"),
    *(update(token) for token in "gh"),
]
kinds = st.sampled_from([(STEP, STEP_ACTIONS), (LEASE, STEP_ACTIONS), (MEMORY, MEMORY_ACTIONS)])


@st.composite
def true_histories(draw: st.DrawFn, most: int) -> tuple[Model, list[Operation]]:
    """What a model did in some order, seen by callers who were there for some time before and after."""
    model, actions = draw(kinds)
    state: Any = model.start
    history = []
    for moment in range(draw(st.integers(1, most))):
        action = draw(st.sampled_from(actions))
        after, answer = draw(st.sampled_from(list(model.ways(state, action))))
        fate = draw(st.sampled_from(("told", "told", "told", "not told", "not done")))
        called = moment - draw(st.floats(0, 3))
        returned = moment + draw(st.floats(0, 3)) if fate == "told" else math.inf
        told = answer if fate == "told" else None
        history.append(Operation(f"op{moment}", "ann", "thing", action, called, returned, told))
        state = state if fate == "not done" else after
    return model, history


@settings(max_examples=200, database=None, derandomize=True)
@given(true_histories(most=40))
def test_what_a_model_did_is_accepted(drawn: tuple[Model, list[Operation]]) -> None:
    model, history = drawn
    assert check(history, model) is Verdict.LINEARIZABLE


@st.composite
def altered_histories(draw: st.DrawFn) -> tuple[Model, list[Operation]]:
    """A short true history with one answer or one call replaced by another's."""
    model, history = draw(true_histories(most=5).filter(lambda drawn: any(one.known for one in drawn[1])))
    victim = draw(st.sampled_from([n for n, operation in enumerate(history) if operation.known]))
    donor = draw(st.sampled_from(history))
    what = draw(st.sampled_from(("answer", "later", "action")))
    changed = history[victim]
    if what == "answer" and donor.known:
        changed = replace(changed, answer=donor.answer)
    elif what == "action":
        changed = replace(changed, action=donor.action)
    else:
        changed = replace(changed, called=changed.called + 6, returned=changed.returned + 6)
    return model, [changed if n == victim else operation for n, operation in enumerate(history)]


@settings(max_examples=400, database=None, derandomize=True)
@given(altered_histories())
def test_the_verdict_on_altered_histories_is_that_of_trying_everything(
    drawn: tuple[Model, list[Operation]],
) -> None:
    model, history = drawn
    expected = Verdict.LINEARIZABLE if can_be_explained(history, model) else Verdict.IMPOSSIBLE
    assert check(history, model) is expected


def test_altered_histories_are_often_wrong() -> None:
    """Else the test before this one would show little."""
    verdicts: list[Verdict] = []

    @settings(max_examples=200, database=None, derandomize=True)
    @given(altered_histories())
    def collect(drawn: tuple[Model, list[Operation]]) -> None:
        verdicts.append(check(drawn[1], drawn[0]))

    collect()
    assert verdicts.count(Verdict.IMPOSSIBLE) > len(verdicts) / 10


def can_be_explained(history: Sequence[Operation], model: Model) -> bool:
    """By the definition: some order of what was answered and some of the rest, allowed by times and by the model."""
    answered = [operation for operation in history if operation.known]
    rest = [operation for operation in history if not operation.known]
    return any(
        _in_time(order) and _allowed(order, model)
        for count in range(len(rest) + 1)
        for some in combinations(rest, count)
        for order in permutations([*answered, *some])
    )


def _in_time(order: Sequence[Operation]) -> bool:
    return all(earlier.called <= later.returned for earlier, later in combinations(order, 2))


def _allowed(order: Sequence[Operation], model: Model) -> bool:
    states: set[Any] = {model.start}
    for operation in order:
        states = {
            after
            for state in states
            for after, answer in model.ways(state, operation.action)
            if not operation.known or answer == operation.answer
        }
    return bool(states)
