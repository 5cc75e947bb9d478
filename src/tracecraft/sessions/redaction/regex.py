"""The one place that speaks to RE2: regular expressions whose time is linear in what they read, whatever that is.

RE2's Python module has no types, and is loaded when the first keyword was found: most flushes need none of it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

Span = tuple[int, int]
"""Offsets of a beginning and an end."""

NOWHERE: Span = (-1, -1)


class Shape:
    """A compiled expression over bytes of any encoding."""

    def __init__(self, expression: str) -> None:
        import re2

        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.log_errors = False
        # re2 has no types; what we use of it is written down here.
        self._compiled: Any = re2.compile(expression.encode("latin-1"), options)
        self._groups: dict[str, int] = {name.decode(): n for name, n in self._compiled.groupindex.items()}

    def match(self, text: bytes, begin: int, end: int) -> Match | None:
        """Match at `begin`, seeing nothing before it and nothing from `end` on."""
        found = self._compiled.match(text, begin, end)
        return None if found is None else Match(found, self._groups)


class Match:
    """Where a shape and its groups matched."""

    def __init__(self, found: Any, groups: dict[str, int]) -> None:
        self._found = found
        self._groups = groups

    def whole(self) -> Span:
        span: Span = self._found.span()
        return span

    def group(self, name: str) -> Span:
        """Where a group matched; NOWHERE if it did not, or if there is none of that name."""
        number = self._groups.get(name)
        span: Span = NOWHERE if number is None else self._found.span(number)
        return span


@cache
def shape(expression: str) -> Shape:
    """The expression, compiled when it is first needed."""
    return Shape(expression)
