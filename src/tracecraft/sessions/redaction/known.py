"""The secrets of this machine that are known by value: those in the environment and in files of credentials.

Their values are held in memory to be looked for, and go nowhere else: a mark has only the name under which a secret was
found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tracecraft.sessions.redaction import plausible
from tracecraft.sessions.redaction.marks import clean

_LONGEST = 4096
_SHORTEST = 8
_MOST = 256

_SAYS_SECRET = re.compile(
    r"(?:token|key|secret|password|passwd|passphrase|credentials?|pat|pass|auth|access|refresh)$", re.IGNORECASE
)
_SAYS_OTHERWISE = re.compile(
    r"(?:id|ids|file|path|dir|url|uri|name|host|type|expir\w*|at|sock|count|limit|max|size|public|source|algorithm)$",
    re.IGNORECASE,
)
_HARMLESS = frozenset({"GPG_KEY", "SSH_AUTH_SOCK", "XAUTHORITY", "GPG_AGENT_INFO"})
"""GPG_KEY is in every container image of Python: the fingerprint of who released it."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_IN_URL = re.compile(r"://[^\s:/?#@\"']{0,80}:([^\s/@\"']{1,400})@")


class KnownSecret(NamedTuple):
    """A secret by value, and the name that its mark has: `env-GITHUB_TOKEN`, `file-codex-auth-access_token`."""

    name: str
    value: str


def known_secrets(home: Path, environ: Mapping[str, str]) -> list[KnownSecret]:
    """The secrets of this environment, and of the files of credentials in this home folder.

    A file that is missing, too large or unreadable has none. At most 256 are taken, those of the environment first.
    """
    from tracecraft.sessions.redaction.credentials import in_files  # which imports this module

    taken: dict[str, KnownSecret] = {}
    for secret in (*_in_environment(environ), *in_files(home, environ)):
        if len(taken) < _MOST and worth_knowing(secret.value):
            taken.setdefault(secret.value, KnownSecret(clean(secret.name), secret.value))
    return list(taken.values())


def says_secret(name: str) -> bool:
    """Whether a variable or field of this name holds a secret: `FOO_TOKEN`, `accessToken`, `KEY_PROD`."""
    words = re.split(r"[^A-Za-z0-9]+", _HUMP.sub("_", name))
    words = [word for word in words if word and not word.isdigit()]
    if not words or name in _HARMLESS or _SAYS_OTHERWISE.fullmatch(words[-1]):
        return False
    return any(_SAYS_SECRET.search(word) for word in words)


def worth_knowing(value: str) -> bool:
    """Whether a value is a secret that can be looked for: not a word, number, path, URL or placeholder."""
    data = value.encode(errors="replace")
    if not _SHORTEST <= len(data) <= _LONGEST or "\n" in value or "[REDACTED" in value:
        return False
    if value.startswith(("/", "~", "./", "$")) or "://" in value or _is_number(value):
        return False
    if plausible.placeholder(data[:512]) or plausible.everyday(data):
        return False
    return (
        bool(re.search(r"[0-9]|[^A-Za-z0-9_ .-]|[a-z][A-Z]|[A-Z][a-z].*[A-Z]", value))
        and plausible.entropy(data) >= 2.5
    )


def in_urls(text: str) -> Iterator[str]:
    """The passwords of URLs in a text."""
    yield from _IN_URL.findall(text)


def _in_environment(environ: Mapping[str, str]) -> Iterator[KnownSecret]:
    for name, value in sorted(environ.items()):
        if says_secret(name):
            yield KnownSecret(f"env-{name}", value)
        for password in in_urls(value[:_LONGEST]):
            yield KnownSecret(f"env-{name}", password)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
