"""Keeps one claim alive while work runs, and says when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from tracecraft import clock
from tracecraft.claims import Claim, Outcome, View, renewed, slack
from tracecraft.errors import Conflict, LostLease, TracecraftError
from tracecraft.records import PATIENCE, commit, read

if TYPE_CHECKING:
    from pathlib import Path

    from tracecraft.claiming import Hold
    from tracecraft.project import Project


_AGAIN = 0.1
"""Seconds until the next try where time is short."""

_Answer = Literal["renewed", "ended", "lost", "unsure"]
"""What became of a renewal. A hold "ended" when the work itself completed or released the step under it."""


class LeaseKeeper:
    """Renews a hold from a background thread every third of its ttl.

    A renewal counts only if its answer came before the deadline in force, which is counted from before the last
    counting renewal was sent. Past it the claim is looked at again, for as long as nobody else may have it yet. When
    there is no answer by then, or the claim shows another hold, `lost` is set and `on_lost` is called once, from that
    thread. `process` names who does the work, once it is known; the claim says so
    from the first renewal on, which then is made at once.
    """

    def __init__(
        self, project: Project, hold: Hold, on_lost: Callable[[], None] | None = None, process: str = ""
    ) -> None:
        self._project = project
        self._hold = hold
        self._key = hold.claim.key
        self._deadline = hold.began + hold.ttl
        self._patience = min(PATIENCE, max(1.0, hold.ttl / 4))
        self._on_lost = on_lost
        self._process = process
        self._stop = threading.Event()
        self.lost = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lease-{hold.step}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing; waits for a renewal under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._hold.ttl)

    def _run(self) -> None:
        pause = 0.0 if self._process else self._hold.ttl / 3
        while not self._stop.wait(max(0.05, min(pause, self._deadline - clock.elapsed()))):
            answer = self._renew_in_time()
            if answer == "ended":
                return
            if answer == "lost":
                self.lost.set()
                if self._on_lost is not None:
                    self._on_lost()
                return
            pause = self._hold.ttl / 3 if answer == "renewed" else min(1.0, self._hold.ttl / 10)

    def _renew_in_time(self) -> _Answer:
        """Renew by the deadline; past it, look once more, and trust only an answer that still shows this hold."""
        sent = clock.elapsed()
        answer = self._ask(self._deadline)
        in_time = clock.elapsed() < self._deadline
        if answer in ("lost", "ended") or (answer == "unsure" and in_time):
            return answer
        if not in_time:
            sent, answer = self._look_once_more()
            if answer == "unsure" or clock.elapsed() >= sent + self._hold.ttl:
                return "lost"
        self._deadline = sent + self._hold.ttl
        return answer

    def _look_once_more(self) -> tuple[float, _Answer]:
        """Renew past the deadline, and when that was sent. The first half of the slack is for the answer, the second
        for the work to stop before somebody else has the step."""
        last_moment = clock.elapsed() + slack(self._hold.ttl) / 2
        while True:
            sent = clock.elapsed()
            answer = self._ask(last_moment)
            if answer != "unsure" or self._stop.wait(_AGAIN) or clock.elapsed() >= last_moment:
                return sent, answer

    def _ask(self, until: float) -> _Answer:
        """One try, "unsure" if it has no answer by then.

        A request into a network that swallows it fails much later than that, so it has a thread of its own. A renewal
        that takes effect after all does no harm: it is of this hold or refused.
        """
        left = until - clock.elapsed()
        if left <= 0:
            return "unsure"
        answers: SimpleQueue[_Answer] = SimpleQueue()
        threading.Thread(target=lambda: answers.put(self._renew()), daemon=True).start()
        try:
            return answers.get(timeout=left)
        except Empty:
            return "unsure"

    def _renew(self) -> _Answer:
        """One try. "unsure" where the store did not say, or somebody else of this agent was faster."""
        try:
            base = read(self._project.store, self._key, Claim)
            if base is None or base.record.fence != self._hold.fence:
                return "lost"
            if base.record.state != "in_progress":
                return "ended"
            record = renewed(View(self._hold.step, base, None), base)
            record.process = self._process or record.process
            commit(self._project.store, base.key, record, base, patience=self._patience)
        except (Conflict, TracecraftError):
            return "unsure"
        return "renewed"


class HeldStep:
    """A step held while a `with` block runs. See `Steps.hold`."""

    def __init__(self, project: Project, hold: Hold) -> None:
        self._project = project
        self._keeper = LeaseKeeper(project, hold)
        self._ended = False
        self.hold = hold

    def check(self) -> None:
        """Raises LostLease if the step is no longer held. Call it before anything that must not happen twice."""
        if self._keeper.lost.is_set():
            raise LostLease(f"the lease of {self.hold.step} was lost", hint="stop working on it", step=self.hold.step)

    def complete(
        self,
        *,
        outcome: Outcome = "complete",
        note: str = "",
        to: str | None = None,
        next_action: str | None = None,
        changed_files_in: Path | None = None,
    ) -> View:
        """End the hold from inside the block; see `Steps.complete`."""
        self._keeper.stop()
        self._ended = True
        return self._project.steps.complete(
            self.hold.step,
            outcome=outcome,
            note=note,
            to=to,
            next_action=next_action,
            changed_files_in=changed_files_in,
            fence=self.hold.fence,
        )

    def __enter__(self) -> HeldStep:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.stop()
        if self._ended:
            return
        if error is None:
            self.check()
            self.complete()
        elif not self._keeper.lost.is_set():
            self._release(f"ended by {type(error).__name__}: {error}"[:500])

    def _release(self, note: str) -> None:
        """Give the step back; failing to is only a notice, since the caller must hear what ended the block."""
        try:
            self._project.steps.release(self.hold.step, note=note, fence=self.hold.fence)
        except TracecraftError as failed:
            self._project.say(f"{self.hold.step} was not released: {failed.message}")
