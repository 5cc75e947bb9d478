"""Whether what has the shape of a secret may be one: placeholders, examples, words and code are none.

All of it looks at the bytes of one candidate, whose length is bounded, with expressions that cannot run away.
"""

from __future__ import annotations

import binascii
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from math import log2

_PLACEHOLDER = re.compile(
    rb"""x{5,} | \*{3,} | \.{3,} | \xe2\x80\xa6 | \xe2\x80\xa2 | ((?-i:[^A]))\1{7,} | 12345678 | abcdefgh
    | example | placeholder | change[_-]?me | redacted | your[_-] | ^your | insert[_-] | replace[_-] | dummy | notreal
    | \$\{ | \{\{ | <% | %\( | ^<.*>$ | ^\$[a-z_]\w*$ | ^\$[({] | ^%[a-z]+%$
    # Keys that are public: of a test account in Stripe's documents, of Azure's emulators, of the example of jwt.io.
    | 4eC39HqLyjWDarjtT1zdp7dc | Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6 | C2y6yDjf5.R.ob0N8A7Cgv30VRDJIWEHLM
    | eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9l""",
    re.IGNORECASE | re.VERBOSE,
)
_EVERYDAY = re.compile(
    rb"pass(?:word|wd)|passphrase|secret|test|demo|foobar|qwerty|letmein|welcome|sample|string|undefined|localhost"
    rb"|^(?:postgres|postgresql|mysql|admin|root|guest|user(?:name)?|pass|pwd|token|x-oauth-basic|minio(?:admin)?|rabbitmq)$",
    re.IGNORECASE,
)
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ATTRIBUTE = re.compile(rb"[A-Za-z_$][A-Za-z_0-9]{0,40}(?:\??\.[A-Za-z_$][A-Za-z_0-9]{0,40})+")
_HUMPED = re.compile(rb"(?=[A-Za-z]*[0-9]?[A-Za-z]*\Z)[A-Za-z0-9]*[a-z][A-Z][a-z][A-Za-z0-9]*")
_PLACE = re.compile(rb"^(?:arn:|[.~]{1,2}/|[A-Za-z]:\\|\w{1,20}://)")
_PATH = re.compile(rb"^/|\.[a-z]{2,4}$")
_TEMPLATE = re.compile(rb"\(\)|\(\?|\)[;.]|\}\}|^[$:%@{<&!]")
_LETTERS = re.compile(rb"[A-Za-z]{2,}")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/=]{40,}")

_COMMON = frozenset(
    (
        b"ab ac ad ag ai al am an ap ar as at ba be bl bu ca ce ch ck cl co cr ct da dd de di do ea ec ed ee ef ej el"
        b" em en ep er es et ex fa fe ff fi fo ge gi ha he hi ho ht hu ic id ie if il im in io is it js ke la le lf li"
        b" ll lo ls ma me mi mm mo mp na nc nd ne ng ni no ns nt ob oc od of ol om on op or os ot ou ow pa pe pi pl po"
        b" pr ps pt pu ra re ri rn ro rr rs rt ry se si so ss st su ta te th ti to tp tr ts tt tu ty ub ue ul un up ur"
        b" us ut va ve wi yp"
    ).split()
)
"""The 150 most frequent pairs of letters: of what is written in text and code nearly all, of random letters a fifth."""


def entropy(secret: bytes) -> float:
    """Shannon entropy, in bits a byte."""
    size = len(secret)
    return -sum(count / size * log2(count / size) for count in Counter(secret).values())


def placeholder(secret: bytes) -> bool:
    """Whether this stands for a secret, or is one of those that everybody knows."""
    return _PLACEHOLDER.search(secret) is not None


def everyday(secret: bytes) -> bool:
    """Whether this is a password of examples and test set-ups."""
    return _EVERYDAY.search(secret) is not None


