"""What the records of every harness come down to: messages, usage of models, and facts about the session.

A record of a harness is normalised into any number of these entries, in order. What is no entry (snapshots of files,
progress bars) is none; the raw record stays in the mirrored transcript.
"""

from __future__ import annotations

from typing import Any

import msgspec


class ToolCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool that the model wants to be run. `input` is what JSON can hold; a text where the harness keeps one."""

    id: str
    name: str
    input: Any = None


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that was said.

    `role` is `user`, `assistant`, `tool` (a result) or `system` (the harness itself). `at` is RFC 3339, empty where the
    record tells no time. A tool's message `answers` the call of that id, and `failed` tells how it went. `injected`
    marks what the harness put in the user's mouth (reminders, contents of files, summaries of a compacted past).
    """

    role: str
    text: str = ""
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""
    tool: str = ""
    failed: bool = False
    injected: bool = False
    model: str = ""
    at: str = ""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens. `input` is without what came from or went into a cache; `output` is with `reasoning`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


class Spent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a call of a model used.

    Of several with one `key` the one with the largest output counts: harnesses write a call's usage again and again.
    With `running` the usage is the sum of everything so far under `key`. Where a transcript tells the same usage in
    several ways, only the way with the highest `rank` counts. An empty `model` means the one last heard of. `cost` is
    in US dollars as the harness or provider reports it, None where neither does.
    """

    key: str
    usage: Usage
    model: str = ""
    cost: float | None = None
    running: bool = False
    rank: int = 0
    at: str = ""


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """Facts about the session; empty fields say nothing. The later counts, but of titles first the higher rank.

    A transcript may hold parts that were copied from another session. `session` tells whose this and what follows is;
    the first one named is the transcript's own. `turn` tells of a turn that begins. Where the ids of both tell their
    time (UUIDs of version 7), a turn older than its session was copied. What was copied is no part of statistics.
    """

    title: str = ""
    title_rank: int = 0
    cwd: str = ""
    branch: str = ""
    model: str = ""
    version: str = ""
    parent: str = ""
    session: str = ""
    turn: str = ""
    at: str = ""


Entry = Message | Spent | About
