"""Writes messages as text that people read: who said what and when, calls of tools and their results folded.

What was said is set in under a heading of ours, so no text can pass for another's message. The lines still hold
whatever characters the transcript has: who prints them makes those harmless.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tracecraft.sessions.message import Message, ToolCall

_INDENT = "    "
_FOLDED = 100
_HEAD = 4096
_TOLD_FIRST = ("command", "cmd", "file_path", "path", "pattern", "query", "url", "prompt", "description")


class Transcript:
    """Messages as text. `thinking` shows what the model thought, `tools` what tools were given and gave back."""

    def __init__(self, *, thinking: bool = False, tools: bool = False) -> None:
        self._thinking = thinking
        self._tools = tools
        self._speaker: tuple[str, str, str] | None = None
        self._called: dict[str, str] = {}

    def show(self, message: Message) -> str:
        """The lines of a message, without the last newline; empty where nothing of it is to be shown."""
        blocks = list(self._blocks(message))
        if not blocks:
            return ""
        heading = self._heading(message)
        return "\n".join([*([heading] if heading else []), *blocks])

    def _heading(self, message: Message) -> str:
        """Who speaks, and when; empty where the same one goes on. Tools belong to who called them."""
        if message.role == "tool" and self._speaker is not None:
            return ""
        at = show_time(message.at)
        speaker = (message.role, message.model, at[:16])
        if speaker == self._speaker:
            return ""
        first = self._speaker is None
        self._speaker = speaker
        told = " ".join(filter(None, (at, squeezed(message.role, 40), squeezed(message.model, 80))))
        return told if first else "\n" + told

    def _blocks(self, message: Message) -> Iterator[str]:
        if self._thinking and message.thinking.strip():
            yield f"  thinking:\n{set_in(message.thinking)}"
        if message.role == "tool":
            yield self._result(message)
        elif message.injected and message.text:
            yield f"  [injected, {size_of(message.text)}] {squeezed(message.text)}"
        elif message.text.strip():
            yield ("  failed:\n" if message.failed else "") + set_in(message.text)
        for call in message.calls:
            yield self._call(call)

    def _call(self, call: ToolCall) -> str:
        self._remember(call)
        name = squeezed(call.name, 80) or "tool"
        if not self._tools:
            return f"  > {name}: {squeezed(in_short(call.input))}"
        return f"  > {name}\n{set_in(in_full(call.input))}"

    def _result(self, message: Message) -> str:
        name = squeezed(message.tool or self._called.pop(message.answers, ""), 80)
        told = " ".join(filter(None, (name, "failed" if message.failed else "", size_of(message.text))))
        if not self._tools:
            return f"  < {told}: {squeezed(message.text)}" if message.text.strip() else f"  < {told}"
        return f"  < {told}\n{set_in(message.text)}" if message.text.strip() else f"  < {told}"

    def _remember(self, call: ToolCall) -> None:
        """Results tell only the id of the call, and some calls are never answered."""
        if call.id:
            self._called[call.id] = call.name
        if len(self._called) > 1000:
            del self._called[next(iter(self._called))]


def show_time(at: str) -> str:
    """A time as transcripts tell it, to the second."""
    return squeezed(at[:19].replace("T", " "), 19)


def set_in(text: str) -> str:
    """Text below one of our headings."""
    lines = text.strip("\n").split("\n")
    return "\n".join(_INDENT + line if line else "" for line in lines)


def squeezed(text: str, length: int = _FOLDED) -> str:
    """The beginning of a text on one line."""
    words = " ".join(text[:_HEAD].split())
    return words if len(words) <= length else words[: length - 3] + "..."


def size_of(text: str) -> str:
    """How much is folded away."""
    if not text:
        return "empty"
    lines = text.count("\n") + (not text.endswith("\n"))
    return f"{lines} lines" if lines > 1 else f"{len(text)} characters"


def in_short(given: Any) -> str:
    """What tells most of what a tool was given."""
    if isinstance(given, dict):
        for name in _TOLD_FIRST:
            if isinstance(told := given.get(name), str) and told.strip():
                return told
    return in_full(given)


def in_full(given: Any) -> str:
    """All that a tool was given: a text as it is, anything else as JSON."""
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    try:
        return msgspec.json.format(msgspec.json.encode(given), indent=2).decode()
    except (UnicodeEncodeError, RecursionError, TypeError):
        return repr(given)
