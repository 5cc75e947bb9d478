"""session: transcripts of coding agents, mirrored into the store."""

from __future__ import annotations

import click

from tracecraft.cli.lazy import LazyGroup, Modules

COMMANDS: Modules = {
    "mirror": ("mirroring", "mirror"),
    "stop": ("mirroring", "stop"),
    "list": ("session_list", "list_sessions"),
    "show": ("session_show", "show"),
    "search": ("session_search", "search"),
    "stats": ("session_list", "stats"),
    "export": ("session_files", "export"),
    "restore": ("session_files", "restore"),
    "verify": ("session_upkeep", "verify"),
    "compact": ("session_upkeep", "compact"),
    "delete": ("session_upkeep", "delete"),
}


@click.group(cls=LazyGroup, modules=COMMANDS)
def session() -> None:
    """Transcripts of coding agents, mirrored into the store."""
