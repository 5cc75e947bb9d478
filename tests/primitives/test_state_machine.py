"""Random histories of one step and its agents, against a model written from the table of states."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.primitives.team import Team
from tracecraft.claims import Outcome
from tracecraft.errors import Held, LostLease, NothingReady, Refused, WrongState
from tracecraft.events import Filter
from tracecraft.project import Project

STEP = "s"
AGENTS = ("ann", "bob", "cid")

agents = st.sampled_from(AGENTS)
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(("complete", "blocked", "needs_review"))


@dataclass
class Model:
    """What the step should be. `silent` says that the claim itself is old."""

    state: str = "pending"
    agent: str | None = None
    fence: int = 0
    alive: str = "agent"
    by_next: bool = False
    silent: bool = False
    left_by: str = ""
    """Who gave up or ended the hold before the step became pending."""

    @property
    def seen(self) -> tuple[str, str | None, int]:
        return self.state, self.agent, self.fence

    def held_by(self, agent: str) -> bool:
        return self.state == "in_progress" and self.agent == agent

    def hold(self, agent: str, alive: str, *, by_next: bool = False) -> None:
        self.state, self.agent, self.fence = "in_progress", agent, self.fence + 1
        self.alive, self.by_next, self.silent = alive, by_next, False


class StepMachine(RuleBasedStateMachine):
    """Agents act on one step; an agent may fall silent, and is heard again with its next change."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.team = Team(Path(self.folder.name))
        self.model = Model()
        self.silent: set[str] = set()
        self.fences: list[int] = [0]
        self.agent("ann").steps.add(STEP)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def agent(self, name: str) -> Project:
        return self.team.agent(name)

    @property
    def expired(self) -> bool:
        model = self.model
        old = model.silent and (model.alive == "self" or model.agent in self.silent)
        return model.state == "in_progress" and old

    @rule(agent=agents, steal=st.booleans(), alive=st.sampled_from(("agent", "self")))
    def claim(self, agent: str, steal: bool, alive: str) -> None:
        model, steps = self.model, self.agent(agent).steps

        def act() -> None:
            steps.claim(STEP, steal=steal, alive="self" if alive == "self" else "agent")

        if model.state == "complete":
            self.refused(WrongState, act)
        elif model.held_by(agent) and model.alive == "agent":
            act()
            model.alive, model.silent = alive, False
        elif model.state == "in_progress" and not steal and not self.expired_for(agent):
            self.refused(Held, act)
        else:
            act()
            model.hold(agent, alive)
        # Even a refused claim was a sign of life of the one who asked.
        if model.fence:
            self.silent.discard(agent)

    def expired_for(self, asking: str) -> bool:
        """Asking is a sign of life; it does not help what its own process held."""
        model = self.model
        return self.expired if asking != model.agent else model.silent and model.alive == "self"

    @rule(agent=agents)
    def next(self, agent: str) -> None:
        model, steps = self.model, self.agent(agent).steps
        if model.held_by(agent) and model.by_next and model.alive == "agent":
            assert steps.next().how == "resumed"
            model.silent = False
            self.silent.discard(agent)
        elif model.state == "pending" or (self.expired and not (model.held_by(agent) and model.alive == "agent")):
            steps.next()
            model.hold(agent, "agent", by_next=True)
            self.silent.discard(agent)
        else:
            with pytest.raises(NothingReady):
                steps.next()
            if model.state == "in_progress" and not (model.held_by(agent) and model.alive == "agent"):
                self.silent.discard(agent)

    @rule(agent=agents, outcome=outcomes, force=st.booleans(), fence=st.sampled_from((None, 0, 1)))
    def complete(self, agent: str, outcome: Outcome, force: bool, fence: int | None) -> None:
        model, steps = self.model, self.agent(agent).steps
        named = None if fence is None else model.fence + fence
        right = fence in (None, 0)

        def act() -> None:
            steps.complete(STEP, outcome=outcome, force=force, fence=named)

        if (model.state, model.agent) == (outcome, agent) and right:
            act()
        elif force or (model.held_by(agent) and right):
            act()
            model.state, model.agent, model.fence = outcome, agent, model.fence + force
            self.silent.discard(agent)
        else:
            self.refused(self.why_not(fence), act)

    @rule(agent=agents, fence=st.sampled_from((None, 0, 1)))
    def release(self, agent: str, fence: int | None) -> None:
        model, steps = self.model, self.agent(agent).steps
        named = None if fence is None else model.fence + fence

        def act() -> None:
            steps.release(STEP, fence=named)

        if model.held_by(agent) and fence in (None, 0):
            act()
            model.state, model.agent, model.left_by = "pending", None, agent
            self.silent.discard(agent)
        elif model.state == "pending" and model.left_by == agent:
            act()
        else:
            self.refused(self.why_not(fence), act)

    @rule(agent=agents)
    def renew(self, agent: str) -> None:
        model, steps = self.model, self.agent(agent).steps
        if not model.held_by(agent):
            self.refused(self.why_not(None), lambda: steps.renew([STEP]))
        elif model.alive == "self":
            self.refused(WrongState, lambda: steps.renew([STEP]))
        else:
            steps.renew([STEP])
            model.silent = False
        self.silent.discard(agent)

    @rule(agent=agents)
    def reopen(self, agent: str) -> None:
        model, steps = self.model, self.agent(agent).steps
        if model.state == "in_progress":
            self.refused(Held, lambda: steps.reopen(STEP))
            return
        steps.reopen(STEP)
        if model.state != "pending":
            model.state, model.left_by, model.agent = "pending", model.agent or "", None
            self.silent.discard(agent)

    @rule(agent=agents)
    def next_then_alone(self, agent: str) -> None:
        """What `exec` does with a step that came from `next`."""
        if self.model.state == "pending":
            self.next(agent)
            self.claim(agent, steal=False, alive="self")

    @precondition(lambda self: self.model.state == "in_progress")
    @rule()
    def holder_falls_silent(self) -> None:
        holder = self.model.agent
        assert holder is not None
        self.team.silence(holder)
        self.model.silent = True
        self.silent.add(holder)

    def why_not(self, fence: int | None) -> type[Refused]:
        """What an agent is told that does not hold the step under the fence it names."""
        if self.model.state != "in_progress":
            return WrongState
        return LostLease if fence is not None else Refused

    def refused(self, kind: type[Refused], act: object) -> None:
        assert callable(act)
        with pytest.raises(kind) as told:
            act()
        assert told.value.exit_code == 3

    @invariant()
    def store_agrees(self) -> None:
        if not hasattr(self, "team"):
            return
        view = self.agent("ann").steps.view(STEP)
        assert (view.state, view.agent, view.fence) == self.model.seen
        self.fences.append(view.fence)
        assert self.fences[-1] - self.fences[-2] in (0, 1)

    @invariant()
    def views_agree(self) -> None:
        if not hasattr(self, "team") or self.model.fence == 0:
            return
        names = self.agent("ann").layout
        status = self.team.store.json(names.status(STEP))
        assert (status["status"], status["agent"], status["fence"]) == self.model.seen
        if self.model.state in ("complete", "blocked", "needs_review"):
            handoff = self.team.store.json(names.handoff(STEP))
            assert (handoff["state"], handoff["from_agent"], handoff["fence"]) == self.model.seen

    @invariant()
    def every_change_is_told(self) -> None:
        """An event per change: the newest one about the step carries its fence and revision."""
        if not hasattr(self, "team") or self.model.fence == 0:
            return
        project = self.agent("ann")
        bodies = [entry.body for entry in project.events.timeline(Filter(subject=STEP))]
        told = {(body.fence, body.rev) for body in bodies if body is not None and "refused" not in body.type}
        view = project.steps.view(STEP)
        assert (view.fence, view.rev) in told


TestSteps = StepMachine.TestCase
TestSteps.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
