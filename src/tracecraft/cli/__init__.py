"""The command line. Every command parses, calls one thing below, and renders what came back."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `tracecraft` command."""
    if sys.platform == "win32":
        sys.stderr.write("tracecraft runs on Linux and macOS: its folder store needs flock and hard links. Use WSL.\n")
        sys.exit(2)
    from tracecraft.cli.app import run

    sys.exit(run(sys.argv[1:]))
