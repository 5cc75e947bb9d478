"""Writes docs/cli.md from the commands themselves: python docs/make_cli_reference.py"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from tracecraft.cli.app import tracecraft

PAGE = Path(__file__).with_name("cli.md")
SHARED = ("--json", "--store", "--project", "--agent")

HEAD = """# Commands

<!-- Made by docs/make_cli_reference.py. Change the commands, then run it again. -->

Every command takes `--json`, `--store` and `--project`; those that act for somebody take `--agent`.

| option | meaning |
|---|---|
| `--json` | One JSON document on standard output, or one per line where the command streams; errors as JSON on standard error. See [Exit codes and JSON](exit-codes-and-json.md). |
| `--store URL` | `s3://bucket/prefix` or `file:///folder`. See [Configuration](configuration.md). |
| `--project NAME` | The project. |
| `--agent NAME` | Who acts. |
| `-h`, `--help` | Help, with an example. Every command has it. |

`tracecraft --version` prints the version.

A duration is a number of seconds, or numbers with units: `90`, `90s`, `5m`, `1h30m`, `2d`. Where a text may be long
(a message, a memory value, a note), `-` reads it from standard input; a memory value may also be `@FILE`.
"""  # noqa: E501


def reference() -> str:
    """The page."""
    return "\n".join([HEAD, *(_section(path, command) for path, command in leaves(tracecraft, "tracecraft"))])


def leaves(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its full name, in the order of `--help`."""
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path} {name}")
        elif command is not None:
            yield f"{path} {name}", command


def options(command: click.Command) -> list[click.Option]:
    """The options that help shows."""
    return [option for option in command.params if isinstance(option, click.Option) and not option.hidden]


def _section(path: str, command: click.Command) -> str:
    own = [option for option in options(command) if not _is_shared(option, command)]
    shared = [name for option in options(command) if option not in own for name in option.opts]
    told, _, example = inspect.cleandoc(command.help or "").partition("\b\nExample:\n")
    parts = [f"## {path}\n", f"```text\n{_usage(path, command, own)}\n```\n", told.strip() + "\n"]
    if own:
        rows = [f"| {_spelling(option, command)} | {_meaning(option)} |" for option in own]
        parts.append("\n".join(["| option | meaning |", "|---|---|", *rows]) + "\n")
    if shared:
        parts.append("Also: " + ", ".join(f"`{name}`" for name in shared) + ".\n")
    parts.append("```sh\n" + inspect.cleandoc(example) + "\n```\n")
    return "\n".join(parts)


def _usage(path: str, command: click.Command, own: list[click.Option]) -> str:
    context = click.Context(command, info_name=path)
    arguments = [p.make_metavar(context) for p in command.params if isinstance(p, click.Argument)]
    return " ".join([path, *(["[OPTIONS]"] if own else []), *arguments])


def _is_shared(option: click.Option, command: click.Command) -> bool:
    """Whether it is one of the options explained at the top; `log` has its own --agent, `demo` its own --store."""
    takes_all = any("--json" in other.opts for other in options(command))
    return takes_all and option.opts[0] in SHARED and option.name != "who"


def _spelling(option: click.Option, command: click.Command) -> str:
    metavar = "" if option.is_flag else " " + _metavar(option, command)
    names = ", ".join(f"`{name}{metavar}`" for name in sorted(option.opts, key=len, reverse=True))
    return names.replace("|", "\\|")


def _metavar(option: click.Option, command: click.Command) -> str:
    is_number = isinstance(option.type, click.types.IntParamType)
    return "N" if is_number else option.make_metavar(click.Context(command))


def _meaning(option: click.Option) -> str:
    default = f" [default: {option.default}]" if option.show_default else ""
    return ((option.help or "") + default).strip().replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference())
