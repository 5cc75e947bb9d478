"""The value behind a name: between the quotes that were opened, or up to where an unquoted one ends."""

from __future__ import annotations

import re

from tracecraft.sessions.redaction.regex import NOWHERE, Match, Span

LONGEST = 4096
"""Bytes of the longest value that is looked at."""

_UNQUOTED = re.compile(rb"[A-Za-z0-9_.~+/%!@#^*?:-]{8,512}={0,3}")
_AFTER_UNQUOTED = frozenset(b" \t\r\n\"'`\\,;&|<)}]")
_SPACE = re.compile(rb"\s")
_ESCAPED_SPACE = re.compile(rb"\\[nrt]")
_BACKSLASH = 0x5C


def value(text: bytes, match: Match) -> Span | None:
    """The value that begins where a field's name and separator end. None if it is none that a secret could be."""
    start = match.whole()[1]
    quote = _opened(text, match)
    if not quote:
        return _unquoted(text, start)
    end = _closing(text, start, quote)
    if end is None or _ESCAPED_SPACE.search(text, start, end):
        return None
    if quote[-1:] != b'"' and text.find(b'"', start, end) >= 0:
        return None
    return start, end


def _opened(text: bytes, match: Match) -> bytes:
    for group in ("open", "option"):
        span = match.group(group)
        if span != NOWHERE:
            return text[slice(*span)]
    return b""


def _unquoted(text: bytes, start: int) -> Span | None:
    found = _UNQUOTED.match(text, start)
    if found is None or (found.end() < len(text) and text[found.end()] not in _AFTER_UNQUOTED):
        return None
    return start, start + len(found[0].rstrip(b".:"))


def _closing(text: bytes, start: int, quote: bytes) -> int | None:
    """Where the string ends that this quote opened, on its level of JSON within JSON.

    A level's quote has `depth` backslashes: none, one, three, seven. Escaped backslashes at the end of the value come
    in pairs of that level; a shorter run means that an outer string ends here, before the value did.
    """
    depth = len(quote) - 1
    space = _SPACE.search(text, start, start + LONGEST)
    limit = space.start() if space else min(len(text), start + LONGEST)
    at = text.find(quote[-1:], start, limit)
    while at >= 0:
        run = at
        while run > start and text[run - 1] == _BACKSLASH:
            run -= 1
        backslashes = at - run
        if backslashes < depth:
            return None
        if (backslashes - depth) % (2 * (depth + 1)) == 0:
            return at - depth
        at = text.find(quote[-1:], at + 1, limit)
    return None
