"""An agent of a run: what it does is recorded as its own, and it acts in the project under its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tracecraft import layout
from tracecraft.currentrun import Within
from tracecraft.errors import Missing
from tracecraft.runs.sdk.context import Place, here
from tracecraft.runs.sdk.presence import presence
from tracecraft.runs.sdk.span import SpanStatus, Step

if TYPE_CHECKING:
    from tracecraft.claiming import Hold
    from tracecraft.claims import Outcome, View
    from tracecraft.lease import HeldStep
    from tracecraft.mailbox import Letter
    from tracecraft.project import Project
    from tracecraft.runs.sdk.aio import AsyncAgent
    from tracecraft.runs.sdk.running import Run


class RunAgent(Step):
    """Made by `run.agent(name)`. It is a span of the run itself, and shows as present in the project while it is open.

    Recording never raises for the store's sake. The calls that coordinate ask the store, and raise what
    `tracecraft.errors` tells: Held, Missing, TimedOut, StoreError and so on. `project` is the project as this agent
    sees it, for everything else.
    """

    def __init__(self, run: Run, name: str, *, parent: str, model: str = "") -> None:
        layout.name("agent", name)
        super().__init__(run, name, "agent", agent=name, parent=parent, model=model)
        self.project = run.project.seen_by(name)
        self.project.within = self._within
        presence.begin(self.project)

    # Recording

    def step(self, name: str, kind: str = "step", *, model: str = "") -> Step:
        """A step of this agent: in the step that the code is in, else in the agent itself."""
        within = self._run._enclosing_step() or self.id
        return Step(self._run, name, kind, agent=self.agent, parent=within, model=model or self._model)

    def end(self, status: SpanStatus = "ok", error: str = "") -> None:
        """End it, where there is no `with` block that does. Doing it twice is fine."""
        presence.end(self.project)
        super().end(status, error)

    # Coordinating

    @property
    def aio(self) -> AsyncAgent:
        """The same calls as coroutines."""
        from tracecraft.runs.sdk.aio import AsyncAgent

        return AsyncAgent(self)

    @cached_property
    def shared_memory(self) -> SharedMemory:
        """The memory of the project."""
        return SharedMemory(self.project)

    def send(
        self, to: str, text: str, *, step: str | None = None, reply_to: str | None = None, ack: bool = False
    ) -> Letter:
        """Send a message to an agent. See `Mailbox.send`."""
        return self.project.mailbox.send(to, text, step=step, reply_to=reply_to, ack=ack)

    def broadcast(self, text: str, *, step: str | None = None, ack: bool = False) -> Letter:
        """Send a message to everybody in the project."""
        return self.project.mailbox.send(layout.BROADCAST, text, step=step, ack=ack)

    def inbox(self, limit: int | None = None) -> list[Letter]:
        """Messages that were not shown before, oldest first; they are marked as read."""
        return [letter for batch in self.project.mailbox.new(limit=limit) for letter in batch]

    def claim(self, step: str, *, ttl: float | None = None, wait: float | None = 0.0, steal: bool = False) -> Hold:
        """Claim a step of the project. See `Steps.claim`. Raises Held, TimedOut, WrongState."""
        return self.project.steps.claim(step, ttl=ttl, wait=wait, steal=steal)

    def hold(
        self, step: str, *, ttl: float | None = None, wait: float | None = 0.0
    ) -> AbstractContextManager[HeldStep]:
        """Hold a step of the project while a block runs. See `Steps.hold`."""
        return self.project.steps.hold(step, ttl=ttl, wait=wait)

    def complete(
        self,
        step: str,
        *,
        outcome: Outcome = "complete",
        note: str = "",
        to: str | None = None,
        next_action: str | None = None,
    ) -> View:
        """End this agent's hold of a step with a handoff. See `Steps.complete`."""
        return self.project.steps.complete(step, outcome=outcome, note=note, to=to, next_action=next_action)

    def release(self, step: str, *, note: str = "") -> View:
        """Give a step back undone."""
        return self.project.steps.release(step, note=note)

    def wait_for(self, *steps: str, timeout: float | None = 300.0) -> list[View]:
        """Wait until all these steps are complete. Raises StepBlocked, TimedOut."""
        return self.project.steps.wait_for(steps, timeout=timeout)

    def _place(self) -> Place:
        return Place(self._run, self.agent, self.id, in_step=False)

    def _whereabouts(self) -> tuple[str, str]:
        place = here.get()
        if place is not None and place.run is self._run and place.agent == self.agent:
            return self.agent, place.span
        return self.agent, self.id

    def _within(self) -> Within:
        return Within(self._run.id, self._whereabouts()[1])


class SharedMemory:
    """The memory of the project, as an agent uses it: plain values. Raises StoreError."""

    def __init__(self, project: Project) -> None:
        self._memory = project.memory

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default."""
        try:
            return self._memory.get(key).value
        except Missing:
            return default

    def set(self, key: str, value: Any) -> None:
        """Set a key to any JSON."""
        self._memory.set(key, value)

    def update(self, key: str, change: Callable[[Any], Any]) -> Any:
        """Set a key to `change(value)`, again on the newer value whenever somebody else was faster; the new value."""
        return self._memory.update(key, change).value

    def delete(self, key: str) -> None:
        """Delete a key. Raises Missing."""
        self._memory.delete(key)

    def keys(self, prefix: str = "") -> Sequence[str]:
        """The keys that have a value, in order."""
        return [entry.key for entry in self._memory.list(prefix)]
