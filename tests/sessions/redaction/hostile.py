"""Lines that somebody made to be slow to read. `python -m tests.sessions.redaction.hostile NAME SIZE` redacts one."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable

from tracecraft.sessions.redaction import KnownSecret, Redactor

_DASHES = b"-" * 5


def _again(piece: bytes) -> Callable[[int], bytes]:
    return lambda size: (piece * (size // len(piece) + 1))[:size].replace(b"\n", b" ")


LINES: dict[str, Callable[[int], bytes]] = {
    "prefixes of tokens": _again(b"eyJ"),
    "beginnings of JWTs": _again(b".eyJ"),
    "parts of JWTs": _again(b"eyJaaaaaaaaaaaaaaaaaaaaaaaa."),
    "one long JWT": lambda size: b"eyJ" + b"hbGci" * (size // 5) + b".eyJ",
    "schemes": _again(b"://"),
    "logins": _again(b"://a:b"),
    "names": _again(b'"password'),
    "names with separators": _again(b"token="),
    "names with values": _again(b"password=aB3defgh1 "),
    "quoted names with values": _again(b'\\"password\\":\\"aB3defgh1'),
    "nested quotes": _again(b'\\\\\\"token\\\\\\":\\\\\\"'),
    "backslashes": _again(b"\\"),
    "a name before backslashes": _again(b'secret\\": \\"' + b"\\" * 4000),
    "a value that never ends": lambda size: b'"api_key":"' + b"a1B2" * (size // 4),
    "beginnings of keys": _again(_DASHES + b"BEGIN PRIVATE KEY" + _DASHES),
    "a key that never ends": lambda size: _DASHES + b"BEGIN PRIVATE KEY" + _DASHES + b"\\nMIIEabcd" * (size // 10),
    "headers of keys and lines": _again(_DASHES + b"BEGIN PRIVATE KEY" + _DASHES + b"\\nMIIEabcdMIIEabcdMIIE" * 40),
    "names of services": _again(b"datadog"),
    "names of services and words": _again(b"azure key token secret "),
    "keyword before a gap": _again(b"discord . . . . . . "),
    "commands": _again(b"curl -u a"),
    "spaces": _again(b" "),
    "letters": _again(b"A"),
    "base64 with what begins keys": _again(b"AKIA+AIza/EAAA"),
    "bearers": _again(b"bearer "),
    "marks": _again(b"[REDACTED:"),
    "known values": _again(b"aB1!"),
    "zeros": _again(b"\0"),
    "escapes": _again(b"\\u0000"),
}


def main(name: str, size: int) -> None:
    redactor = Redactor([KnownSecret("env-KNOWN", "aB1!" * 40)])
    line = LINES[name](size)
    for text in (False, True):
        for _ in redactor.redact([b'{"x":"', line, b'"}\n'], Counter(), text=text):
            pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
