"""A step of a run: something that begins and ends, with what went in and what came out."""

from __future__ import annotations

import asyncio
import os
import time
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from tracecraft.errors import UsageError
from tracecraft.records import new_id
from tracecraft.runs import log
from tracecraft.runs.meta import Status
from tracecraft.runs.sdk.context import Place, here, leave, surroundings
from tracecraft.runs.sdk.recording import Recording

if TYPE_CHECKING:
    from typing import Self

    from tracecraft.runs.sdk.running import Run

SpanStatus = Literal["ok", "failed"]
_LONGEST_ERROR = 2000


class Step(Recording):
    """Begins when it is made. In a `with` block it is where the code is, and it ends with the block.

    An exception that leaves the block makes it failed, and goes on. `async with` does the same.
    """

    def __init__(self, run: Run, name: str, kind: str, *, agent: str, parent: str, model: str = "") -> None:
        for what, text in (("name", name), ("kind", kind)):
            if not isinstance(text, str) or not text:
                raise UsageError(f"a step's {what} is a text, not {text!r}", hint='agent.step("search")')
        self._run = run
        self.name = name
        self.kind = kind
        self.agent = agent
        self.model = model
        self.id = new_id()
        self._pid = os.getpid()
        self._ended = False
        self._tokens: list[Token[Place | None]] = []
        run._recorder.log(
            log.Span(name=name, kind=kind, parent=parent, model=model, at=time.time(), agent=agent, span=self.id)
        )

    @property
    def run(self) -> Run:
        return self._run

    def log_input(self, value: Any) -> None:
        """What went in: anything. What JSON cannot hold becomes its text; beyond 256 KiB it is cut."""
        self._log(log.Input(value=value))

    def log_output(self, value: Any) -> None:
        """What came out, in the same way."""
        self._log(log.Output(value=value))

    def step(self, name: str, kind: str = "step", *, model: str = "") -> Step:
        """A step within this one, wherever the code is."""
        return Step(self._run, name, kind, agent=self.agent, parent=self.id, model=model or self._model)

    def end(self, status: SpanStatus = "ok", error: str = "") -> None:
        """End it, where there is no `with` block that does. Doing it twice is fine."""
        if status not in ("ok", "failed"):
            raise UsageError(f"a step ends ok or failed, not {status!r}", hint='step.end("failed", error="why")')
        # A forked child that leaves the block does not end what its parent is still in.
        if not self._ended and self._pid == os.getpid():
            self._ended = True
            self._log(log.SpanEnd(status=status, error=error[:_LONGEST_ERROR]))

    def __enter__(self) -> Self:
        self._tokens.append(here.set(self._place()))
        surroundings.enter(self, self._run.environment(self.id))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        surroundings.leave(self)
        if self._tokens:
            leave(self._tokens.pop())
        self._end_by(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _end_by(self, error: BaseException | None) -> None:
        """End it as what left its block says."""
        self.end("failed", told(error)) if failed(error) else self.end()

    @property
    def _model(self) -> str:
        return self.model

    def _place(self) -> Place:
        return Place(self._run, self.agent, self.id, in_step=True)

    def _whereabouts(self) -> tuple[str, str]:
        return self.agent, self.id


def failed(error: BaseException | None) -> bool:
    """Whether an exception means that what it left has failed. A generator that is closed early has not."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return error is not None and not isinstance(error, GeneratorExit)


def status_after(error: BaseException | None) -> Status:
    """How a run ended that an exception, or none, has left."""
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return "cancelled"
    return "failed" if failed(error) else "completed"


def told(error: BaseException | None) -> str:
    """An exception in a line, whatever its own text does."""
    if error is None:
        return ""
    try:
        text = str(error)
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}"[:_LONGEST_ERROR] if text else type(error).__name__
