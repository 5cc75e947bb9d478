"""What commands print: text for people and JSON for machines, never a control character of somebody else's."""

from __future__ import annotations

import re
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tracecraft.clock import iso
from tracecraft.errors import TracecraftError

SCHEMA = 1

# C0 but tab and newline, DEL, C1, the marks that turn the direction of text around, and Unicode's own ends of lines.
_HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_HARMFUL_IN_JSON = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def clean(text: object) -> str:
    """Text from elsewhere, made harmless: control characters become visible escapes."""
    return _HARMFUL.sub(lambda found: _escape(found[0]), str(text))


def one_line(text: object) -> str:
    """The same on a single line."""
    return clean(text).replace("\n", "\\n").replace("\t", " ")


def indented(text: object, by: str = "    ") -> str:
    """The same with every line after the first set in, so that no text can pass for a line of ours."""
    return clean(text).replace("\n", "\n" + by)


def as_json(document: Mapping[str, Any]) -> str:
    """One JSON document on one line, with the schema's number first."""
    return _harmless(msgspec.json.encode({"schema": SCHEMA, **document}).decode())


def as_json_list(name: str, batches: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """A document that holds one list, in parts: the list need not fit into memory. Nothing before the first batch."""
    head = f'{{"schema":{SCHEMA},"{name}":['
    for batch in batches:
        items = msgspec.json.encode(batch).decode()[1:-1]
        if items:
            yield head + _harmless(items)
            head = ","
    yield "]}\n" if head == "," else head + "]}\n"


def show_time(seconds: float) -> str:
    """A point in time by the store's clock, in UTC."""
    return iso(seconds)[:19].replace("T", " ")


def show_size(count: int) -> str:
    """Bytes, for people."""
    for unit in ("KB", "MB"):
        if count < 1_000_000:
            return f"{count / 1000:.1f} {unit}"
        count //= 1000
    return f"{count / 1000:.1f} GB"


def print_line(text: str) -> None:
    """A line on standard output, at once: whoever reads may be waiting."""
    print_part(text + "\n")


def print_part(text: str) -> None:
    """A part of a result that is too long to be held as a whole."""
    sys.stdout.write(text)
    sys.stdout.flush()


def print_stored(chunks: Iterable[bytes]) -> None:
    """Bytes from the store, as they are; a terminal gets them without control characters."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    decoder = getincrementaldecoder("utf-8")("replace")
    for chunk in chunks:
        print_part(clean(decoder.decode(chunk)))
    print_part(clean(decoder.decode(b"", final=True)))


def print_notice(text: str, *, json: bool) -> None:
    """Something beside the result, on standard error."""
    sys.stderr.write((as_json({"notice": text}) if json else f"note: {indented(text)}") + "\n")
    sys.stderr.flush()


def print_error(error: TracecraftError, *, as_json: bool) -> None:
    """What happened and what to do next, on standard error."""
    if as_json:
        sys.stderr.write(_error_json(error) + "\n")
        return
    hint = f"\n  next: {one_line(error.hint)}" if error.hint else ""
    sys.stderr.write(f"error: {indented(error.message)}{hint}\n")


def table(rows: Iterable[Sequence[object]], *, heads: Sequence[str]) -> str:
    """Columns as wide as they need to be; the heads are left out where there are no rows."""
    lines = [[one_line(cell) for cell in row] for row in rows]
    if not lines:
        return ""
    lines.insert(0, list(heads))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _harmless(json: str) -> str:
    return _HARMFUL_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def _error_json(error: TracecraftError) -> str:
    return as_json({"error": error.as_dict()})


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
