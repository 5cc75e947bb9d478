"""What a recorder has to say goes to stderr, once: the work that is recorded goes on in any case."""

from __future__ import annotations

import sys

from tracecraft.errors import TracecraftError


class Notices:
    """Says each kind of thing once. Never raises: stderr may be closed, or the user's own."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, kind: str, text: str) -> None:
        if kind in self._said:
            return
        self._said.add(kind)
        try:
            sys.stderr.write(f"tracecraft: {_one_line(text)}\n")
            sys.stderr.flush()
        except Exception:  # noqa: S110 - there is nowhere left to say it
            pass


def why(error: BaseException) -> str:
    """An error in one line, with what to do about it."""
    if isinstance(error, TracecraftError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return f"{type(error).__name__}: {error}"


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
