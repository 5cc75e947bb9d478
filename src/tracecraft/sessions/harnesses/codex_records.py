"""What the records of Codex mean.

A rollout tells most things twice: as items that went to or came from the model (`response_item`), and as events for
whoever watches (`event_msg`). What was said is taken from the items, which every version writes; of events only those
count that no item tells. A fork begins with a copy of its parent's lines, so records tell which session and turn
they are of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypedDict

from tracecraft.sessions.fields import count, record, records, text
from tracecraft.sessions.lines import parse
from tracecraft.sessions.message import About, Entry, Message, Spent, ToolCall, Usage

_HARNESS_SPEAKS = re.compile(
    r"\s*(<(environment_context|user_instructions|user_shell_command|turn_aborted|skill|subagent_notification"
    r"|permissions instructions|[a-z]+_instructions)>|# AGENTS\.md instructions)"
)
_FAILED = re.compile(r"^(?:Process exited with code|Exit code:) (?!0\b)-?\d+", re.MULTILINE)
_HEADER = 500
_TOOLS = {"local_shell_call": "local_shell", "tool_search_call": "tool_search", "image_generation_call": "image"}
_TOOLS |= {"web_search_call": "web_search"}
_RESULTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output", "tool_search_output")
_CALLS = ("function_call", "custom_tool_call", *_TOOLS)


class _Part(TypedDict, total=False):
    type: Any
    text: Any


class _Git(TypedDict, total=False):
    branch: Any


class _Mode(TypedDict, total=False):
    model: Any


class _Settings(TypedDict, total=False):
    cwd: Any
    model: Any
    collaboration_mode: _Mode | None


class _Info(TypedDict, total=False):
    total_token_usage: Any


class _Payload(TypedDict, total=False):
    type: Any
    id: Any
    session_id: Any
    thread_id: Any
    turn_id: Any
    response_id: Any
    forked_from_id: Any
    parent_thread_id: Any
    source: Any
    cwd: Any
    git: _Git | None
    cli_version: Any
    model: Any
    collaboration_mode: _Mode | None
    role: Any
    content: str | list[_Part] | _Part | None
    summary: str | list[_Part] | _Part | None
    internal_chat_message_metadata_passthrough: Any
    name: Any
    namespace: Any
    output: Any
    info: _Info | None
    usage: Any
    thread_settings: _Settings
    thread_name: Any
    message: Any
    reason: Any


class Skimmed(TypedDict, total=False):
    """What statistics need of a record: neither inputs of tools nor the history that a compaction leaves."""

    type: Any
    timestamp: Any
    payload: _Payload


def normalise(found: dict[str, Any]) -> Iterator[Entry]:
    kind = text(found.get("type"))
    at = text(found.get("timestamp"))
    payload = record(found, "payload")
    if kind == "response_item":
        yield from _item(payload, at)
    elif kind == "event_msg":
        yield from _event(payload, at)
    elif kind == "session_meta":
        yield _session(payload, at)
    elif kind == "turn_context":
        yield About(cwd=text(payload.get("cwd")), model=_model(payload), turn=text(payload.get("turn_id")), at=at)
    elif kind == "token_usage_record":
        yield from _usage_record(payload, at)
    elif kind == "compacted" and (summary := text(payload.get("message"))):
        yield Message("user", summary, injected=True, at=at)


def _session(meta: dict[str, Any], at: str) -> Entry:
    spawned = record(meta, "source", "subagent", "thread_spawn")
    parents = (meta.get("forked_from_id"), meta.get("parent_thread_id"), spawned.get("parent_thread_id"))
    return About(
        cwd=text(meta.get("cwd")),
        branch=text(record(meta, "git").get("branch")),
        version=text(meta.get("cli_version")),
        parent=next(filter(None, map(text, parents)), ""),
        session=text(meta.get("id")) or text(meta.get("session_id")),
        at=at,
    )


def _item(item: dict[str, Any], at: str) -> Iterator[Entry]:
    kind = text(item.get("type"))
    if kind == "message":
        yield from _message(item, at)
    elif kind == "agent_message":
        if said := _text_of(item.get("content")):
            yield Message("user", said, injected=True, at=at)
    elif kind == "reasoning":
        thought = "\n".join(filter(None, (_text_of(item.get(part)) for part in ("summary", "content"))))
        if thought:
            yield Message("assistant", thinking=thought, at=at)
    elif kind in _CALLS:
        yield Message("assistant", calls=(_call(kind, item),), at=at)
    elif kind in _RESULTS:
        yield _result(item, at)


def _message(item: dict[str, Any], at: str) -> Iterator[Entry]:
    said = _text_of(item.get("content"))
    role = {"developer": "system"}.get(text(item.get("role")), text(item.get("role")))
    if said and role in ("user", "assistant", "system"):
        injected = role == "system" or (role == "user" and _is_injected(item, said))
        yield Message(role, said, injected=injected, at=at)


def _is_injected(item: dict[str, Any], said: str) -> bool:
    """Newer versions tell for each part where it came from; of older ones the text must tell."""
    parts = records(record(item, "internal_chat_message_metadata_passthrough").get("content_item_metadata"))
    origins = {text(record(part, "provenance").get("type")) for part in parts} - {""}
    return "user" not in origins if origins else bool(_HARNESS_SPEAKS.match(said[:_HEADER]))


def _call(kind: str, item: dict[str, Any]) -> ToolCall:
    name = _TOOLS.get(kind) or text(item.get("name"))
    if namespace := text(item.get("namespace")):
        name = f"{namespace}.{name}"
    given = (item.get(part) for part in ("arguments", "input", "action", "revised_prompt"))
    arguments = next((part for part in given if part is not None), None)
    return ToolCall(text(item.get("call_id")) or text(item.get("id")), name, _unpacked(arguments))


def _unpacked(arguments: Any) -> Any:
    """Arguments are JSON in a text; what a tool takes as free text stays one."""
    if isinstance(arguments, str) and arguments.startswith("{"):
        unpacked = parse(arguments.encode("utf-8", "replace"))
        return arguments if unpacked is None else unpacked
    return arguments


def _result(item: dict[str, Any], at: str) -> Entry:
    output = item.get("output")
    wrapped = _wrapped(output)
    code = record(wrapped, "metadata").get("exit_code")
    for part in ("output", "content"):
        output = wrapped.get(part, output)
    told = _text_of(output)
    failed = wrapped.get("success") is False or code not in (None, 0) or bool(_FAILED.search(told[:_HEADER]))
    return Message("tool", told, answers=text(item.get("call_id")), failed=failed, at=at)


def _wrapped(output: Any) -> dict[str, Any]:
    """Some versions put the output into an object, or into one that is written as text, to tell how it went."""
    wrapped = record(_unpacked(output))
    return wrapped if isinstance(output, dict) or {"output", "metadata"} <= wrapped.keys() else {}


def _event(event: dict[str, Any], at: str) -> Iterator[Entry]:
    kind = text(event.get("type"))
    if kind == "token_count":
        if total := record(event, "info", "total_token_usage"):
            yield Spent("total", _usage(total), running=True, at=at)
    elif kind == "task_started":
        yield About(turn=text(event.get("turn_id")), at=at)
    elif kind == "thread_settings_applied":
        settings = record(event, "thread_settings")
        yield About(cwd=text(settings.get("cwd")), model=_model(settings), at=at)
    elif kind == "thread_name_updated":
        yield About(title=text(event.get("thread_name")), title_rank=2, at=at)
    elif kind == "turn_aborted":
        yield Message("system", f"turn aborted: {text(event.get('reason'))}", at=at)
    elif kind == "error":
        yield Message("system", text(event.get("message")), failed=True, at=at)


def _usage_record(payload: dict[str, Any], at: str) -> Iterator[Entry]:
    """The usage of one answer of the model, which newer versions tell beside the running total."""
    yield About(session=text(payload.get("thread_id")), at=at)
    key = text(payload.get("response_id")) or f"{text(payload.get('turn_id'))}:{at}"
    if usage := record(payload, "usage"):
        yield Spent(key, _usage(usage), rank=1, at=at)


def _usage(usage: dict[str, Any]) -> Usage:
    """Codex counts what came from or went into the cache as input too."""
    read, written = count(usage.get("cached_input_tokens")), count(usage.get("cache_write_input_tokens"))
    return Usage(
        input=max(0, count(usage.get("input_tokens")) - read - written),
        output=count(usage.get("output_tokens")),
        cache_read=read,
        cache_write=written,
        reasoning=count(usage.get("reasoning_output_tokens")),
    )


def _model(context: dict[str, Any]) -> str:
    return text(context.get("model")) or text(record(context, "collaboration_mode").get("model"))


def _text_of(content: Any) -> str:
    """The text of a content, which is a text, a part, or a list of parts."""
    if isinstance(content, str):
        return content
    parts = records([content] if isinstance(content, dict) else content)
    told = ("[image]" if part.get("type") == "input_image" else text(part.get("text")) for part in parts)
    return "\n".join(filter(None, told))
