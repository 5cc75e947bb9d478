"""What every command shares: the options that say where and as whom, --json, and how results and notices get out."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

import click

from tracecraft import clock
from tracecraft.cli.output import as_json, print_line, print_notice
from tracecraft.errors import UsageError
from tracecraft.project import Project

F = TypeVar("F", bound=Callable[..., Any])


class Face:
    """One invocation: its project, opened on first use, and how it talks."""

    def __init__(self, *, json: bool, store: str | None, project: str | None, agent: str | None) -> None:
        for option, given in (("--store", store), ("--project", project), ("--agent", agent)):
            if given == "":
                # Most likely an unset shell variable; whoever wrote it did not mean "as somebody else".
                raise UsageError(f"{option} is empty", hint="leave it out, or give it a value")
        self.json = json
        self.store, self.project_name, self.agent = store, project, agent
        self._told = 0

    @cached_property
    def project(self) -> Project:
        opened = Project.open(store=self.store, project=self.project_name, agent=self.agent)
        opened.on_notice = functools.partial(print_notice, json=self.json)
        return opened

    def show(self, document: Mapping[str, Any], text: str) -> None:
        """One result: JSON for a machine, text for a person."""
        print_line(as_json(document) if self.json else text)
        self.tell_broken()

    def tell_broken(self) -> None:
        """Name what was skipped since this was last asked."""
        if "project" not in self.__dict__:
            return
        fresh = self.project.broken[self._told :]
        self._told += len(fresh)
        for error in fresh:
            print_notice(f"skipped: {error.message}", json=self.json)


def command(
    name: str | None = None,
    *,
    tidies_up: bool = False,
    acts: bool = True,
    cls: type[click.Command] | None = None,
    **settings: Any,
) -> Callable[[F], click.Command]:
    """Make a function a command. It gets a Face first, then its own arguments.

    `acts` is False for commands that nobody in particular runs: they have no --agent to act as. `tidies_up` is for
    commands that leave something behind when Ctrl-C ends them at once: they get KeyboardInterrupt. `cls` is for one
    whose arguments are parsed in a way of its own.
    """

    def decorate(function: F) -> click.Command:
        @functools.wraps(function)
        def call(
            as_json_: bool, store: str | None, project: str | None, agent: str | None = None, **arguments: Any
        ) -> Any:
            if tidies_up:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            face = Face(
                json=as_json_ or bool(click.get_current_context().obj), store=store, project=project, agent=agent
            )
            try:
                return function(face, **arguments)
            finally:
                face.tell_broken()

        options = _SHARED + ([_AGENT] if acts else [])
        with_options = functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), call)
        return click.command(name, cls=cls or Command, **settings)(with_options)

    return decorate


_SHARED: list[Callable[[Any], Any]] = [
    click.option("--json", "as_json_", is_flag=True, help="One JSON document (NDJSON where it streams)."),
    click.option(
        "--store", metavar="URL", help="s3://, gs:// or az://bucket/prefix, or file:///folder. [env: TRACECRAFT_STORE]"
    ),
    click.option("--project", metavar="NAME", help="[env: TRACECRAFT_PROJECT]"),
]
_AGENT: Callable[[Any], Any] = click.option("--agent", metavar="NAME", help="Who acts. [env: TRACECRAFT_AGENT]")


class Duration(click.ParamType[float]):
    """Seconds, or a number with ms, s, m, h, d or w."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        if value == "forever":
            return FOREVER
        try:
            return clock.duration(value)
        except UsageError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


class TimePoint(click.ParamType[float]):
    """ISO 8601, or how long ago."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        try:
            return clock.parse_time(value)
        except UsageError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


DURATION = Duration()
TIME = TimePoint()
FOREVER = -1.0


class Command(click.Command):
    """A command whose `--wait` may stand without its duration, so what follows it may be something else."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        for index in range(end):
            following = args[index + 1] if index + 1 < end else ""
            if args[index] == "--wait" and not clock.is_duration(following):
                args[index] = "--wait=forever"
        return super().parse_args(ctx, args)


def wait_option(function: F) -> F:
    """`--wait [D]`: not given 0, without a duration for ever."""
    option: Callable[[F], F] = click.option(
        "--wait",
        metavar="[D]",
        type=DURATION,
        default=0.0,
        show_default=False,
        help="Wait until it can be had, at most D (for ever without D).",
    )
    return option(function)


def waiting(seconds: float) -> float | None:
    """What `--wait` means to the API: 0 not at all, None for ever."""
    return None if seconds == FOREVER else seconds


def read_text(text: str) -> str:
    """A message or note as given: `-` is standard input, anything else itself. Raises UsageError."""
    return read_value(text) if text == "-" else text


def read_value(text: str) -> str:
    """VALUE as given: `-` is standard input, `@file` a file, `@@...` begins with one @, anything else is itself.

    Raises UsageError.
    """
    if text.startswith("@@"):
        return text[1:]
    if text == "-":
        data = sys.stdin.buffer.read()
    elif text.startswith("@"):
        try:
            with open(text[1:], "rb") as file:
                data = file.read()
        except OSError as error:
            raise UsageError(f"cannot read {text[1:]}: {error.strerror}", hint="check the path") from None
    else:
        return text
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError("the value is not UTF-8 text", hint="upload it: tracecraft artifact upload") from None


def git_folder() -> Any:
    """The folder whose changes a handoff records."""
    from pathlib import Path

    return Path.cwd()
