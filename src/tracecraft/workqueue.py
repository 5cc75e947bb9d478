"""The queue of work: which step `next` hands out, and why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tracecraft import clock
from tracecraft.board import Board
from tracecraft.claiming import Claiming, Hold, How
from tracecraft.claims import Claim, View, renewed, takeable_at
from tracecraft.errors import Conflict, NothingReady, TimedOut, Unreachable
from tracecraft.records import commit

if TYPE_CHECKING:
    from tracecraft.project import Project

_ROUNDS = 100
"""How often in a row others may be faster."""
_NAMED = 5
"""How many steps a message names."""


class WorkQueue:
    """Hands out steps to the agent of a project."""

    def __init__(self, project: Project, claiming: Claiming) -> None:
        self._project = project
        self._claiming = claiming

    def next(self, claimant: Claim, *, tags: Sequence[str], wait: float | None, another: bool) -> Hold:
        """The best ready step, claimed; see `Steps.next`."""
        deadline = clock.Deadline(wait)
        pace = self._project.store.pace()
        while True:
            found = self._look(claimant, tags, another)
            if isinstance(found, Hold):
                return found
            if wait == 0.0:
                raise found
            if deadline.passed:
                raise TimedOut(f"waited in vain: {found.message}", hint=found.hint, **found.fields)
            pace.sleep(deadline.left)

    def _look(self, claimant: Claim, tags: Sequence[str], another: bool) -> Hold | NothingReady:
        """A step, or why there is none; on a new look as long as others are merely faster."""
        for _ in range(_ROUNDS):
            board = self._project.steps.board()
            hold = self._resume(board, tags, claimant) if not another else None
            hold = hold or self._take_first(board, tags, claimant)
            if hold is not None:
                return hold
            expiries = self._expiries(board, tags)
            now = self._project.store_time() if expiries else 0.0
            run_out = [step for step, at in expiries.items() if at is not None and at <= now]
            hold = self._take_any(board, run_out, claimant, "taken_over")
            nothing = _nothing_ready(board, tags, expiries)
            if hold is not None:
                return hold
            if nothing is not None and not run_out:
                return nothing
        raise Unreachable("others keep being faster", hint="repeat the command")

    def _resume(self, board: Board, tags: Sequence[str], claimant: Claim) -> Hold | None:
        for step in board.steps(tags):
            view = board.views[step]
            claim = view.claim
            if claim is None or not self._holds_itself(view) or claim.record.via != "next":
                continue
            if not self._claiming.still_stands(view):
                continue
            began = clock.elapsed()
            try:
                kept = commit(self._project.store, claim.key, renewed(view, claim, ttl=claimant.ttl), claim)
            except Conflict:
                continue
            return self._claiming.settled(step, kept, "resumed", began)
        return None

    def _take_first(self, board: Board, tags: Sequence[str], claimant: Claim) -> Hold | None:
        """Take the best pending step. None if there is none, or all went to others.

        Whoever loses the first one is in a race: it goes on from a place of its own among the steps of that priority.
        """
        ready = [step for step in board.steps(tags) if board.is_ready(step)]
        return self._take_any(board, ready[:1], claimant, "claimed") or self._take_any(
            board, _walk_round(board, ready[1:]), claimant, "claimed"
        )

    def _take_any(self, board: Board, steps: Sequence[str], claimant: Claim, how: How) -> Hold | None:
        for step in steps:
            hold = self._claiming.take(board.views[step], claimant, how)
            if hold is not None:
                return hold
        return None

    def _expiries(self, board: Board, tags: Sequence[str]) -> dict[str, float | None]:
        """When the leases of others, and of this agent's own processes, run out. A heartbeat was written before."""
        held = [
            s for s in board.steps(tags) if board.state(s) == "in_progress" and not self._holds_itself(board.views[s])
        ]
        if not held:
            return {}
        self._project.agents.beat_now()
        beats: Sequence[float | None] = self._project.store.together(
            [partial(self._claiming.last_beat, board.views[s].agent) for s in held]
        )
        return {s: takeable_at(board.views[s], beat) for s, beat in zip(held, beats, strict=True)}

    def _holds_itself(self, view: View) -> bool:
        """Whether this agent holds the step, and not one process of it alone."""
        alone = view.claim is not None and view.claim.record.alive == "self"
        return view.held_by(self._project.agent) and not alone


def _walk_round(board: Board, steps: list[str]) -> list[str]:
    """The same steps, those of the first priority beginning at a random one of them and going round."""
    if not steps:
        return []
    first = [step for step in steps if board.spec(step).priority == board.spec(steps[0]).priority]
    place = int(clock.jitter(0, len(first))) % len(first)
    return [*first[place:], *first[:place], *steps[len(first) :]]


def _nothing_ready(board: Board, tags: Sequence[str], expiries: Mapping[str, float | None]) -> NothingReady | None:
    """Why `next` found nothing; None when others merely were faster with what is ready."""
    steps = board.steps(tags)
    by_state: dict[str, list[str]] = {}
    for step in steps:
        by_state.setdefault(board.state(step), []).append(step)
    if any(board.is_ready(step) for step in steps):
        return None
    ring = board.cycle()
    if ring:
        return _nothing(
            "waiting_on_needs",
            f"steps need each other: {' -> '.join(ring)}",
            "step add one of them --replace",
            cycle=ring,
        )
    held = {step: board.views[step].agent for step in by_state.get("in_progress", [])}
    waiting = {step: board.unmet(step) for step in by_state.get("pending", [])}
    stuck = {step: board.state(step) for step in steps if board.state(step) in ("blocked", "needs_review")}
    if held:
        earliest = min((at for at in expiries.values() if at is not None), default=None)
        return _nothing(
            "all_held",
            f"nothing is ready, {len(held)} held: {_some(sorted(held))}",
            "next --wait",
            held=held,
            waiting=waiting,
            earliest_expiry=clock.iso(earliest) if earliest is not None else None,
        )
    if waiting or stuck:
        return _nothing(
            "waiting_on_needs",
            "nothing is ready: "
            + _some(
                [f"{s} needs {_some(n)}" for s, n in waiting.items()]
                + [f"{s} is {state}" for s, state in stuck.items()]
            ),
            "step list shows what is blocked or needs review; claim that by name",
            waiting=waiting,
            stuck=stuck,
        )
    return _nothing(
        "all_done",
        f"all {len(steps)} steps are complete" if steps else "no steps are declared",
        "step add",
        steps=len(steps),
    )


def _some(names: Sequence[str]) -> str:
    """The first few of many names."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _nothing(reason: str, message: str, hint: str, **fields: object) -> NothingReady:
    return NothingReady(message, hint=f"tracecraft {hint}", reason=reason, **fields)
