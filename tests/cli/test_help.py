"""--help: every command explains itself, and its example is a command line that parses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from tests.support.world import World
from tracecraft.cli.app import tracecraft


def paths(command: click.Command = tracecraft, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, as the words that name it."""
    yield before
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from paths(inner, (*before, name))


def commands() -> list[tuple[str, ...]]:
    """Those that do something themselves."""
    return [path for path in paths() if path not in {()} | {longer[:-1] for longer in paths()}]


@pytest.mark.parametrize("path", list(paths()), ids=lambda path: " ".join(path) or "tracecraft")
def test_help(folder_world: World, path: tuple[str, ...]) -> None:
    """It needs no settings, not even whole ones; commands show an example that parses."""
    (folder_world.folder("a") / ".tracecraft.json").write_text("broken")
    done = folder_world.run("a", *path, "--help", TRACECRAFT_STORE="nonsense://", TRACECRAFT_PROJECT="/")
    assert done.out.startswith(f"Usage: tracecraft {' '.join(path)}".rstrip())
    assert done.err == ""
    lines = examples(done.out)
    assert lines or path not in commands()
    for line in lines:
        words = shlex.split(line)[1:]
        assert tuple(words[: len(path)]) == path
        parse(words)


def test_the_short_option(folder_world: World) -> None:
    assert folder_world.run("a", "memory", "set", "-h") == folder_world.run("a", "memory", "set", "--help")


def test_the_check_of_examples_can_fail() -> None:
    with pytest.raises(click.UsageError):
        parse(["claim", "design", "--nonsense"])
    with pytest.raises(click.UsageError):
        parse(["claim"])


def examples(text: str) -> list[str]:
    """The command lines of `tracecraft` below "Example:"."""
    _, _, below = text.partition("Example:\n")
    block = below.partition("\n\n")[0]
    return [found[0].strip() for line in block.splitlines() for found in re.finditer(r"\btracecraft [^|>)#]*", line)]


def parse(words: list[str]) -> None:
    """Parse a command line as click does when it runs one, without running it."""
    context = tracecraft.make_context("tracecraft", list(words))
    command: click.Command = tracecraft
    while isinstance(command, click.Group):
        name, inner, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert inner is not None
        context = inner.make_context(name, rest, parent=context)
        command = inner
