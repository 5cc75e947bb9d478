"""Barriers: when they open, when they give up, and what they say meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.primitives.team import Team
from tests.support.processes import wait_until
from tracecraft.errors import Missing, StepBlocked, TimedOut, UsageError
from tracecraft.project import Project


def complete(project: Project, *steps: str) -> None:
    for step in steps:
        project.steps.claim(step)
        project.steps.complete(step)


class Waiting:
    """A barrier that somebody waits at, in the background."""

    def __init__(self, project: Project, *steps: str) -> None:
        self.project = project
        self.opened = threading.Event()
        self._steps = steps
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def _wait(self) -> None:
        self.project.steps.wait_for(self._steps, timeout=60)
        self.opened.set()

    def said(self, text: str) -> bool:
        return wait_until(lambda: any(text in notice for notice in self.project.notices), seconds=30)

    def end(self) -> None:
        self._thread.join(90)


def test_an_open_barrier_lets_through_at_once(team: Team) -> None:
    complete(team.agent("ann"), "a", "b")
    views = team.agent("bob").steps.wait_for(["a", "B", "a"], timeout=0)
    assert [(view.step, view.agent) for view in views] == [("a", "ann"), ("b", "ann")]


def test_a_barrier_opens_when_the_last_step_is_complete(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("a")
    waiting = Waiting(team.agent("bob"), "a", "b")
    assert waiting.said("nobody has declared or claimed b yet")
    complete(ann, "b")
    assert not waiting.opened.is_set()
    ann.steps.complete("a")
    assert waiting.opened.wait(60)
    waiting.end()


def test_a_step_in_review_keeps_waiting_and_is_named(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("a")
    ann.steps.complete("a", outcome="needs_review")
    waiting = Waiting(team.agent("bob"), "a")
    assert waiting.said("a needs review (by ann)")
    assert not waiting.opened.is_set()
    complete(team.agent("cid"), "a")
    assert waiting.opened.wait(60)
    waiting.end()
    assert sum("needs review" in notice for notice in waiting.project.notices) == 1


def test_a_reopened_step_does_not_count(team: Team) -> None:
    ann = team.agent("ann")
    complete(ann, "a")
    ann.steps.reopen("a")
    with pytest.raises(TimedOut, match="a is pending") as late:
        team.agent("bob").steps.wait_for(["a"], timeout=0.1)
    assert late.value.exit_code == 5
    assert late.value.fields["steps"] == {"a": "pending"}


def test_a_blocked_step_ends_the_waiting_with_its_note(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("b")
    ann.steps.complete("b", outcome="blocked", note="no key")
    with pytest.raises(StepBlocked, match=r"b is blocked \(by ann\): no key") as blocked:
        team.agent("bob").steps.wait_for(["a", "b"], timeout=60)
    assert blocked.value.exit_code == 6
    assert (blocked.value.fields["step"], blocked.value.fields["agent"]) == ("b", "ann")


def test_an_unknown_step_is_an_error_where_that_was_asked_for(team: Team) -> None:
    team.agent("ann").steps.add("a")
    with pytest.raises(Missing, match="no such step: mispelt") as missing:
        team.agent("bob").steps.wait_for(["a", "mispelt"], declared=True)
    assert (missing.value.exit_code, missing.value.fields["steps"]) == (4, ["mispelt"])


def test_nothing_is_written_while_waiting(team: Team) -> None:
    complete(team.agent("ann"), "a")
    written = len(team.store.written)
    team.agent("").steps.wait_for(["a"], timeout=0)
    assert len(team.store.written) == written


@pytest.mark.parametrize("act", [lambda project: project.steps.wait_for(["../x"]), lambda p: p.steps.wait_for(["a\0"])])
def test_bad_names_are_refused(team: Team, act: Callable[[Project], object]) -> None:
    with pytest.raises(UsageError):
        act(team.agent("bob"))
