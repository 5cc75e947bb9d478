"""Whether what has the shape of a secret may be one: placeholders, examples, words and code are none.

All of it looks at the bytes of one candidate, whose length is bounded, with expressions that cannot run away.
"""

from __future__ import annotations

import binascii
import re
from collections import Counter
from collections.abc import Callable
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
_PATH = re.compile(rb"^(?:[.~]{0,2}/|[A-Za-z]:\\|\w{1,20}://)|\.[a-z]{2,4}$")
_TEMPLATE = re.compile(rb"\(\)|\(\?|\)[;.]|\}\}|^[$:%@{<&!]")
_LETTERS = re.compile(rb"[A-Za-z]{2,}")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/=]{40,}")

_COMMON = frozenset(
    b"th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro ic"
    b" ne ea ra ce li ch ll be ma si om ur ke ey ec cr et ok wo rd pa ss sw us na am ex pl mp id ap pi ct cl ie nv lo ad"
    b" da ta ba tr ue va lu".split()
)
"""The pairs of letters that make up most of English and of names in code, and a sixth of what is drawn at random."""


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
    if len(secret) < 16 or b"=" in secret.rstrip(b"=") or _PATH.search(secret) or _UUID.fullmatch(secret):
        return False
    kinds = [_kind(byte) for byte in secret]
    if not ("0" in kinds and ("a" in kinds or "A" in kinds) or ("a" in kinds and "A" in kinds)):
        return False
    if _ATTRIBUTE.fullmatch(secret) and kinds.count("0") <= 2:
        return False
    return _turns(kinds) >= 5 or wordiness(secret) < 0.45


def _kind(byte: int) -> str:
    if 48 <= byte <= 57:
        return "0"
    if 97 <= byte <= 122:
        return "a"
    return "A" if 65 <= byte <= 90 else "."


def _turns(kinds: list[str]) -> int:
    """How often a letter and a digit are neighbours."""
    letters = [kind.lower() for kind in kinds]
    return sum({one, other} == {"a", "0"} for one, other in zip(letters, letters[1:], strict=False))


def _password(secret: bytes) -> bool:
    """At least eight, letters with digits or signs, and neither code nor one that is made up for an example."""
    if len(secret) < 8 or everyday(secret) or _TEMPLATE.search(secret) or _PATH.search(secret):
        return False
    if _ATTRIBUTE.fullmatch(secret) or _UUID.fullmatch(secret) or re.search(rb"/\w+/|::|=>|==", secret):
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
    name, colon, password = plain.partition(b":")
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
