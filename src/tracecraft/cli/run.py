"""run: experiments, what they were given, what they measured, and what became of them."""

from __future__ import annotations

import click

from tracecraft.cli.lazy import LazyGroup, Modules

COMMANDS: Modules = {
    "export": ("run_export", "export"),
}


@click.group(cls=LazyGroup, modules=COMMANDS)
def run() -> None:
    """Experiments: what they were given, what they measured, what they cost, step by step."""
