"""OpenCode's messages and their parts, however they are kept: which of them are finished, and what they mean.

A message and its parts are written again and again while the model answers. So only what is finished is exported, each
message as one record with its parts; in the log of events, each part where it is written for the last time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from tracecraft.sessions import fields
from tracecraft.sessions.harness import Restarted
from tracecraft.sessions.harnesses import common
from tracecraft.sessions.message import About, Entry, Message, Spent, ToolCall, Usage
from tracecraft.sessions.rows import Number

_GIVEN_UP_MS = 10 * 60 * 1000
"""An answer at which nothing was written for so long was given up, though nothing says so."""

_UNTITLED = "New session - "
"""How OpenCode calls a session until there is something to name it for."""


class Stored(NamedTuple):
    """A message as it is kept. Times are in milliseconds since 1970; `updated` is when a part of it changed last."""

    created: int
    id: str
    data: dict[str, Any]
    parts: int = 0
    updated: int = 0


class Read(msgspec.Struct, tag_field="mode", tag="messages"):
    """What was read: up to which message, how many, with how many parts, and when the last of these changed."""

    created: Number
    id: str
    messages: Number
    parts: Number
    updated: Number


def finished(messages: Sequence[Stored]) -> list[Stored]:
    """The messages, in order, up to the first at which something may still be written."""
    ordered = sorted(messages, key=lambda message: message[:2])
    answers = [at for at, message in enumerate(ordered) if message.data.get("role") == "assistant"]
    last = answers[-1] if answers else -1
    for at, message in enumerate(ordered):
        if at >= last and not _is_finished(message, is_last=at == len(ordered) - 1):
            return ordered[:at]
    return ordered


def _is_finished(message: Stored, is_last: bool) -> bool:
    if message.data.get("role") != "assistant":
        return bool(message.parts) or not is_last
    completed = fields.record(message.data, "time").get("completed") or message.data.get("error")
    last_change = max(message.created, message.updated)
    return bool(completed) or last_change < time.time() * 1000 - _GIVEN_UP_MS


def behind(messages: Sequence[Stored], read: Read | None) -> list[tuple[Stored, Read]]:
    """The messages that were not read, each with what is read behind it. Raises Restarted when others changed."""
    place = (read.created, read.id) if read else None
    before = [message for message in messages if place and message[:2] <= place]
    so_far = _together(before)
    if read != so_far:
        raise Restarted("messages or their parts were changed or deleted")
    new = []
    for message in messages[len(before) :]:
        so_far = _and_then(so_far, message)
        new.append((message, so_far))
    return new


def _together(messages: Sequence[Stored]) -> Read | None:
    so_far: Read | None = None
    for message in messages:
        so_far = _and_then(so_far, message)
    return so_far


def _and_then(read: Read | None, message: Stored) -> Read:
    return Read(
        created=message.created,
        id=message.id,
        messages=(read.messages if read else 0) + 1,
        parts=(read.parts if read else 0) + message.parts,
        updated=max(read.updated if read else 0, message.updated),
    )


def about(session: dict[str, Any]) -> About:
    """What a session says of itself: as a row, in an event, or in a file."""
    model = fields.record(session, "model")
    title = fields.text(session.get("title"))
    times = fields.record(session, "time")
    return About(
        title="" if title.startswith(_UNTITLED) else title,
        cwd=fields.text(session.get("directory")),
        model=fields.text(model.get("id")) or fields.text(model.get("modelID")),
        version=fields.text(session.get("version")),
        parent=fields.text(session.get("parentID")) or fields.text(session.get("parent_id")),
        at=common.moment(times.get("created") or session.get("time_created")),
    )


def spent(message: dict[str, Any]) -> Iterator[Entry]:
    """What an answer cost so far. OpenCode's `input` is what came from no cache; its `output` is without reasoning."""
    tokens = fields.record(message, "tokens")
    cache = fields.record(tokens, "cache")
    reasoning = fields.count(tokens.get("reasoning"))
    usage = Usage(
        input=fields.count(tokens.get("input")),
        output=fields.count(tokens.get("output")) + reasoning,
        cache_read=fields.count(cache.get("read")),
        cache_write=fields.count(cache.get("write")),
        reasoning=reasoning,
    )
    if message.get("role") == "assistant" and usage != Usage():
        yield Spent(
            key=fields.text(message.get("id")),
            usage=usage,
            model=fields.text(message.get("modelID")),
            cost=fields.dollars(message.get("cost")),
            at=common.moment(fields.record(message, "time").get("created")),
        )


def failure(message: dict[str, Any]) -> Iterator[Entry]:
    """Why an answer that is over failed."""
    error = fields.record(message, "error")
    times = fields.record(message, "time")
    if error and times.get("completed"):
        told = fields.text(fields.record(error, "data").get("message")) or fields.text(error.get("name"))
        yield Message("system", told, at=common.moment(times.get("completed")))


def said(part: dict[str, Any], role: str, model: str, at: str) -> Iterator[Entry]:
    """What a part of a finished message means."""
    kind = part.get("type")
    spoken = fields.text(part.get("text"))
    if kind == "text" and spoken:
        injected = role == "user" and (part.get("synthetic") is True or part.get("ignored") is True)
        yield Message(role, spoken, injected=injected, model=model if role == "assistant" else "", at=at)
    elif kind == "reasoning" and spoken:
        yield Message("assistant", thinking=spoken, model=model, at=at)
    elif kind == "tool":
        yield from _tool(part, model, at)


def _tool(part: dict[str, Any], model: str, at: str) -> Iterator[Entry]:
    state = fields.record(part, "state")
    times = fields.record(state, "time")
    call, tool = fields.text(part.get("callID")), fields.text(part.get("tool"))
    began = common.moment(times.get("start")) or at
    yield Message("assistant", calls=(ToolCall(call, tool, state.get("input")),), model=model, at=began)
    if state.get("status") in ("completed", "error"):
        exit_code = fields.record(state, "metadata").get("exit")
        yield Message(
            "tool",
            fields.text(state.get("output")) or fields.text(state.get("error")),
            answers=call,
            tool=tool,
            failed=state.get("status") == "error" or exit_code not in (None, 0),
            at=common.moment(times.get("end")) or at,
        )
