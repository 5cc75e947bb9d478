"""Secrets out of a stream of lines, in bounded memory and in time linear in its length.

The stream goes through a window of a few hundred kilobytes. In it keywords are found, at each keyword its rules are
tried, and what they found is replaced. Whether there is a secret at a keyword is a question of a bounded number of
bytes around it in its own line, and the window always has those, so it does not matter where it was cut. Secrets that
overlap become one mark, which is named after the first of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from tracecraft.sessions.redaction import finders, marks, matching
from tracecraft.sessions.redaction.forms import forms
from tracecraft.sessions.redaction.known import KnownSecret
from tracecraft.sessions.redaction.rule import Rule
from tracecraft.sessions.redaction.rules import RULES, ruleset

SEGMENT = 256 * 1024
"""Bytes that are looked at in one go."""
_LOOKED_FOR = 48
"""Bytes of a known secret that are its keyword; the rest is compared then."""


class _Known(NamedTuple):
    """A form of a known secret. `raw` ones occur in plain text only."""

    name: str
    text: bytes
    raw: bool


class _Tried:
    """What is tried where a keyword was found: rules with their order and the keyword's lead, known values."""

    __slots__ = ("known", "named", "rules")

    def __init__(self) -> None:
        self.rules: list[tuple[int, int, Rule]] = []
        self.named: list[tuple[int, Rule]] = []
        self.known: list[_Known] = []


class _Found(NamedTuple):
    """A secret in the window. Of several that begin at one place the lowest `order` gives the name."""

    start: int
    order: int
    end: int
    name: str


class Redactor:
    """Replaces secrets by `[REDACTED:name]`.

    `known` are exact values to replace besides what the rules find, under their own names. `engine` is `aho-corasick`
    or `hyperscan` (see `finders`), by default what the environment's TRACECRAFT_REDACTION_ENGINE says, else
    `aho-corasick`; the result is the same. A Redactor may be used any number of times. Raises UsageError for an engine
    that there is not, or that is not installed.
    """

    def __init__(self, known: Iterable[KnownSecret] = (), *, engine: str | None = None) -> None:
        self._make_finder = finders.choose(engine)
        tried: defaultdict[bytes, _Tried] = defaultdict(_Tried)
        for order, rule in enumerate(RULES):
            for keyword in rule.keywords:
                if rule.named:
                    tried[keyword.text].named.append((order, rule))
                else:
                    tried[keyword.text].rules.append((order, keyword.lead, rule))
        self._ahead = matching.AHEAD
        for secret in known:
            for form in forms(secret.value):
                entry = _Known(marks.clean(secret.name), form.text, form.raw)
                tried[form.text.lower()[:_LOOKED_FOR]].known.append(entry)
                self._ahead = max(self._ahead, len(form.text) + marks.REACH)
        self._keywords = sorted(tried)
        self._at = [tried[keyword] for keyword in self._keywords]
        self._longest = max(map(len, self._keywords))

    @property
    def ruleset(self) -> str:
        """The rules, by version and checksum: `1-9f3c2a1b`."""
        return ruleset()

    @cached_property
    def _finder(self) -> finders.Finder:
        return self._make_finder(self._keywords)

    def redact(self, chunks: Iterable[bytes], counts: Counter[str], *, text: bool = False) -> Iterator[bytes]:
        """The chunks, which together are whole lines, without secrets, as chunks of other sizes.

        The lines are of JSON, and are so afterwards; with `text` they are plain text. There are as many as before.
        `counts` gets how many secrets of each name were replaced. What comes out does not depend on how the input was
        cut.
        """
        window = _Window(counts, text)
        for piece in _gathered(chunks, SEGMENT):
            window.data += piece
            while len(window.data) - window.looked >= SEGMENT + self._ahead:
                yield from self._go_on(window, window.looked + SEGMENT)
        yield from self._go_on(window, len(window.data), last=True)

    def _go_on(self, window: _Window, end: int, *, last: bool = False) -> Iterator[bytes]:
        window.found += self._find(window, end)
        window.looked = end
        yield from window.settle(end if last else end - matching.BEHIND)
        window.forget(matching.BEHIND)

    def _find(self, window: _Window, end: int) -> Iterator[_Found]:
        """The secrets at the keywords that begin before `end` and were not looked at yet."""
        data, in_json = window.data, not window.text
        for number, at in self._finder.find(data, window.looked, min(len(data), end + self._longest - 1)):
            if at >= end:
                continue
            tried = self._at[number]
            for order, lead, rule in tried.rules:
                span = matching.secret_at(rule, data, at + lead, in_json)
                if span is not None:
                    yield _Found(span[0], order, span[1], rule.name)
            if tried.named and matching.names_a_secret(data, at + len(self._keywords[number])):
                for order, rule in tried.named:
                    span = matching.secret_at(rule, data, at, in_json)
                    if span is not None:
                        yield _Found(span[0], order, span[1], rule.name)
            for known in tried.known:
                if not (in_json and known.raw) and matching.known_at(known.text, data, at, in_json):
                    yield _Found(at, -1, at + len(known.text), known.name)


class _Window:
    """The part of the stream that is in memory. All numbers are offsets into `data`.

    Before `looked` all keywords were tried; before `done` all is handed out. `until` is where the secret ends whose
    mark was handed out last. A newline stands before the stream's first byte: it begins a line.
    """

    def __init__(self, counts: Counter[str], text: bool) -> None:
        self.data = b"\n"
        self.text = text
        self.looked = 0
        self.done = 1
        self.until = 0
        self.found: list[_Found] = []
        self._counts = counts
        self._mark = b""
        self._lines = 0

    def settle(self, end: int) -> Iterator[bytes]:
        """Hand out what comes before `end`, where nothing more will be found."""
        self.found.sort()
        behind = len(self.found)
        for number, secret in enumerate(self.found):
            if secret.start >= end:
                behind = number
                break
            if secret.start >= self.until:
                yield from self._pass(secret.start)
                self._counts[secret.name] += 1
                self._mark = marks.mark(secret.name)
                yield self._mark
            self.until = max(self.until, secret.end)
        del self.found[:behind]
        yield from self._pass(end)

    def _pass(self, end: int) -> Iterator[bytes]:
        """Hand out up to `end`, but of what belongs to a secret only its newlines, so that lines stay in number.

        A secret of several lines has its mark on the first and on the last.
        """
        if self.done < min(self.until, end):
            over = min(self.until, end)
            newlines = self.data.count(b"\n", self.done, over)
            yield b"\n" * newlines
            self._lines += newlines
            self.done = over
        if self.done == self.until and self._lines:
            yield self._mark
            self._lines = 0
        if self.done < end:
            yield self.data[self.done : end]
            self.done = end

    def forget(self, behind: int) -> None:
        """Drop what is handed out, but for the bytes behind the keywords to come."""
        drop = min(self.done, self.looked - behind)
        if drop > 0:
            self.data = self.data[drop:]
            self.looked -= drop
            self.done -= drop
            self.until = max(0, self.until - drop)
            self.found = [_Found(at - drop, order, end - drop, name) for at, order, end, name in self.found]


def _gathered(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of about that size: neither many small ones nor one that is huge."""
    held: list[bytes] = []
    length = 0
    for chunk in chunks:
        for at in range(0, len(chunk), size):
            piece = chunk[at : at + size]
            held.append(piece)
            length += len(piece)
            if length >= size:
                yield b"".join(held)
                held, length = [], 0
    yield b"".join(held)
