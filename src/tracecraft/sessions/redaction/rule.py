r"""What a rule is, and the few ways in which rules are made.

A rule says: where one of these keywords stands, match this shape there. Three makers cover all of them:

- `own`: a secret that can be told by itself, mostly by a prefix of its own.
- `named`: a secret that looks like many other things (32 hex digits), behind a name that tells whose it is:
  `DATADOG_API_KEY=...`, `"datadog": {"apiKey": "..."}`, `Datadog API key: ...`.
- `field`: a value of any shape behind a name that tells what it is: `"password": "..."`, `export FOO_TOKEN=...`.

Shapes are regular expressions in the syntax of RE2, over bytes. They are matched at one place, never searched for, and
see at most `reach` bytes of one line. Text is mostly JSON within JSON, so a quote may have any number of backslashes
before it, and a newline of a value is written `\n`.
"""

from __future__ import annotations

from typing import NamedTuple


class Keyword(NamedTuple):
    """What is looked for first, in lower case. The shape begins `lead` bytes after its first byte."""

    text: bytes
    lead: int = 0


class Rule(NamedTuple):
    """A kind of secret.

    What the group `secret` of the shape matches is replaced, or the whole match where it has none. A `field` rule's
    shape ends where the value begins. `edges` says what may not touch the secret: `word` (letters, digits, `_` and `-`,
    on both sides), `blob` (`+` and `/` before it as well: the prefix may occur within base64), `right` (only what
    follows) or `none`. `entropy` is the least Shannon entropy in bits a byte, `check` a further test, by its name in
    `plausible`. What matches `unless` right before the keyword makes it something else. In plain text the shape sees
    more than one line where `lines` says so. The shape of a `named` rule begins, after the name of the
    service, with NAME_GOES_ON.
    """

    name: str
    keywords: tuple[Keyword, ...]
    shape: str
    reach: int = 512
    entropy: float = 3.0
    edges: str = "word"
    check: str = ""
    unless: str = ""
    named: bool = False
    field: bool = False
    lines: bool = False


QUOTE = r"""\\{0,15}["'`]"""
"""A quote on any level of JSON within JSON."""

SEPARATOR = (
    rf"(?P<close>(?:{QUOTE}\]?)?)[ \t]{{0,8}}(?:=>|:=|[:=>]|\\{{1,7}}u003[dDeE])"
    rf"(?:[ \t]|\\{{1,7}}t){{0,8}}(?P<open>(?:{QUOTE})?)"
)
"""What stands between a name and its value, with the quote that ends the name and the one that begins the value."""

_TELLING = r"(?i:key|token|secret|auth|pass|password|passwd|pwd|pat|credentials?)"
_WHICH = r"(?i:s|_?(?:[0-9]{1,2}|v[0-9]|prod|dev|test|staging|live|default))?"
_NO_NAME = r"::[A-Za-z]{0,24}|(?:[0-9]{12}|\*):"
"""Before what is a type of a cloud's resource, or a part of the name of one."""
_ON_THE_WAY = r"""[A-Za-z0-9_. \\"':{-]{0,32}?"""
NAME_GOES_ON = rf"{_ON_THE_WAY}{_TELLING}{_WHICH}(?:{SEPARATOR}| {{1,2}}(?:is )?)"
"""From the name of a service to where its secret begins."""
_AFTER_A_NAME = ('"', "'", "`", "\\", "=", ":", " =", " :", ">")
_BEFORE_A_TOKEN = (
    "\n",
    " ",
    "\t",
    '"',
    "'",
    "`",
    "=",
    ":",
    ",",
    "/",
    "(",
    "[",
    ">",
    "@",
    r"\n",
    r"\t",
    "%3d",
    "u003d",
    "{",
    "<",
    "|",
    ";",
    "?",
    "&",
    "!",
    "-",
    "+",
    "m",
)


def own(
    name: str,
    keywords: str | tuple[str, ...],
    shape: str,
    *,
    back: int = 0,
    reach: int = 512,
    entropy: float = 2.6,
    edges: str = "",
    check: str = "",
    lines: bool = False,
) -> Rule:
    """A secret that can be told by itself. Its keywords, separated by spaces or a tuple, stand `back` bytes into it."""
    words = keywords.split(" ") if isinstance(keywords, str) else keywords
    found = tuple(Keyword(word.encode(), -back) for word in words)
    edges = edges or ("right" if "(?P<secret>" in shape else "word")
    return Rule(name, found, shape, reach, entropy, edges, check, lines=lines)


def begun(name: str, keywords: str, shape: str, *, entropy: float = 2.6, reach: int = 512) -> Rule:
    """The same where the keyword is so short that words end in it: it counts only behind what goes before a token."""
    found = tuple(
        Keyword((before + word).encode(), len(before)) for word in keywords.split(" ") for before in _BEFORE_A_TOKEN
    )
    return Rule(name, found, shape, reach, entropy)


def named(name: str, words: str, shape: str, *, entropy: float = 2.6, check: str = "") -> Rule:
    """A secret that is one only behind a name with one of these words, and after it a word such as key or token."""
    keywords = tuple(Keyword(word.encode()) for word in words.split(" "))
    told = f"(?i:{'|'.join(word.replace('.', '[.]') for word in words.split(' '))})"
    whole = rf"{told}{NAME_GOES_ON}(?P<secret>{shape})"
    return Rule(name, keywords, whole, entropy=entropy, edges="right", check=check, named=True)


def field(name: str, names: str, *, check: str, entropy: float, unless: str = "") -> Rule:
    """A value behind one of these names, which may be the end of a longer one, or behind an option of that name."""
    words = names.split(" ")
    keywords = [Keyword((word + after).encode()) for word in words for after in _AFTER_A_NAME]
    keywords += [Keyword(f"--{word} ".encode()) for word in words]
    told = f"(?i:{'|'.join(words)})"
    unless = f"(?:{_NO_NAME}|{unless})" if unless else _NO_NAME
    shape = rf"{told}{SEPARATOR}|--{told} {{1,2}}(?P<option>(?:{QUOTE})?)"
    return Rule(name, tuple(keywords), shape, 160, entropy, "right", check, unless, field=True)
