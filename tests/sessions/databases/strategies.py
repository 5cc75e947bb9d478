"""Records as nobody would write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import strategies as st

from tracecraft.sessions.message import About, Entry, Message, Spent

_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([2**70, -1, 9e99])
)
anything = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def holds_only_its_types(told: Iterable[Entry]) -> None:
    """Entries are as their types say, whatever they were made of, and can be written as JSON."""
    for entry in told:
        kind: type[Entry] = type(entry)
        assert kind in (About, Message, Spent)
        assert msgspec.convert(msgspec.to_builtins(entry), kind) == entry
        if isinstance(entry, Message):
            assert entry.role in ("user", "assistant", "tool", "system")


def with_fields(*names: str, inner: st.SearchStrategy[Any] = anything) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, inner | anything))


_blocks = st.lists(with_fields("type", "text", "thinking", "id", "name", "arguments"), max_size=3)
_pi_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "toolResult", "bashExecution", "custom", "system"]) | anything},
    optional={
        "content": _blocks | anything,
        "usage": with_fields("input", "output", "cacheRead", "cost") | anything,
        **dict.fromkeys(("model", "errorMessage", "isError", "toolName", "exitCode", "timestamp", "command"), anything),
    },
)
events_of_pi = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "session", "model_change", "session_info", "compaction", "custom_message"])},
    optional={
        "message": _pi_message | anything,
        **dict.fromkeys(("id", "timestamp", "cwd", "version", "parentSession", "modelId", "summary", "name"), anything),
    },
)
"""Events of Pi whose fields hold anything."""

_HERMES = (
    *("id", "title", "cwd", "git_branch", "model", "parent_session_id", "started_at", "input_tokens", "output_tokens"),
    *("actual_cost_usd", "estimated_cost_usd", "cost_status", "role", "content", "tool_calls", "tool_call_id"),
    *("reasoning", "timestamp", "display_kind"),
)


def rows_of(*tables: str) -> st.SearchStrategy[dict[str, Any]]:
    """Lines of a database whose columns hold anything."""
    parts = st.lists(with_fields("type", "text", "function", "id", inner=with_fields("name", "arguments")), max_size=3)
    row = st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "system"]) | anything},
        optional={name: anything | parts for name in _HERMES if name != "role"},
    )
    return st.fixed_dictionaries({"table": st.sampled_from(tables), "row": row | anything})


_opencode_part = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "reasoning", "tool"]) | anything},
    optional={
        "state": with_fields("status", "input", "output", "metadata", "time", inner=st.just("completed") | anything),
        "time": with_fields("start", "end"),
        **dict.fromkeys(("text", "tool", "callID", "synthetic"), anything),
    },
)
_opencode_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]) | anything},
    optional={
        "tokens": with_fields("input", "output", "reasoning", "cache") | anything,
        "time": with_fields("created", "completed"),
        **dict.fromkeys(("id", "modelID", "cost", "error", "path", "title", "directory", "model", "version"), anything),
    },
)
_opencode_event = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["session.created.1", "session.updated.1", "message.updated.1", "message.part.updated.1"]
        )
    },
    optional={
        "data": st.fixed_dictionaries(
            {}, optional={"info": _opencode_message | anything, "part": _opencode_part | anything, "time": anything}
        ),
    },
)
lines_of_opencode = (
    st.fixed_dictionaries({"table": st.just("event"), "row": _opencode_event | anything}, optional={"role": anything})
    | st.fixed_dictionaries({"table": st.just("session"), "row": _opencode_message | anything})
    | st.fixed_dictionaries(
        {
            "table": st.just("message"),
            "row": st.fixed_dictionaries({"data": _opencode_message | anything}, optional={"id": anything}) | anything,
            "parts": st.lists(st.fixed_dictionaries({"data": _opencode_part | anything}) | anything, max_size=3)
            | anything,
        }
    )
)
"""Lines of OpenCode whose fields hold anything."""
