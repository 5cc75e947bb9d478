"""completion: tab completion for shells."""

from __future__ import annotations

from typing import cast

import click
from click.shell_completion import ShellComplete, get_completion_class

from tracecraft.cli.face import Face, command


@command(acts=False)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(face: Face, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    Example:
      eval "$(tracecraft completion bash)"             # in ~/.bashrc; zsh the same in ~/.zshrc
      tracecraft completion fish > ~/.config/fish/completions/tracecraft.fish
    """
    from tracecraft.cli.app import tracecraft

    kind = cast(type[ShellComplete], get_completion_class(shell))
    script = kind(tracecraft, {}, "tracecraft", "_TRACECRAFT_COMPLETE").source()
    face.show({"shell": shell, "script": script}, script)
