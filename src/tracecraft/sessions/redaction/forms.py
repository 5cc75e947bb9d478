"""How the value of a known secret may be written in a transcript: as it is, escaped, in base64, in a URL."""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Iterator
from typing import NamedTuple

_SHORTEST_IN_BASE64 = 12
"""Bytes. What is left of a shorter one, in base64 within more of it, could be anything."""
_PLAIN_IN_URLS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
_LEVELS = 3
"""Of JSON within JSON."""


class Form(NamedTuple):
    """One way to write a secret. `raw` ones do not occur in JSON: they have what JSON must escape."""

    text: bytes
    raw: bool


def forms(value: str) -> set[Form]:
    """Every form of a secret that is cheap to look for."""
    return {Form(text.encode(), raw) for text, raw in _written(value)}


def _written(value: str) -> Iterator[tuple[str, bool]]:
    yield value, json.dumps(value, ensure_ascii=False)[1:-1] != value
    yield from ((text, False) for text in _in_json(value))
    yield from ((_in_url(value, plain), False) for plain in (_PLAIN_IN_URLS, _PLAIN_IN_URLS + b"/"))
    yield from ((text, False) for text in _in_base64(value.encode()))


def _in_json(value: str) -> Iterator[str]:
    for ascii_only in (False, True):
        text = value
        for _ in range(_LEVELS):
            text = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
            yield text
            yield text.replace("/", "\\/")


def _in_url(value: str, plain: bytes) -> str:
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in value.encode())


def _in_base64(value: bytes) -> Iterator[str]:
    """Base64 of the secret alone, and of what it is a part of: it may begin at three places within four letters."""
    if len(value) < _SHORTEST_IN_BASE64:
        return
    alone = b2a_base64(value, newline=False).decode().rstrip("=")
    texts = [alone, _settled(alone, len(value))]
    for before, lost in ((1, 2), (2, 3)):
        whole = b2a_base64(b"\0" * before + value, newline=False).decode().rstrip("=")
        texts.append(_settled(whole, before + len(value))[lost:])
    for text in texts:
        yield text
        yield text.replace("+", "-").replace("/", "_")


def _settled(text: str, size: int) -> str:
    """Without the last letter where what follows the secret decides on it."""
    return text if size % 3 == 0 else text[:-1]
