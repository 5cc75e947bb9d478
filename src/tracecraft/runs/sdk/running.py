"""A run of this process, or one of another process that this one joined."""

from __future__ import annotations

import asyncio
import os
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from tracecraft import clock
from tracecraft.errors import UsageError
from tracecraft.runs.meta import ENDED, RunMeta, Status
from tracecraft.runs.recorder import Recorder
from tracecraft.runs.recorder.notices import Notices
from tracecraft.runs.sdk.agent import RunAgent
from tracecraft.runs.sdk.context import Place, here, leave, surroundings
from tracecraft.runs.sdk.ending import open_runs
from tracecraft.runs.sdk.recording import Recording
from tracecraft.runs.sdk.setting import Setting
from tracecraft.runs.sdk.span import Step, failed, status_after, told

if TYPE_CHECKING:
    from typing import Self

ENDING = 10.0
"""Seconds that the end of a run waits for the store, unless told otherwise."""


class Run(Recording):
    """Made by `tracecraft.run()`. It is open from then on; in a `with` block it is the current run, and ends with it.

    An exception that leaves the block makes it failed, Ctrl-C and a cancelled task make it cancelled, and the exception
    goes on. `async with` does the same without blocking the loop.

    `project` is the project as nobody in particular sees it. `joined` says that another process began the run; then
    ending it here only ends what this process records of it.
    """

    def __init__(
        self, setting: Setting, meta: RunMeta, recorder: Recorder, *, joined: bool = False, within: str = ""
    ) -> None:
        self.id = meta.run
        self.name = meta.name
        self.project = setting.project
        self.joined = joined
        self._setting = setting
        self._meta = meta
        self._ending: RunMeta | None = None
        self._recorder = recorder
        self._outer_span = within
        self._pid = os.getpid()
        self._ended = False
        self._tokens: list[Token[Place | None]] = []
        self._agents: list[RunAgent] = []
        self._notices = Notices()
        open_runs.add(self)
        if not joined:
            surroundings.enter(self, self.environment())

    @property
    def run(self) -> Run:
        return self

    def agent(self, name: str, model: str = "") -> RunAgent:
        """An agent of the run, which acts in the project under this name. `model` is what its calls use mostly."""
        agent = RunAgent(self, name, parent=self._enclosing_step() or self._outer_span, model=model)
        self._agents.append(agent)
        return agent

    def step(self, name: str, kind: str = "step", *, model: str = "") -> Step:
        """A step of the run: something that begins and ends. `kind` is `tool_call`, `model_call` or any other text."""
        agent, span = self._whereabouts()
        return Step(self, name, kind, agent=agent, parent=span, model=model)

    def environment(self, span: str = "") -> dict[str, str]:
        """The variables by which a process that is started with them finds the run. While a run is open, os.environ
        has those of the run and step that were entered last."""
        named = {"TRACECRAFT_RUN": self.id, **({"TRACECRAFT_SPAN": span} if span else {})}
        return {**self._setting.variables, **named}

    def end(self, status: Status = "completed", error: str = "", *, timeout: float = ENDING) -> bool:
        """End the run, where there is no `with` block that does; `error` says why it failed. Doing it twice is fine.

        Waits up to `timeout` seconds until the store has everything. False when it has not: then the rest waits on this
        machine's disk and is sent later.
        """
        if status not in ENDED:
            raise UsageError(f"a run ends as one of {', '.join(ENDED)}, not {status!r}", hint='run.end("failed")')
        self._end(status, error)
        return self._close(timeout)

    def flush(self, timeout: float | None = ENDING) -> bool:
        """Wait until the store has everything that was recorded until now; False when the time is over first."""
        return self._recorder.flush(timeout)

    def __enter__(self) -> Self:
        self._tokens.append(here.set(self._place()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._left_last_block():
            self.end(status_after(error), told(error) if failed(error) else "")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._left_last_block():
            self._end(status_after(error), told(error) if failed(error) else "")
            # A cancelled task may still wait; the store gets what is left in any case.
            await asyncio.shield(asyncio.to_thread(self._close, ENDING))

    def _left_last_block(self) -> bool:
        """The same run may be entered by several blocks, one within the other: it ends with the outermost."""
        if self._tokens:
            leave(self._tokens.pop())
        return not self._tokens

    def _end(self, status: Status, error: str) -> None:
        """Say how the run ended; to be followed by `_close`."""
        # A forked child that leaves the block does not end the run that its parent is still in.
        if self._ended or self._pid != os.getpid():
            return
        self._ended = True
        for agent in reversed(self._agents):
            agent.end()
        surroundings.leave(self)
        open_runs.remove(self)
        if not self.joined:
            self._ending = msgspec.structs.replace(self._meta, status=status, ended_at=clock.now(), error=error)

    def _close(self, timeout: float) -> bool:
        """Wait until the store has all of it."""
        return self._recorder.close(timeout, meta=self._ending)

    def _enclosing_step(self) -> str:
        """The step of this run that the code is in; empty where it is in none, or in the span of an agent only."""
        place = here.get()
        return place.span if place is not None and place.run is self and place.in_step else ""

    def _place(self) -> Place:
        return Place(self, span=self._outer_span)

    def _whereabouts(self) -> tuple[str, str]:
        place = here.get()
        return (place.agent, place.span) if place is not None and place.run is self else ("", self._outer_span)

    def _tell(self, kind: str, text: str) -> None:
        self._notices.say(kind, text)
