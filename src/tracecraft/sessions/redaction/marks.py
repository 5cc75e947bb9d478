"""What stands in the place of a secret. A text that was redacted before stays as it is."""

from __future__ import annotations

import re

_BEGINNING = b"[REDACTED:"
_NAME = re.compile(rb"[A-Za-z0-9._-]*")
_LONGEST_NAME = 64
REACH = len(_BEGINNING) + _LONGEST_NAME + 1
"""The length of the longest mark."""


def mark(name: str) -> bytes:
    """What is written for a secret that was found under this name."""
    return _BEGINNING + name.encode() + b"]"


def clean(name: str) -> str:
    """A name that can stand in a mark."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_LONGEST_NAME]


def over_a_mark(text: bytes, start: int, end: int) -> bool:
    """Whether a range has a part of a mark in it."""
    if text.find(_BEGINNING, start, end + len(_BEGINNING) - 1) >= 0:
        return True
    begun = text.rfind(_BEGINNING, max(0, start - REACH), start)
    return begun >= 0 and _close(text, begun) >= start


def follows(text: bytes, end: int) -> bool:
    """Whether a mark begins here. The secret that it stands for stood here, so what is before it is part of a word."""
    return text.startswith(_BEGINNING, end)


def precedes(text: bytes, start: int) -> bool:
    """Whether a mark ends here."""
    begun = text.rfind(_BEGINNING, max(0, start - REACH), start)
    return begun >= 0 and _close(text, begun) == start - 1


def _close(text: bytes, begun: int) -> int:
    """Where the mark that begins there ends; -1 if it is none."""
    name = _NAME.match(text, begun + len(_BEGINNING), begun + REACH)
    at = name.end() if name else begun
    return at if text.startswith(b"]", at) else -1
