"""Keywords found with Intel's Hyperscan, where the package's extra `hyperscan` is installed."""

from __future__ import annotations

from collections.abc import Sequence

import hyperscan

from tracecraft.sessions.redaction.finders import Hit


class HyperscanFinder:
    """Finds what the Aho-Corasick automaton finds, several times as fast."""

    def __init__(self, keywords: Sequence[bytes]) -> None:
        self._lengths = [len(keyword) for keyword in keywords]
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=list(keywords),
            ids=list(range(len(keywords))),
            flags=[hyperscan.HS_FLAG_CASELESS] * len(keywords),
            literal=True,
        )

    def find(self, text: bytes, begin: int, end: int) -> list[Hit]:
        found: list[Hit] = []

        def note(number: int, _start: int, stop: int, _flags: int, _context: object) -> None:
            found.append((number, begin + stop - self._lengths[number]))

        self._database.scan(text[begin:end], match_event_handler=note)
        return found
