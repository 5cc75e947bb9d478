"""Whether a rule finds a secret at a keyword: its shape, what is around it, and whether it may be one at all.

The answer depends on the line alone in which the keyword stands (a PEM block of plain text: on its lines), and on no
more of it than `BEHIND` bytes before and `AHEAD` bytes after the keyword.
"""

from __future__ import annotations

import re
from functools import cache

from tracecraft.sessions.redaction import fieldvalues, marks
from tracecraft.sessions.redaction.plausible import CHECKS, entropy, placeholder
from tracecraft.sessions.redaction.regex import NOWHERE, Match, Span, shape
from tracecraft.sessions.redaction.rule import NAME_GOES_ON, Rule
from tracecraft.sessions.redaction.rules import RULES

_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_LOOK_BACK = 32
_BREAK = re.compile(
    rb"(?:\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9A-Fa-f]{2}|(?:\x1b|\\u001[bB]|\\x1[bB]|\\033|\\e)\[[0-9;]{0,12}m"
    rb"|(?:\n|\\n|[\"'`])[+-])\Z"
)
"""What ends in a letter, digit or dash and yet goes before a word: escapes, colours, the marks of a diff."""
_SPLIT_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\(?:u[0-9a-fA-F]{0,3})?\Z")
"""The beginning of an escape that goes on after it."""
_BACKSLASHES = re.compile(rb"\\+")
_NEAR = 120
_PLACEHOLDERS_WITHIN = 512

BEHIND = max(_LOOK_BACK, marks.REACH) + max(-keyword.lead for rule in RULES for keyword in rule.keywords)
AHEAD = max(rule.reach for rule in RULES) + fieldvalues.LONGEST + marks.REACH


def names_a_secret(text: bytes, end: int) -> bool:
    """Whether the name of a service that ends here goes on as the name of a secret of it does.

    Such names stand everywhere and have several rules each, so this is asked before those are tried.
    """
    near = text[end : end + _NEAR].lower()
    if b"key" in near or b"token" in near or b"secret" in near or b"auth" in near or b"pa" in near or b"cred" in near:
        return shape(NAME_GOES_ON).match(text, end, min(len(text), end + _NEAR)) is not None
    return b"pwd" in near


def secret_at(rule: Rule, text: bytes, begin: int, in_json: bool) -> Span | None:
    """The secret whose shape begins at this offset, as offsets; None if there is none."""
    if begin <= 0 or not _may_begin(rule, text, begin):
        return None
    match = shape(rule.shape).match(text, begin, _end_of_view(rule, text, begin, in_json))
    if match is None:
        return None
    span = _span(rule, text, match, in_json)
    if span is None or marks.over_a_mark(text, *span) or not _plausible(rule, text[span[0] : span[1]]):
        return None
    return span


def _may_begin(rule: Rule, text: bytes, begin: int) -> bool:
    """Whether the shape may begin here. Where most keywords stand by chance this says no, before anything costs."""
    if rule.edges in ("word", "blob"):
        before = text[begin - 1]
        if before in _WORD or before == 0x5C or (rule.edges == "blob" and before in b"+/"):
            return _BREAK.search(text, max(0, begin - _LOOK_BACK), begin) is not None
    return not (rule.unless and _unless(rule.unless).search(text, max(0, begin - _LOOK_BACK), begin))


def _end_of_view(rule: Rule, text: bytes, begin: int, in_json: bool) -> int:
    """How far the shape may look: to the end of the line, or further where a secret has many lines of plain text."""
    end = min(len(text), begin + rule.reach)
    if rule.lines and not in_json:
        return end
    newline = text.find(b"\n", begin, end)
    return end if newline < 0 else newline + 1


def _span(rule: Rule, text: bytes, match: Match, in_json: bool) -> Span | None:
    if in_json and not _same_level(text, match):
        return None
    if rule.field:
        return fieldvalues.value(text, match)
    secret = match.group("secret")
    start, end = match.whole() if secret == NOWHERE else secret
    if rule.edges != "none" and (marks.follows(text, end) or (end < len(text) and text[end] in _WORD)):
        return None
    if rule.edges in ("word", "blob") and marks.precedes(text, start):
        return None
    return start, end


def _same_level(text: bytes, match: Match) -> bool:
    """Whether name and value are both within a string of the JSON, or are strings of it both: no number is replaced."""
    close, opening = (text[slice(*match.group(name))] for name in ("close", "open"))
    return _is_structure(close.rstrip(b"]")) == _is_structure(opening)


def _is_structure(quote: bytes) -> bool:
    return quote.endswith(b'"') and len(quote) % 2 == 1


def _plausible(rule: Rule, written: bytes) -> bool:
    secret = _BACKSLASHES.sub(rb"\\", written) if rule.field else written
    if rule.check != "pem" and placeholder(secret[:_PLACEHOLDERS_WITHIN]):
        return False
    return CHECKS[rule.check](secret) and entropy(secret) >= rule.entropy


@cache
def _unless(expression: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?i:" + expression.encode() + rb")\Z")


def known_at(secret: bytes, text: bytes, at: int, in_json: bool) -> bool:
    """Whether a known secret stands here, and can be taken out without breaking an escape."""
    if not text.startswith(secret, at) or marks.over_a_mark(text, at, at + len(secret)):
        return False
    return not in_json or _SPLIT_ESCAPE.search(text, max(0, at - _LOOK_BACK), at) is None
