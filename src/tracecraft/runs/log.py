"""The lines of a run's log, and how they become JSON and are read back.

Every process that logs into a run is a writer with a log of its own. Its lines are numbered from 1 on without gaps, so
that a line that comes twice counts once and one that is missing shows.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import msgspec


class Line(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What all lines have in common.

    `id` counts up per writer. `at` is seconds since 1970 by the writer's clock. `agent` is who it is about, empty for
    the run itself; `span` the span it was recorded in.
    """

    id: int = 0
    at: float = 0.0
    agent: str = ""
    span: str = ""


class Writer(Line, tag="writer"):
    """The first line of every log: which process writes it. `via` is `sdk`, `cli` or `exec`."""

    host: str = ""
    pid: int = 0
    process: str = ""
    via: str = ""


class Span(Line, tag="span"):
    """A span begins; `span` is its own id. `kind` is `step`, `tool_call`, `model_call`, `agent` or any other text."""

    name: str
    kind: str = "step"
    parent: str = ""
    model: str = ""


class SpanEnd(Line, tag="span.end"):
    """A span ends: `status` is `ok` or `failed`, `error` says why it failed."""

    status: str = "ok"
    error: str = ""


class Input(Line, tag="input"):
    """What went into a span: any JSON. `cut` is how many bytes of it were left out."""

    value: Any = None
    cut: int = 0


class Output(Line, tag="output"):
    """What came out of a span: any JSON. `cut` is how many bytes of it were left out."""

    value: Any = None
    cut: int = 0


class Metrics(Line, tag="metrics"):
    """Numbers that were measured together, at a step where one is given. What was not finite reads as NaN."""

    values: dict[str, float]
    step: float | None = None


class Params(Line, tag="params"):
    """What the run was given: names and any JSON."""

    values: dict[str, Any]


class Tags(Line, tag="tags"):
    """Tags added and removed."""

    add: list[str] = []
    remove: list[str] = []


class Note(Line, tag="note"):
    """A remark."""

    text: str


class Usage(Line, tag="usage"):
    """Tokens that a call of a model used.

    `input` is all that was sent, also what came from or went into a cache, which `cache_read` and `cache_write` are
    parts of; `reasoning` is a part of `output`. `cost` is in US dollars as the provider reports it, None where it does
    not. Of several lines with one `call` the one with the largest output counts. With `running` a line is the sum of
    everything so far under `call`, so the last one counts.
    """

    model: str = ""
    provider: str = ""
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cost: float | None = None
    call: str = ""
    running: bool = False


class Artifact(Line, tag="artifact"):
    """A file or folder that was kept.

    `sha256` and `size` are of a file. A folder lists its `files` as path, sha256 and size; its `sha256` is of that
    list.
    """

    name: str
    sha256: str = ""
    size: int = 0
    files: list[tuple[str, str, int]] = []


class Text(Line, tag="text"):
    """Whole lines that a command wrote to its `stream`, `stdout` or `stderr`."""

    stream: str = "stdout"
    text: str = ""


class Lost(Line, tag="lost"):
    """So many lines could be kept neither on disk nor in the store."""

    count: int = 0


Known: TypeAlias = (
    Writer | Span | SpanEnd | Input | Output | Metrics | Params | Tags | Note | Usage | Artifact | Text | Lost
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Known] = msgspec.json.Decoder(Known)


class _Numbered(msgspec.Struct):
    """What can be told of a line of a type that is not known."""

    id: int = 0
    at: float = 0.0
    agent: str = ""
    span: str = ""


class _Unmeasured(Line, tag="metrics"):
    """Metrics among whose numbers are some that are none: JSON has no NaN and no infinity, and null stands for them."""

    values: dict[str, float | None]
    step: float | None = None


_unmeasured_decoder = msgspec.json.Decoder(_Unmeasured)
_any_decoder = msgspec.json.Decoder(_Numbered)


def encode(line: Known) -> bytes:
    """The line as JSON with its newline. Raises what msgspec raises for values that JSON cannot hold."""
    return _encoder.encode(line) + b"\n"


def decode(data: bytes) -> Line | None:
    """The line in `data`. One of a type that is not known comes as a bare `Line`; None for what is no line at all."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _with_nan(_unmeasured_decoder.decode(data))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        known = _any_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return Line(id=known.id, at=known.at, agent=known.agent, span=known.span)


def _with_nan(line: _Unmeasured) -> Metrics:
    values = {name: math.nan if value is None else value for name, value in line.values.items()}
    return Metrics(id=line.id, at=line.at, agent=line.agent, span=line.span, values=values, step=line.step)
