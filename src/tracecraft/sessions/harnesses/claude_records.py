"""What the records of Claude Code mean.

One answer of the model is several records, one for each of its blocks, and each carries the usage of the whole answer
as it was known by then. What subagents are told and say is in streams of their own; nobody typed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tracecraft.sessions.fields import count, dollars, record, records, text
from tracecraft.sessions.message import About, Entry, Message, Spent, ToolCall, Usage

_TITLES = {"summary": ("summary", 1), "ai-title": ("aiTitle", 2), "custom-title": ("customTitle", 3)}
_HARNESS_SPEAKS = re.compile(
    r"\s*(<(command-name|command-message|local-command-[a-z]+|bash-std(out|err)|system-reminder|task-notification)>"
    r"|\[Request interrupted by user)"
)
_INJECTED = ("isMeta", "isCompactSummary", "isVisibleInTranscriptOnly", "isSidechain")
_BEGINNING = 200
_PLACEHOLDERS = {"image": "[image]", "document": "[document]"}
_NO_MODEL = "<synthetic>"


def normalise(found: dict[str, Any]) -> Iterator[Entry]:
    kind = text(found.get("type"))
    at = text(found.get("timestamp"))
    if kind in _TITLES:
        field, rank = _TITLES[kind]
        yield About(title=text(found.get(field)), title_rank=rank, at=at)
        return
    if not found.get("isSidechain"):
        yield from _about(found, at)
    if kind == "user":
        yield from _user(found, at)
    elif kind == "assistant":
        yield from _assistant(found, at)
    elif kind == "system" and (told := text(found.get("content"))):
        yield Message("system", told, at=at)
    elif kind == "attachment":
        yield from _queued(found, at)


def _about(found: dict[str, Any], at: str) -> Iterator[Entry]:
    cwd, branch, version = (text(found.get(name)) for name in ("cwd", "gitBranch", "version"))
    if cwd or branch or version:
        yield About(cwd=cwd, branch=branch, version=version, at=at)


def _user(found: dict[str, Any], at: str) -> Iterator[Entry]:
    content = record(found, "message").get("content")
    if said := _text_of(content):
        yield Message("user", said, injected=_is_injected(found, said), at=at)
    for block in records(content):
        if block.get("type") == "tool_result":
            yield Message(
                "tool",
                _text_of(block.get("content")),
                answers=text(block.get("tool_use_id")),
                failed=block.get("is_error") is True,
                at=at,
            )


def _assistant(found: dict[str, Any], at: str) -> Iterator[Entry]:
    message = record(found, "message")
    content = message.get("content")
    model = text(message.get("model"))
    if found.get("isApiErrorMessage") or model == _NO_MODEL:
        yield Message("system", _text_of(content), failed=found.get("isApiErrorMessage") is True, at=at)
        return
    said = _text_of(content)
    thought = "\n".join(text(block.get("thinking")) for block in records(content) if block.get("type") == "thinking")
    calls = tuple(
        ToolCall(text(block.get("id")), text(block.get("name")), block.get("input"))
        for block in records(content)
        if block.get("type") in ("tool_use", "server_tool_use")
    )
    if said.strip() or thought or calls:
        yield Message("assistant", said, thought, calls, model=model, at=at)
    if usage := record(message, "usage"):
        key = f"{text(message.get('id')) or text(found.get('uuid'))}:{text(found.get('requestId'))}"
        yield Spent(key, _usage(usage), model, dollars(found.get("costUSD")), at=at)


def _usage(usage: dict[str, Any]) -> Usage:
    by_lifetime = sum(count(tokens) for tokens in record(usage, "cache_creation").values())
    return Usage(
        input=count(usage.get("input_tokens")),
        output=count(usage.get("output_tokens")),
        cache_read=count(usage.get("cache_read_input_tokens")),
        cache_write=max(count(usage.get("cache_creation_input_tokens")), by_lifetime),
    )


def _queued(found: dict[str, Any], at: str) -> Iterator[Entry]:
    """What was typed while the model was at work reaches it as an attachment."""
    attachment = record(found, "attachment")
    if attachment.get("type") == "queued_command" and (said := _text_of(attachment.get("prompt"))):
        yield Message("user", said, injected=_is_injected(found, said), at=at)


def _is_injected(found: dict[str, Any], said: str) -> bool:
    return any(found.get(mark) for mark in _INJECTED) or bool(_HARNESS_SPEAKS.match(said[:_BEGINNING]))


def _text_of(content: Any) -> str:
    """The text of a message or result, which is a text or a list of blocks."""
    if isinstance(content, str):
        return content
    parts = (_PLACEHOLDERS.get(text(block.get("type"))) or text(block.get("text")) for block in records(content))
    return "\n".join(part for part in parts if part)
