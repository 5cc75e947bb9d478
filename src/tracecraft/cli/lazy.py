"""A group of commands that live in modules of their own, each imported only when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import click

Modules = Mapping[str, tuple[str, str]]
"""Command, module below tracecraft.cli, attribute. In the order in which `--help` shows them."""


class LazyGroup(click.Group):
    def __init__(self, *arguments: Any, modules: Modules, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return None
        module, attribute = self._modules[cmd_name]
        return cast(click.Command, getattr(import_module(f"tracecraft.cli.{module}"), attribute))
