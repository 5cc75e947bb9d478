"""Steps: claimed by one agent at a time under a lease, brought to an end, handed over, taken up again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tracecraft import clock, git, layout, localprocess
from tracecraft.claiming import Alive, Claiming, Hold
from tracecraft.claims import (
    DEFAULT_MAX_HOLD,
    TERMINAL,
    Claim,
    Handoff,
    Outcome,
    Status,
    View,
    finished,
    given_up,
    held_error,
    renewed,
    require_holder,
    status_view,
    wrong_state_error,
)
from tracecraft.errors import Conflict, Refused, Unreachable
from tracecraft.records import Stored, check_size, commit, encode, read
from tracecraft.specs import DEFAULT_PRIORITY, Spec, declare, make_spec
from tracecraft.store import both

if TYPE_CHECKING:
    from pathlib import Path

    from tracecraft.board import Board
    from tracecraft.lease import HeldStep
    from tracecraft.project import Project

_ROUNDS = 50
"""How often a change that lost to another is tried on what it finds then."""


class Steps:
    """The steps of a project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._layout = project.layout
        self._claiming = Claiming(project)

    # Looking

    def view(self, step: str) -> View:
        """One step as it stands."""
        step = layout.readable_step_id(step)
        store = self._project.store
        claim, status = both(
            store,
            partial(read, store, self._layout.claim(step), Claim),
            partial(read, store, self._layout.status(step), Status),
        )
        view = View(step, claim, status)
        if view.by_02 is None:
            return view
        handoff = read(self._project.store, self._layout.handoff(step), Handoff)
        return View(step, claim, status, handoff.record if handoff else None)

    def handoff(self, step: str) -> Handoff | None:
        """What the step was last left with."""
        return self.view(step).handoff

    def spec(self, step: str) -> Spec | None:
        """How the step was declared, if it was."""
        found = read(self._project.store, self._layout.spec(layout.readable_step_id(step)), Spec)
        return found.record if found else None

    def board(self) -> Board:
        """All steps as they stand."""
        from tracecraft.board import read_board

        return read_board(self._project)

    # Claiming

    def claim(
        self,
        step: str,
        *,
        ttl: float | None = None,
        max_hold: float = DEFAULT_MAX_HOLD,
        steal: bool = False,
        wait: float | None = 0.0,
        alive: Alive = "agent",
        process: str = "",
    ) -> Hold:
        """Make this agent the only holder of a step.

        The lease lives `ttl` seconds beyond the last sign of life of the agent, or with `alive="self"` beyond the last
        renewal of this very claim. With `wait` a held step is waited for so many seconds (None: for ever).

        Raises Held (who has it, until when), TimedOut after waiting, WrongState for a complete step, UnsafeStore
        where the store cannot decide claims, Unknown where it did not say.
        """
        step = layout.step_id(step)
        claimant = self._claiming.claimant(ttl, max_hold, alive, process)
        self._project.require_safe_claims()
        return self._claiming.claim(step, claimant, steal=steal, wait=wait)

    @contextmanager
    def hold(self, step: str, *, ttl: float | None = None, wait: float | None = 0.0) -> Iterator[HeldStep]:
        """Hold a step while a block runs, renewing the lease in the background.

        Leaving the block completes the step, unless it was ended inside; leaving by an exception releases it.
        `check()` on what is yielded raises LostLease as soon as the lease is lost.
        """
        from tracecraft.lease import HeldStep

        hold = self.claim(step, ttl=ttl, wait=wait, alive="self", process=localprocess.name(os.getpid()))
        with HeldStep(self._project, hold) as held:
            yield held

    def next(
        self,
        *,
        tags: Sequence[str] = (),
        ttl: float | None = None,
        wait: float | None = 0.0,
        another: bool = False,
    ) -> Hold:
        """Claim the best step that is ready: needs complete, smallest priority number, declared first, all the tags.

        Without `another`, a step this agent already has from `next` is given again. Raises NothingReady with the
        reason, TimedOut after waiting.
        """
        from tracecraft.workqueue import WorkQueue

        claimant = self._claiming.claimant(ttl, via="next")
        self._project.require_safe_claims()
        return WorkQueue(self._project, self._claiming).next(claimant, tags=tags, wait=wait, another=another)

    # Ending

    def complete(
        self,
        step: str,
        *,
        outcome: Outcome = "complete",
        note: str = "",
        to: str | None = None,
        next_action: str | None = None,
        changed_files_in: Path | None = None,
        force: bool = False,
        fence: int | None = None,
    ) -> View:
        """End this agent's hold as complete, blocked or needing review, with a handoff for whoever comes after.

        `fence` names the hold meant; a later hold is not touched. `changed_files_in` is a folder whose git says what
        changed. `force` ends a step from any state as a hold of one's own. Doing it twice is fine. Raises Held,
        LostLease, WrongState.
        """
        step = layout.step_id(step)
        agent = self._project.agent
        handoff = Handoff(
            from_agent=agent,
            from_step=step,
            next_agent=None if to is None else layout.name("agent", to),
            state=outcome,
            next_action=next_action,
            note=note,
            created_at=clock.now(),
            changed_files=git.changed_files(changed_files_in) if changed_files_in else None,
        )
        check_size(handoff)
        self._project.require_safe_claims()

        def decide(view: View) -> Claim | None:
            if view.state == outcome and view.agent == agent and fence in (None, view.fence):
                return None
            if not force:
                require_holder(view, agent, fence)
            return finished(view, agent, outcome, handoff, forced=force)

        return self._change(step, decide, kind=outcome, note=note, to=to, next_action=next_action)

    def release(self, step: str, *, note: str = "", fence: int | None = None) -> View:
        """Give a held step back: it is pending again. Doing it twice is fine. Raises Held, LostLease, WrongState."""
        check_size(Handoff(note=note))
        agent = self._project.agent
        self._project.require_safe_claims()

        def decide(view: View) -> Claim | None:
            if view.state == "pending" and view.claim is not None and view.claim.record.previous == agent:
                return None
            require_holder(view, agent, fence)
            return given_up(view, note, agent)

        return self._change(layout.step_id(step), decide, kind="release", note=note)

    def reopen(self, step: str, *, note: str = "") -> View:
        """Make an ended step pending again. Raises Held where somebody works on it."""
        check_size(Handoff(note=note))
        _ = self._project.agent  # raises where there is none, before anything is written
        self._project.require_safe_claims()

        def decide(view: View) -> Claim | None:
            if view.state == "pending":
                return None
            if view.state == "in_progress":
                raise held_error(view)
            return given_up(view, note, view.agent or "")

        return self._change(layout.step_id(step), decide, kind="reopen", note=note)

    def renew(self, steps: Iterable[str] = (), *, fence: int | None = None) -> list[View]:
        """Prove the holds of this agent alive: of these steps, or all of them. Raises Held, LostLease, WrongState."""
        wanted = [layout.step_id(step) for step in steps] or sorted(self._held_by_agent())
        self._project.require_safe_claims()
        self._project.agents.beat_now()

        def decide(view: View) -> Claim:
            require_holder(view, self._project.agent, fence)
            if view.claim is None:
                raise wrong_state_error(view, "it was claimed by a program that keeps no lease")
            if view.claim.record.alive == "self":
                raise wrong_state_error(view, "the process that claimed it renews it alone")
            return renewed(view, view.claim)

        return [self._change(step, decide, kind="renew") for step in wanted]

    # Declaring

    def add(
        self,
        step: str,
        *,
        title: str = "",
        needs: Sequence[str] = (),
        priority: int = DEFAULT_PRIORITY,
        tags: Sequence[str] = (),
        replace: bool = False,
    ) -> Spec:
        """Declare a step; the same again is fine, anything else needs `replace`. Raises Refused, UsageError."""
        spec = make_spec(title=title, needs=needs, priority=priority, tags=tags)
        return self.load([(step, spec)], replace=replace)[0]

    def load(self, specs: Sequence[tuple[str, Spec]], *, replace: bool = False) -> list[Spec]:
        """Declare many steps; all are checked before any is written. Raises Refused, UsageError on a cycle."""
        return declare(self._project, specs, replace=replace)

    # Waiting

    def wait_for(self, steps: Sequence[str], *, timeout: float | None = 300.0, declared: bool = False) -> list[View]:
        """Wait until every step reads complete in one look. Raises StepBlocked, TimedOut, Missing (with `declared`)."""
        from tracecraft.waiting import wait_for

        return wait_for(self._project, steps, timeout=timeout, declared=declared)

    # Inside

    def _held_by_agent(self) -> list[str]:
        board = self.board()
        return [
            step
            for step in board.held_by(self._project.agent)
            if (claim := board.views[step].claim) is not None and claim.record.alive == "agent"
        ]

    def _change(self, step: str, decide: Callable[[View], Claim | None], *, kind: str, **details: str | None) -> View:
        """Read, decide, swap; once more if somebody was faster. `decide` gives None where nothing is to be done.

        `details` are what the event tells beside the change itself.
        """
        for _ in range(_ROUNDS):
            view = self.view(step)
            try:
                record = decide(view)
            except Refused as refused:
                self._tell(step, f"{kind}.refused", view.fence, view.rev, holder=view.agent, reason=refused.code)
                raise
            if record is None:
                return view
            try:
                claim = commit(self._project.store, self._layout.claim(step), record, view.claim)
            except Conflict:
                continue
            self._follow(step, claim, kind, details)
            return View(step, claim, None)
        raise Unreachable(f"{step} keeps changing", hint="repeat the command")

    def _follow(self, step: str, claim: Stored[Claim], kind: str, details: dict[str, str | None]) -> None:
        """Write the views, the event and the heartbeat that follow a change."""
        record = claim.record
        told = {name: text for name, text in details.items() if text}
        event = self._project.events.item(kind, step, about=claim.key, fence=record.fence, rev=record.rev, **told)
        if kind == "renew":
            items = [event]
        else:
            items = [(self._layout.status(step), encode(status_view(record))), event]
            items += self._project.agents.beat_item(done=step)
        if kind in TERMINAL and record.handoff is not None:
            items.append((self._layout.handoff(step), encode(record.handoff)))
        self._project.write_after(items, done=f"{step}: {kind} is done")

    def _tell(self, step: str, kind: str, fence: int, rev: int = 0, **details: str | None) -> None:
        """One event about something that was not done."""
        item = self._project.events.item(kind, step, about=self._layout.claim(step), fence=fence, rev=rev, **details)
        self._project.write_after([item], done=f"{step}: {kind}")
