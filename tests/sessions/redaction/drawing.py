"""Random texts of a regular expression's shape. Tokens are made when they are needed: none is written down anywhere.

`constant` texts have one letter wherever there is a choice: the shape is right, and nobody would draw it.
"""

from __future__ import annotations

import io
import random
import re
import string
from contextlib import redirect_stdout
from re import _constants as codes  # type: ignore[attr-defined]  # typeshed leaves it out
from re import _parser as parser  # type: ignore[attr-defined]  # typeshed leaves it out
from typing import Any

_PLAIN = string.ascii_letters + string.digits + "_-.+/=~%!"
_MORE = 40
"""How many more than the least a repetition may have."""


def draw(expression: str, source: random.Random, *, constant: bool = False) -> tuple[str, str]:
    """A text that matches, and the part of it that the group `secret` matches: all of it if there is no such group."""
    made = _Drawn(source, constant)
    tree = parser.parse(expression)
    made.names = {number: name for name, number in tree.state.groupdict.items()}
    text = made.sequence(tree)
    return text, text if made.secret is None else made.secret


def longest(expression: str) -> int:
    """The most letters that can match; billions if there is no limit."""
    return int(parser.parse(expression).getwidth()[1])


def looks_around(expression: str) -> bool:
    """Whether it matches at places (`^`, `$`, `\\b`) and not only letters."""
    said = io.StringIO()
    with redirect_stdout(said):
        parser.parse(expression).dump()
    return re.search(r"^\s*AT ", said.getvalue(), re.MULTILINE) is not None


class _Drawn:
    def __init__(self, source: random.Random, constant: bool) -> None:
        self._source = source
        self._constant = constant
        self.names: dict[int, str] = {}
        self.secret: str | None = None

    def sequence(self, items: Any) -> str:
        return "".join(self._one(code, value) for code, value in items)

    def _one(self, code: Any, value: Any) -> str:
        if code is codes.LITERAL:
            return chr(value)
        if code in (codes.IN, codes.NOT_LITERAL, codes.ANY):
            return self._choice(_letters(code, value))
        if code is codes.BRANCH:
            return self.sequence(self._branch(value[1]))
        if code is codes.SUBPATTERN:
            return self._group(value[0], value[3])
        assert code in (codes.MAX_REPEAT, codes.MIN_REPEAT), code
        return self._repeat(*value)

    def _branch(self, branches: Any) -> Any:
        """Any of them, but a slash that may be escaped no more often than another letter."""
        if list(branches[-1])[-1:] == [(codes.LITERAL, ord("/"))]:
            return branches[self._source.random() < 0.02]
        return self._source.choice(branches)

    def _group(self, number: int | None, items: Any) -> str:
        text = self.sequence(items)
        if self.names.get(number or 0) == "secret":
            self.secret = text
        return text

    def _repeat(self, least: int, most: Any, items: Any) -> str:
        most = min(int(most), least + _MORE)
        if len(items) == 1 and items[0] == (codes.LITERAL, ord("\\")):
            most = least  # the contexts escape by themselves
        return "".join(
            self.sequence(items) for _ in range(self._source.choice([least, most, self._source.randint(least, most)]))
        )

    def _choice(self, letters: str) -> str:
        return letters[0] if self._constant else self._source.choice(letters)


def _letters(code: Any, value: Any) -> str:
    """What a class of characters allows, of those that need no escape anywhere."""
    if code is codes.ANY:
        return _PLAIN
    if code is codes.NOT_LITERAL:
        return _PLAIN.replace(chr(value), "")
    expression = re.compile("[" + "".join(_spelled(*item) for item in value) + "]")
    allowed = "".join(letter for letter in _PLAIN if expression.match(letter))
    return allowed or "".join(letter for letter in string.printable if expression.match(letter))


def _spelled(code: Any, value: Any) -> str:
    if code is codes.NEGATE:
        return "^"
    if code is codes.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    if code is codes.CATEGORY:
        return {codes.CATEGORY_SPACE: r"\s", codes.CATEGORY_WORD: r"\w", codes.CATEGORY_DIGIT: r"\d"}.get(value, r"\S")
    return re.escape(chr(value))
