"""What the records of Claude Code mean.

One answer of the model is several records, one for each of its blocks, and each carries the usage of the whole answer
as it was known by then. What subagents are told and say is in streams of their own; nobody typed it.
"""

from __future__ import annotations

import re
from typing import Any, Required, TypedDict

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


class _Block(TypedDict, total=False):
    type: Any
    text: Any
    thinking: Any
    name: Any
    is_error: Any


class _Tokens(TypedDict, total=False):
    input_tokens: Required[Any]  # whether there is any usage is asked, and what is skimmed tells it then
    output_tokens: Any
    cache_read_input_tokens: Any
    cache_creation_input_tokens: Any
    cache_creation: Any


class _Said(TypedDict, total=False):
    id: Any
    model: Any
    content: str | list[_Block] | None
    usage: _Tokens | None


class _Attachment(TypedDict, total=False):
    type: Any
    prompt: Any


class Skimmed(TypedDict, total=False):
    """What statistics need of a record: neither inputs nor results of tools."""

    type: Any
    timestamp: Any
    summary: Any
    aiTitle: Any
    customTitle: Any
    cwd: Any
    gitBranch: Any
    version: Any
    message: _Said
    content: Any
    attachment: _Attachment
    isSidechain: Any
    isMeta: Any
    isCompactSummary: Any
    isVisibleInTranscriptOnly: Any
    isApiErrorMessage: Any
    uuid: Any
    requestId: Any
    costUSD: Any


def normalise(found: dict[str, Any]) -> list[Entry]:
    kind = text(found.get("type"))
    at = text(found.get("timestamp"))
    if kind in _TITLES:
        field, rank = _TITLES[kind]
        return [About(title=text(found.get(field)), title_rank=rank, at=at)]
    told = [] if found.get("isSidechain") else _about(found, at)
    if kind == "assistant":
        told += _assistant(found, at)
    elif kind == "user":
        told += _user(found, at)
    elif kind == "system":
        told += _system(found, at)
    elif kind == "attachment":
        told += _queued(found, at)
    return told


def _about(found: dict[str, Any], at: str) -> list[Entry]:
    cwd, branch, version = text(found.get("cwd")), text(found.get("gitBranch")), text(found.get("version"))
    return [About(cwd=cwd, branch=branch, version=version, at=at)] if cwd or branch or version else []


def _user(found: dict[str, Any], at: str) -> list[Entry]:
    content = record(found.get("message")).get("content")
    told: list[Entry] = []
    if said := _text_of(content):
        told.append(Message("user", said, injected=_is_injected(found, said), at=at))
    for block in records(content):
        if block.get("type") == "tool_result":
            failed = block.get("is_error") is True
            result = _text_of(block.get("content"))
            told.append(Message("tool", result, answers=text(block.get("tool_use_id")), failed=failed, at=at))
    return told


def _assistant(found: dict[str, Any], at: str) -> list[Entry]:
    message = record(found.get("message"))
    content = message.get("content")
    model = text(message.get("model"))
    said = _text_of(content)
    if found.get("isApiErrorMessage") or model == _NO_MODEL:
        return [Message("system", said, failed=found.get("isApiErrorMessage") is True, at=at)]
    thoughts, calls = [], []
    for block in records(content):
        kind = block.get("type")
        if kind == "thinking":
            thoughts.append(text(block.get("thinking")))
        elif kind in ("tool_use", "server_tool_use"):
            calls.append(ToolCall(text(block.get("id")), text(block.get("name")), block.get("input")))
    thought = "\n".join(thoughts)
    told: list[Entry] = []
    if thought or calls or said.strip():
        told.append(Message("assistant", said, thought, tuple(calls), model=model, at=at))
    if usage := record(message.get("usage")):
        key = f"{text(message.get('id')) or text(found.get('uuid'))}:{text(found.get('requestId'))}"
        told.append(Spent(key, _usage(usage), model, dollars(found.get("costUSD")), at=at))
    return told


def _system(found: dict[str, Any], at: str) -> list[Entry]:
    said = text(found.get("content"))
    return [Message("system", said, at=at)] if said else []


def _usage(usage: dict[str, Any]) -> Usage:
    by_lifetime = sum(map(count, record(usage.get("cache_creation")).values()))
    return Usage(
        input=count(usage.get("input_tokens")),
        output=count(usage.get("output_tokens")),
        cache_read=count(usage.get("cache_read_input_tokens")),
        cache_write=max(count(usage.get("cache_creation_input_tokens")), by_lifetime),
    )


def _queued(found: dict[str, Any], at: str) -> list[Entry]:
    """What was typed while the model was at work reaches it as an attachment."""
    attachment = record(found, "attachment")
    if attachment.get("type") == "queued_command" and (said := _text_of(attachment.get("prompt"))):
        return [Message("user", said, injected=_is_injected(found, said), at=at)]
    return []


def _is_injected(found: dict[str, Any], said: str) -> bool:
    return any(found.get(mark) for mark in _INJECTED) or bool(_HARNESS_SPEAKS.match(said[:_BEGINNING]))


def _text_of(content: Any) -> str:
    """The text of a message or result, which is a text or a list of blocks."""
    if isinstance(content, str):
        return content
    parts = [_PLACEHOLDERS.get(text(block.get("type"))) or text(block.get("text")) for block in records(content)]
    return "\n".join(filter(None, parts))