def wordiness(text: bytes) -> float:
    """The share of pairs of neighbouring letters that are common ones: most in words, few in what is random."""
    pairs = [word[n : n + 2] for word in _LETTERS.findall(text.lower()) for n in range(len(word) - 1)]
    return sum(pair in _COMMON for pair in pairs) / len(pairs) if pairs else 0.0


def looks_random(secret: bytes) -> bool:
    """Whether this seems to be drawn at random, and is no word, name, path, number, expression or UUID."""
    if len(secret) < 16 or b"=" in secret.rstrip(b"=") or _says_where(secret) or _UUID.fullmatch(secret):
        return False
    kinds = [_kind(byte) for byte in secret]
    if len({"0", "a", "A"} & set(kinds)) < 2 or (_ATTRIBUTE.fullmatch(secret) and kinds.count("0") <= 2):
        return False
    if _turns(kinds) >= 5:
        return True
    # Names in code have capitals where words begin, random letters everywhere.
    mixed = "0" in kinds or kinds.count("A") >= 0.3 * len(kinds)
    return wordiness(secret) < (0.55 if mixed else 0.35)


def _says_where(secret: bytes) -> bool:
    """Whether this is a path or the name of a resource. What is random may begin or end like one, but has no words."""
    if _PLACE.search(secret):
        return True
    return _PATH.search(secret) is not None and wordiness(secret) >= 0.4


def _kind(byte: int) -> str:
    if 48 <= byte <= 57:
        return "0"
    if 97 <= byte <= 122:
        return "a"
    return "A" if 65 <= byte <= 90 else "."


def _turns(kinds: list[str]) -> int:
    """How often a letter and a digit are neighbours."""
    letters = [kind.lower() for kind in kinds]
    return sum({one, other} == {"a", "0"} for one, other in pairwise(letters))


def _password(secret: bytes) -> bool:
    """At least eight, letters with digits or signs, and neither code nor one that is made up for an example."""
    if len(secret) < 8 or everyday(secret) or _TEMPLATE.search(secret) or _says_where(secret):
        return False
    if _ATTRIBUTE.fullmatch(secret) or _UUID.fullmatch(secret) or re.search(rb"/\w+/|::|=>|==", secret):
        return False
    if _HUMPED.fullmatch(secret) and wordiness(secret) >= 0.55:
        return False
    return bool(re.search(rb"[A-Za-z]", secret) and re.search(rb"[0-9!@#$%^&*?~+]", secret))


def _url_password(secret: bytes) -> bool:
    return len(secret) >= 5 and not everyday(secret) and not secret.isdigit() and not secret.startswith(b"%")


def _key(secret: bytes) -> bool:
    """A UUID may be a key where a name says so."""
    return looks_random(secret) or bool(_UUID.fullmatch(secret))


def _basic(secret: bytes) -> bool:
    """Base64 of a name and a password."""
    try:
        plain = binascii.a2b_base64(secret + b"=" * (-len(secret) % 4))
    except binascii.Error:
        return False
    _name, colon, password = plain.partition(b":")
    if not colon or len(password) < 4 or not plain.isascii() or not plain.decode("ascii").isprintable():
        return False
    return not placeholder(plain) and not (everyday(password) and len(password) < 16)


def _jwt(secret: bytes) -> bool:
    """Its first part says in base64 of JSON which algorithm it is of."""
    head = secret.partition(b".")[0][:400]
    try:
        plain = binascii.a2b_base64(head.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(head) % 4))
    except binascii.Error:
        return False
    return b'"alg"' in plain or b'"typ"' in plain or b'"enc"' in plain or b'"kid"' in plain


def _pem(secret: bytes) -> bool:
    """A line of a key is in it, not only the lines around one."""
    return bool(_BASE64_LINE.search(secret))


def _anything(_secret: bytes) -> bool:
    return True


CHECKS: dict[str, Callable[[bytes], bool]] = {
    "": _anything,
    "random": looks_random,
    "token": looks_random,
    "key": _key,
    "password": _password,
    "url_password": _url_password,
    "basic": _basic,
    "jwt": _jwt,
    "pem": _pem,
}
"""The further tests that rules name."""
