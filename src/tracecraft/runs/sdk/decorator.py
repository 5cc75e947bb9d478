"""`@step`: a function whose every call is a step of the current run. Without a run it is the function alone."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, overload

from tracecraft.runs.sdk.context import here, leave
from tracecraft.runs.sdk.span import Step
from tracecraft.runs.sdk.starting import current_run

F = TypeVar("F", bound=Callable[..., Any])


@overload
def step(function: F, /) -> F: ...


@overload
def step(
    function: str | None = None, /, *, name: str = "", kind: str = "step", model: str = "", io: bool = True
) -> Callable[[F], F]: ...


def step(function: Any = None, /, *, name: str = "", kind: str = "step", model: str = "", io: bool = True) -> Any:
    """Make every call of a function a step, with its arguments as input and what it returns as output.

    As `@step` or `@step("name", kind="tool_call", model=..., io=False)`; with `io=False` arguments and results are not
    recorded. Functions, coroutines, generators and asynchronous generators; what a generator yields is not recorded.
    Where there is no current run nothing is done.
    """
    if callable(function):
        return _stepped(function, name or _name_of(function), kind, model, io)

    def decorate(wrapped: F) -> F:
        stepped: F = _stepped(wrapped, name or function or _name_of(wrapped), kind, model, io)
        return stepped

    return decorate


def _stepped(function: Any, name: str, kind: str, model: str, io: bool) -> Any:
    """The function as it is replaced, of the kind that it is itself."""
    calls = _Calls(function, name, kind, model, io)
    if inspect.iscoroutinefunction(function):
        return functools.wraps(function)(calls.as_coroutine())
    if inspect.isasyncgenfunction(function):
        return functools.wraps(function)(calls.as_generator(_driven_async))
    if inspect.isgeneratorfunction(function):
        return functools.wraps(function)(calls.as_generator(_driven))
    return functools.wraps(function)(calls.as_function())


class _Calls:
    """The calls of one function, each a step where there is a run."""

    def __init__(self, function: Any, name: str, kind: str, model: str, io: bool) -> None:
        self._function = function
        self._name, self._kind, self._model = name, kind, model
        self._io = io

    def as_function(self) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            begun = self._begin(args, named)
            if begun is None:
                return self._function(*args, **named)
            with begun:
                return self._told(begun, self._function(*args, **named))

        return call

    def as_coroutine(self) -> Any:
        async def call(*args: Any, **named: Any) -> Any:
            begun = self._begin(args, named)
            if begun is None:
                return await self._function(*args, **named)
            with begun:
                return self._told(begun, await self._function(*args, **named))

        return call

    def as_generator(self, driven: Callable[[Step, Any], Any]) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            begun = self._begin(args, named)
            generator = self._function(*args, **named)
            return generator if begun is None else driven(begun, generator)

        return call

    def _begin(self, args: tuple[Any, ...], named: dict[str, Any]) -> Step | None:
        run = current_run()
        if run is None:
            return None
        begun = run.step(self._name, self._kind, model=self._model)
        if self._io:
            begun.log_input(_arguments(self._function, args, named))
        return begun

    def _told(self, begun: Step, result: Any) -> Any:
        if self._io:
            begun.log_output(result)
        return result


def _driven(begun: Step, generator: Any) -> Any:
    """A generator that is within its step while its own code runs, and not while its caller's does."""
    send: Callable[[], Any] = functools.partial(next, generator)
    with _ending(begun):
        while True:
            token = here.set(begun._place())
            try:
                item = send()
            except StopIteration as stop:
                return stop.value
            finally:
                leave(token)
            try:
                send = functools.partial(generator.send, (yield item))
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:
                send = functools.partial(generator.throw, error)


async def _driven_async(begun: Step, generator: Any) -> Any:
    """The same for an asynchronous generator."""
    send: Callable[[], Any] = functools.partial(anext, generator)
    with _ending(begun):
        while True:
            token = here.set(begun._place())
            try:
                item = await send()
            except StopAsyncIteration:
                return
            finally:
                leave(token)
            try:
                send = functools.partial(generator.asend, (yield item))
            except GeneratorExit:
                await generator.aclose()
                raise
            except BaseException as error:
                send = functools.partial(generator.athrow, error)


class _ending(AbstractContextManager[None]):  # noqa: N801 - reads as what it does
    """Ends a step with a block without being where the code is."""

    def __init__(self, begun: Step) -> None:
        self._begun = begun

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._begun._end_by(error)


def _arguments(function: Any, args: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by their names, without the object or class a method belongs to."""
    try:
        given = inspect.signature(function).bind(*args, **named).arguments
    except (TypeError, ValueError):
        given = {"args": args, **named}  # a call that will fail by itself
    return {name: value for name, value in given.items() if name not in ("self", "cls")}


def _name_of(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__name__).rpartition("<locals>.")[2]
