"""Runs many command lines in one process that stays: the real commands without their start."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from types import TracebackType

from tests.support.fleet import Fleet
from tests.support.world import Result, World


class Shell:
    """A process of its own in which commands run one after another, each with its agent's environment and folder."""

    def __init__(self) -> None:
        self._fleet = Fleet(1)

    def run(self, world: World, agent: str, *arguments: str, exits: int | None = 0) -> Result:
        """As World.run. An exception that a user would see as a traceback fails the test."""
        (result,) = self._fleet.run(_run, [(world, agent, arguments)])
        assert isinstance(result, Result)
        assert exits is None or result.code == exits, (arguments, result)
        return result

    def __enter__(self) -> Shell:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fleet.close()


def _run(world: World, agent: str, arguments: tuple[str, ...]) -> Callable[[], Result]:
    def act() -> Result:
        from tracecraft.cli.app import run

        os.environ.clear()
        os.environ.update(world.environment(agent))
        os.chdir(world.folder(agent))
        sys.stdin = io.StringIO()
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
        return Result(code, out.getvalue(), err.getvalue())

    return act
