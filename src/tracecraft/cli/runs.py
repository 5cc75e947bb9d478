"""runs: the commands of `run` under another name, of which `list` is meant where none is named."""

from __future__ import annotations

import click

from tracecraft.cli.run import run

_HELP = ("-h", "--help")


class _Alias(click.Group):
    """Has the commands of `run` without listing them a second time."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in _HELP and self.get_command(ctx, args[0]) is None and args[0].startswith("-")):
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return []

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return run.get_command(ctx, cmd_name)


@click.group(cls=_Alias)
def runs() -> None:
    """The same as `run list`; with a command, as `run` with that command.

    \b
    Example:
      tracecraft runs --status failed
    """
