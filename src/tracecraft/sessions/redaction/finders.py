"""Where keywords stand in a text: the first and cheapest look at every byte.

Both finders find the same. The Aho-Corasick automaton is there always; Hyperscan is an extra, several times as fast at
this step, and takes 10 ms to set up where the automaton takes 3. So it pays for whoever mirrors much at once, not for
the flush of a few lines.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol

import ahocorasick_rs

from tracecraft.errors import UsageError

VARIABLE = "TRACECRAFT_REDACTION_ENGINE"

Hit = tuple[int, int]
"""The number of a keyword, and where it begins in the text."""


class Finder(Protocol):
    """Finds keywords, which are given in lower case and found in any."""

    def find(self, text: bytes, begin: int, end: int) -> list[Hit]:
        """Every occurrence that lies within the two offsets, overlapping ones too, in any order."""


class AhoCorasickFinder:
    """The finder that is always there."""

    def __init__(self, keywords: Sequence[bytes]) -> None:
        self._automaton = ahocorasick_rs.BytesAhoCorasick(
            keywords, ahocorasick_rs.MatchKind.Standard, ahocorasick_rs.Implementation.DFA
        )

    def find(self, text: bytes, begin: int, end: int) -> list[Hit]:
        lowered = text[begin:end].lower()
        found = self._automaton.find_matches_as_indexes(lowered, overlapping=True)
        return [(number, begin + start) for number, start, _ in found]


def choose(engine: str | None) -> Callable[[Sequence[bytes]], Finder]:
    """What makes a finder of this name. Raises UsageError."""
    name = engine or os.environ.get(VARIABLE) or "aho-corasick"
    if name == "aho-corasick":
        return AhoCorasickFinder
    if name != "hyperscan":
        raise UsageError(f"no redaction engine is called {name!r}", hint="choose aho-corasick or hyperscan")
    try:
        from tracecraft.sessions.redaction.hyperscan_finder import HyperscanFinder
    except ImportError as error:
        raise UsageError(
            f"the redaction engine hyperscan does not load: {error}",
            hint="install the extra: pip install 'tracecraft-ai[hyperscan]', or choose aho-corasick",
        ) from error
    return HyperscanFinder
