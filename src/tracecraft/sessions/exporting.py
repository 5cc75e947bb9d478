"""Writes a session as Markdown that shows what was said and does nothing: its HTML, links and images are only text.

What was said is a quotation below a heading of ours, so it can neither pass for another's message nor end its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from tracecraft.sessions.message import Message
from tracecraft.sessions.rendering import in_full, show_time, squeezed

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_TICKS = re.compile(r"`+")
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~])")
_ACTIVE = (("![", "!\\["), ("](", "]\\("), ("]:", "]\\:"))


def markdown(title: str, facts: Sequence[tuple[str, str]], messages: Iterable[Message]) -> Iterator[str]:
    """The document in pieces: a title, a list of facts, and a section for each message."""
    yield f"# {plain(title)}\n\n" + "".join(f"- {name}: {plain(told)}\n" for name, told in facts if told)
    for message in messages:
        told = [block for block in _blocks(message) if block]
        if told:
            yield f"\n## {plain(_heading(message))}\n\n" + "\n\n".join(told) + "\n"


def plain(text: str) -> str:
    """A text on one line in which nothing means anything to Markdown."""
    return _escaped(_SPECIAL.sub(r"\\\1", squeezed(text, 300)))


def _heading(message: Message) -> str:
    marks = ["injected" if message.injected else "", "failed" if message.failed else ""]
    told = [message.role, message.tool, message.model, show_time(message.at), *marks]
    return ", ".join(filter(None, told))


def _blocks(message: Message) -> Iterator[str]:
    if message.thinking.strip():
        yield "*thinking*\n\n" + _quoted(_prose(message.thinking))
    if message.role == "tool" or message.injected:
        yield _quoted(_fenced(message.text)) if message.text.strip() else ""
    elif message.text.strip():
        yield _quoted(_prose(message.text))
    for call in message.calls:
        yield f"**calls** {plain(call.name)}\n\n" + _quoted(_fenced(in_full(call.input)))


def _quoted(lines: Iterable[str]) -> str:
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _prose(text: str) -> Iterator[str]:
    """A text that may itself be Markdown. Its blocks of code become blocks of ours, which it cannot leave open."""
    opened = ""
    code: list[str] = []
    for line in _lines(text):
        found = _FENCE.match(line)
        if opened and found and found[1].startswith(opened) and not found[2].strip():
            yield from _fenced("\n".join(code))
            opened, code = "", []
        elif opened:
            code.append(line)
        elif found and not (found[1].startswith("`") and "`" in found[2]):
            opened = found[1]
        else:
            yield _inert(line)
    if opened:
        yield from _fenced("\n".join(code))


def _fenced(text: str) -> Iterator[str]:
    longest = max(map(len, _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield fence
    yield from _lines(text)
    yield fence


def _inert(line: str) -> str:
    """A line of Markdown whose links, images and HTML are only text."""
    if "`" in line and any(character in line for character in "<>&"):
        line = line.replace("`", "\\`")  # within code, what is escaped would be shown as it is escaped
    for active, harmless in _ACTIVE:
        line = line.replace(active, harmless)
    return _escaped(line)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _lines(text: str) -> Sequence[str]:
    """The lines of a text, whatever ends them in Markdown."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")
