"""A line as bytes, whatever is in it: what JSON cannot hold becomes its text, what is too large is cut."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from tracecraft.runs.log import Input, Known, Line, Lost, Note, Output, Params, Text

LONGEST_VALUE = 256 << 10
"""Bytes of JSON of an input, an output or a text; the rest is left out."""
LONGEST_LINE = 4 << 20
_LONGEST_PARAM = 4 << 10
_DEEPEST = 100


def encoded(line: Known) -> bytes:
    """The line as JSON with its newline, not numbered yet. Never raises; a line that is too large is a lost one."""
    try:
        data = _encoder.encode(line)
    except Exception:  # whatever values of the user's own do when they are looked at
        line = _plain_line(line)
        data = _encoder.encode(line)
    if len(data) > LONGEST_VALUE:
        data = _encoder.encode(_cut(_plain_line(line)))
    if len(data) > LONGEST_LINE:
        data = _encoder.encode(Lost(at=line.at, agent=line.agent, span=line.span, count=1))
    return data + b"\n"


def numbered(data: bytes, number: int) -> bytes:
    """An encoded line with its number, which stands behind the type as if it had been encoded with it."""
    behind_type = data.index(b'"', 9) + 1  # {"type":"...
    return b'%b,"id":%d%b' % (data[:behind_type], number, data[behind_type:])


def _cut(line: Any) -> Any:
    if isinstance(line, Input | Output):
        value = _encoder.encode(line.value)
        kept = value[:LONGEST_VALUE].decode(errors="ignore")
        line.value, line.cut = kept, line.cut + len(value) - len(kept.encode())
    elif isinstance(line, Note | Text):
        line.text = _beginning(line.text.encode(), LONGEST_VALUE)
    elif isinstance(line, Params):
        line.values = {name: _short(value) for name, value in line.values.items()}
    return line


def _short(value: Any) -> Any:
    data = _encoder.encode(value)
    return value if len(data) <= _LONGEST_PARAM else _beginning(data, _LONGEST_PARAM)


def _beginning(data: bytes, size: int) -> str:
    return data.decode(errors="ignore") if len(data) <= size else data[:size].decode(errors="ignore") + "…"


def _plain_line(line: Any) -> Any:
    """A copy that holds nothing but what JSON knows."""
    return type(line)(**{name: _plain(getattr(line, name), 0) for name in line.__struct_fields__})


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {_key(key): _plain(item, depth + 1) for key, item in list(value.items())}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in list(value)]
    if isinstance(value, Line | msgspec.Struct) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        names = value.__struct_fields__ if isinstance(value, msgspec.Struct) else value.__dataclass_fields__
        return {name: _plain(getattr(value, name, None), depth + 1) for name in names}
    return _plain(_stand_in(value), depth + 1)


def _key(key: Any) -> str:
    return key.encode(errors="replace").decode() if isinstance(key, str) else str(_stand_in(key))


def _stand_in(value: Any) -> Any:
    """What is written for a value that JSON does not know: the number in a NumPy scalar, or its text."""
    try:
        if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
            inner = value.item()
            if isinstance(inner, bool | int | float | str):
                return inner
        return str(value)
    except Exception:  # whatever the user's own __str__ does
        return f"<{type(value).__name__}>"


_encoder = msgspec.json.Encoder(enc_hook=_stand_in)
