"""The events of Pi's session files, which OpenClaw keeps too: what each of them means."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any, TypedDict

from tracecraft.sessions import fields
from tracecraft.sessions.harnesses import common
from tracecraft.sessions.message import About, Entry, Message, Spent, ToolCall, Usage

_NOTHING = Usage()
_FAR = 1 << 47  # milliseconds since 1970, some thousand years


class _Block(TypedDict, total=False):
    type: Any
    text: Any
    thinking: Any
    name: Any


class _Cost(TypedDict, total=False):
    total: Any


class _Tokens(TypedDict, total=False):
    input: Any
    output: Any
    cacheRead: Any
    cacheWrite: Any
    reasoning: Any
    reasoningTokens: Any
    cost: _Cost | None


class _Said(TypedDict, total=False):
    role: Any
    timestamp: Any
    content: str | list[_Block] | None
    summary: Any
    command: Any
    exitCode: Any
    isError: Any
    model: Any
    errorMessage: Any
    usage: _Tokens | None


class Skimmed(TypedDict, total=False):
    """What statistics need of an event: neither arguments of calls nor details of results."""

    type: Any
    id: Any
    timestamp: Any
    message: _Said
    cwd: Any
    modelId: Any
    version: Any
    parentSession: Any
    name: Any
    summary: Any
    content: str | list[_Block] | None


def normalise(record: dict[str, Any]) -> Iterable[Entry]:
    """What an event means. Those that only keep state of the program or of an extension mean nothing."""
    kind = record.get("type")
    at = common.moment(record.get("timestamp"))
    if kind == "message":
        return _message(record, fields.record(record.get("message")), at)
    if kind == "session":
        return [_session(record, at)]
    if kind == "model_change":
        return [About(model=fields.text(record.get("modelId")), at=at)]
    if kind == "session_info":
        return [About(title=fields.text(record.get("name")), at=at)]
    if kind in ("compaction", "branch_summary"):
        return _injected(fields.text(record.get("summary")), at)
    if kind == "custom_message":
        return _injected(common.parts_text(record.get("content")), at)
    return ()


def _session(record: dict[str, Any], at: str) -> About:
    version = record.get("version")
    return About(
        cwd=fields.text(record.get("cwd")),
        model=fields.text(record.get("modelId")),
        version=str(version) if isinstance(version, int) else fields.text(version),
        parent=session_in(fields.text(record.get("parentSession"))),
        at=at,
    )


def session_in(path: str) -> str:
    """The session that a file is named for: `<time>_<id>.jsonl`."""
    return PurePosixPath(path).stem.rpartition("_")[2]


def _message(record: dict[str, Any], message: dict[str, Any], at: str) -> Iterable[Entry]:
    role = message.get("role")
    at = at or common.moment(message.get("timestamp"))
    if role == "assistant":
        return _assistant(record, message, at)
    if role in ("user", "system"):
        return [Message(role, common.parts_text(message.get("content")), at=at)]
    if role == "toolResult":
        return [_result(message, at)]
    if role == "bashExecution":
        failed = message.get("exitCode") not in (None, 0)
        return [
            Message("user", f"! {fields.text(message.get('command'))}", at=at),
            Message("tool", fields.text(message.get("output")), tool="bash", failed=failed, at=at),
        ]
    if role in ("custom", "hookMessage"):
        return _injected(common.parts_text(message.get("content")), at)
    if role in ("branchSummary", "compactionSummary"):
        return _injected(fields.text(message.get("summary")), at)
    return ()


def _result(message: dict[str, Any], at: str) -> Message:
    return Message(
        "tool",
        common.parts_text(message.get("content")),
        answers=fields.text(message.get("toolCallId")),
        tool=fields.text(message.get("toolName")),
        failed=message.get("isError") is True,
        at=at,
    )


def _assistant(record: dict[str, Any], message: dict[str, Any], at: str) -> list[Entry]:
    """An answer without any content is that of a call that failed or was stopped."""
    content = message.get("content")
    model = fields.text(message.get("model"))
    texts, thoughts, calls = [], [], []
    for block in fields.records(content):
        kind = block.get("type")
        if kind == "text":
            texts.append(fields.text(block.get("text")))
        elif kind == "toolCall":
            calls.append(_call(block))
        elif kind == "thinking":
            thoughts.append(fields.text(block.get("thinking")))
    said, thinking = fields.text(content) or "\n".join(texts), "\n".join(thoughts)
    told: list[Entry] = []
    if said or thinking or calls:
        told.append(Message("assistant", said, thinking, tuple(calls), model=model, at=at))
    if error := fields.text(message.get("errorMessage")):
        told.append(Message("system", error, at=at))
    tokens = _usage(usage := fields.record(message.get("usage")))
    if tokens != _NOTHING:
        cost = fields.dollars(fields.record(usage.get("cost")).get("total"))
        told.append(Spent(_key(record, message), tokens, model, cost, at=at))
    return told


def _call(block: dict[str, Any]) -> ToolCall:
    return ToolCall(fields.text(block.get("id")), fields.text(block.get("name")), block.get("arguments"))


def _key(record: dict[str, Any], message: dict[str, Any]) -> str:
    """Events of the oldest files have no id, only times; the ids that providers give to answers are not all unique."""
    if identity := fields.text(record.get("id")):
        return identity
    told = message.get("timestamp")
    is_time = type(told) is int and 0 < told < _FAR
    return f"{fields.text(record.get('timestamp'))} {told if is_time else common.moment(told)}"


def _usage(usage: dict[str, Any]) -> Usage:
    """Pi's `input` is what came from no cache, its `output` has the reasoning in it."""
    return Usage(
        input=fields.count(usage.get("input")),
        output=fields.count(usage.get("output")),
        cache_read=fields.count(usage.get("cacheRead")),
        cache_write=fields.count(usage.get("cacheWrite")),
        reasoning=fields.count(usage.get("reasoningTokens", usage.get("reasoning"))),
    )


def _injected(said: str, at: str) -> Iterable[Entry]:
    return [Message("user", said, injected=True, at=at)] if said else []
