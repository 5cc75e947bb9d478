"""session: transcripts of coding agents, mirrored into the store."""

from __future__ import annotations

import click

from tracecraft.cli.mirroring import mirror, stop


@click.group()
def session() -> None:
    """Transcripts of coding agents, mirrored into the store."""


session.add_command(mirror)
session.add_command(stop)
