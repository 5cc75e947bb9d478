"""Random histories of one step and its agents, against a model written from the table of states."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.primitives.team import Team
from tests.support.steptable import Step, Told, held, refusal, seen
from tracecraft.claiming import Alive
from tracecraft.claims import Outcome
from tracecraft.errors import NothingReady, Refused
from tracecraft.project import Project
from tracecraft.timeline import Filter

STEP = "s"
AGENTS = ("ann", "bob", "cid")
REFUSALS = ("held", "lost_lease", "wrong_state", "nothing_ready")

agents = st.sampled_from(AGENTS)
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(("complete", "blocked", "needs_review"))


class StepMachine(RuleBasedStateMachine):
    """Agents act on one step; an agent may fall silent, and is heard again with its next change."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.team = Team(Path(self.folder.name))
        self.model = Step()
        self.claim_is_old = False
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
        old = self.claim_is_old and (model.alive == "self" or model.agent in self.silent)
        return model.state == "in_progress" and old

    def expired_for(self, asking: str) -> bool:
        """Asking is a sign of life; it does not help what its own process held."""
        model = self.model
        return self.expired if asking != model.agent else self.claim_is_old and model.alive == "self"

    @rule(agent=agents, steal=st.booleans(), alive=st.sampled_from(("agent", "self")))
    def claim(self, agent: str, steal: bool, alive: Alive) -> None:
        steps, before = self.agent(agent).steps, self.model
        expected = before.claim(agent, steal=steal, alive=alive, expired=self.expired_for(agent))
        self.does(expected, lambda: held(steps.claim(STEP, steal=steal, alive=alive)))
        # Even a refused claim was a sign of life of the one who asked.
        if self.model.fence:
            self.silent.discard(agent)

    @rule(agent=agents)
    def next(self, agent: str) -> None:
        steps, before = self.agent(agent).steps, self.model
        expected = before.next(agent, expired=self.expired)
        self.does(expected, lambda: held(steps.next()))
        mine = before.held_by(agent) and before.alive == "agent"
        if expected[1].said != "nothing_ready" or (before.state == "in_progress" and not mine):
            self.silent.discard(agent)

    @rule(agent=agents, outcome=outcomes, force=st.booleans(), fence=st.sampled_from((None, 0, 1)))
    def complete(self, agent: str, outcome: Outcome, force: bool, fence: int | None) -> None:
        steps, named = self.agent(agent).steps, self.fence(fence)
        expected = self.model.complete(agent, outcome, force=force, fence=named)
        self.changes(agent, expected, lambda: seen(steps.complete(STEP, outcome=outcome, force=force, fence=named)))

    @rule(agent=agents, fence=st.sampled_from((None, 0, 1)))
    def release(self, agent: str, fence: int | None) -> None:
        steps, named = self.agent(agent).steps, self.fence(fence)
        self.changes(agent, self.model.release(agent, fence=named), lambda: seen(steps.release(STEP, fence=named)))

    @rule(agent=agents)
    def renew(self, agent: str) -> None:
        steps = self.agent(agent).steps
        self.does(self.model.renew(agent), lambda: seen(steps.renew([STEP])[0]))
        self.silent.discard(agent)

    @rule(agent=agents)
    def reopen(self, agent: str) -> None:
        steps = self.agent(agent).steps
        self.changes(agent, self.model.reopen(), lambda: seen(steps.reopen(STEP)))

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
        self.claim_is_old = True
        self.silent.add(holder)

    def fence(self, beyond: int | None) -> int | None:
        """A fence to name: none, the right one, or one that is not given out yet."""
        return None if beyond is None else self.model.fence + beyond

    def changes(self, agent: str, expected: tuple[Step, Told], act: Callable[[], Told]) -> None:
        """Do something that is a sign of life only where it changes the step."""
        before = self.model
        self.does(expected, act)
        if self.model != before:
            self.silent.discard(agent)

    def does(self, expected: tuple[Step, Told], act: Callable[[], Told]) -> None:
        """Do something, and be told what the table says. Where it succeeds, a hold is as good as new."""
        self.model, told = expected
        assert self.attempt(act) == told
        if told.state == "in_progress" and told.said not in REFUSALS:
            self.claim_is_old = False

    def attempt(self, act: Callable[[], Told]) -> Told:
        try:
            return act()
        except NothingReady as nothing:
            return Told(nothing.code, *self.model.seen)
        except Refused as refused:
            return refusal(refused)

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
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
