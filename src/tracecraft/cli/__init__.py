"""The command line. Every command parses, calls one thing below, and renders what came back."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Entry point of the `tracecraft` command."""
    if sys.platform == "win32":
        sys.stderr.write("tracecraft runs on Linux and macOS: its folder store needs flock and hard links. Use WSL.\n")
        sys.exit(2)
    # A command is short and most of what it makes lives until its end: looking for garbage as often as Python does by
    # itself costs a twentieth of its time.
    gc.set_threshold(20_000)
    from tracecraft.cli.app import run

    _leave(run(sys.argv[1:]))


def _leave(code: int) -> None:
    """End the process at once: taking the interpreter apart costs a tenth of a command, and nothing is left to do."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        os.write(2, f"error: the output could not be written: {error.strerror}\n".encode())
        code = code or 1
    os._exit(code)
