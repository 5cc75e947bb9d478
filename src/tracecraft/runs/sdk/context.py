"""Where the running code is: in which run, as which agent, in which span. Threads and child processes follow.

asyncio's tasks follow by themselves, for the place is kept in a context variable. Threads are given the place of the
code that starts them, and tasks of a thread pool that of the code that submits them; nothing else of their context
changes. Child processes find the run in their environment. See docs/runs.md.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, NamedTuple

from tracecraft import currentrun
from tracecraft.currentrun import Within

if TYPE_CHECKING:
    from tracecraft.runs.sdk.running import Run

_VARIABLES = ("TRACECRAFT_RUN", "TRACECRAFT_SPAN", "TRACECRAFT_STORE", "TRACECRAFT_PROJECT")


class Place(NamedTuple):
    """A run and, where the code is within one, an agent and a span. `in_step` is False in the span of an agent."""

    run: Run
    agent: str = ""
    span: str = ""
    in_step: bool = False


here: ContextVar[Place | None] = ContextVar("tracecraft", default=None)


def leave(token: Token[Place | None]) -> None:
    """Go back to where the code was. A block that ends in another context than it began in leaves that one alone."""
    with suppress(ValueError):
        here.reset(token)


class Surroundings:
    """What child processes find in their environment: the place that was entered last and not left yet.

    `before` is what was there before the first run of this process.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entered: dict[object, dict[str, str]] = {}
        self._before: dict[str, str | None] = {}

    def enter(self, key: object, variables: dict[str, str]) -> None:
        """Show a place, until `leave` is called with the same key."""
        with self._lock:
            if not self._entered:
                self._before = {name: os.environ.get(name) for name in _VARIABLES}
            self._entered[key] = variables
            self._show()

    def leave(self, key: object) -> None:
        with self._lock:
            if self._entered.pop(key, None) is not None:
                self._show()

    def inherited(self) -> Within:
        """The run and span of the process that started this one. Raises UsageError for what is no run."""
        with self._lock:
            if not self._entered:
                return currentrun.inherited(os.environ)
            return currentrun.inherited({name: value for name, value in self._before.items() if value is not None})

    def after_fork(self) -> None:
        self._lock = threading.RLock()

    def _show(self) -> None:
        wanted: dict[str, str | None] = dict(self._before)
        if self._entered:
            wanted.update(next(reversed(self._entered.values())))
        for name, value in wanted.items():
            if value is None:
                os.environ.pop(name, None)
            elif os.environ.get(name) != value:
                os.environ[name] = value


surroundings = Surroundings()
os.register_at_fork(after_in_child=surroundings.after_fork)


def within_now() -> Within:
    """The run and span that the code is in, in this process or by inheritance. Raises UsageError for what is no run."""
    place = here.get()
    return Within(place.run.id, place.span) if place is not None else surroundings.inherited()


_start: Any = None
_submit: Any = None


def follow_threads() -> None:
    """From now on threads and tasks of thread pools are where the code was that started them."""
    global _start, _submit
    if _start is not None:
        return
    from concurrent.futures import ThreadPoolExecutor

    _start, _submit = threading.Thread.start, ThreadPoolExecutor.submit
    start, submit = _start, _submit

    def start_here(thread: threading.Thread) -> None:
        place = here.get()
        if place is not None:
            _take_along(thread, place)
        start(thread)

    def submit_here(pool: ThreadPoolExecutor, task: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        # Also where there is no place: the pool's thread may have been started from within one.
        return submit(pool, _At(here.get(), task), *args, **named)

    threading.Thread.start = start_here  # type: ignore[assignment,method-assign]  # this is how threads follow
    ThreadPoolExecutor.submit = submit_here  # type: ignore[method-assign,assignment]  # the same for their pools


def leave_threads_alone() -> None:
    """Undo `follow_threads`, unless somebody else has put something around it since."""
    global _start, _submit  # noqa: PLW0603
    if _start is None:
        return
    from concurrent.futures import ThreadPoolExecutor

    ours = (threading.Thread.start.__module__, ThreadPoolExecutor.submit.__module__)
    if ours == (__name__, __name__):
        threading.Thread.start = _start  # type: ignore[method-assign]  # as it was
        ThreadPoolExecutor.submit = _submit  # type: ignore[method-assign]
        _start = _submit = None


class _At:
    """A task that runs in a place."""

    def __init__(self, place: Place | None, task: Callable[..., Any]) -> None:
        self._place = place
        self._task = task

    def __call__(self, *args: Any, **named: Any) -> Any:
        token = here.set(self._place)
        try:
            return self._task(*args, **named)
        finally:
            leave(token)


def _take_along(thread: threading.Thread, place: Place) -> None:
    """Have a thread that is about to start run in a place."""
    run = thread.run

    def run_there() -> None:
        del thread.run  # the thread's own method is what others should see again
        here.set(place)
        run()

    thread.run = run_there  # type: ignore[method-assign]  # of this one thread, until it runs
