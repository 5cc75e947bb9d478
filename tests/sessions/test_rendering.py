"""Transcripts as text and as Markdown: what was said is told apart from who said it, whatever it says."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecraft.sessions.exporting import markdown, plain
from tracecraft.sessions.message import Message, ToolCall
from tracecraft.sessions.rendering import Transcript

AT = "2026-01-01T10:00:00.123Z"
WORDS = [*"ab `~>#-*_[]()!<&\n\r\t", "```", "~~~", "\n## user\n", "<script>", "](javascript:x)", "> ", "- ", "\n===\n"]
HOSTILE = st.lists(st.sampled_from(WORDS), max_size=20).map("".join)


def shown(*messages: Message, **choices: bool) -> str:
    transcript = Transcript(**choices)
    return "\n".join(filter(None, map(transcript.show, messages)))


TALK = (
    Message("user", "build it", at=AT),
    Message(
        "assistant",
        "I will.",
        "hmm",
        (ToolCall("c1", "Bash", {"command": "make\nall"}), ToolCall("c2", "Odd", [1])),
        model="m-1",
        at="2026-01-01T10:00:05Z",
    ),
    Message("tool", "line 1\nline 2\n", answers="c1", at=AT),
    Message("tool", "", answers="c2", failed=True, at=AT),
    Message("assistant", "Done.", model="m-1", at="2026-01-01T10:00:59Z"),
    Message("user", "<reminder>be\nquick</reminder>", injected=True, at="2026-01-01T10:01:00Z"),
)


def test_tools_and_injected_texts_are_folded() -> None:
    assert shown(*TALK) == (
        "2026-01-01 10:00:00 user\n"
        "    build it\n"
        "\n"
        "2026-01-01 10:00:05 assistant m-1\n"
        "    I will.\n"
        "  > Bash: make all\n"
        "  > Odd: [ 1 ]\n"
        "  < Bash 2 lines: line 1 line 2\n"
        "  < Odd failed empty\n"
        "    Done.\n"
        "\n"
        "2026-01-01 10:01:00 user\n"
        "  [injected, 2 lines] <reminder>be quick</reminder>"
    )


def test_thinking_and_tools_on_demand() -> None:
    text = shown(*TALK, thinking=True, tools=True)
    assert "  thinking:\n    hmm\n    I will." in text
    assert '  > Bash\n    {\n      "command": "make\\nall"\n    }' in text
    assert "  < Bash 2 lines\n    line 1\n    line 2\n" in text


def test_a_message_of_nothing_but_thinking_takes_no_room() -> None:
    assert shown(Message("assistant", thinking="hmm")) == ""
    assert shown(Message("assistant", " \n ")) == ""


@given(HOSTILE, st.sampled_from(["user", "assistant", "tool", "system"]), st.booleans())
def test_no_text_passes_for_a_heading_of_ours(text: str, role: str, injected: bool) -> None:
    calls = (ToolCall(text, text, {"x": text}),)
    message = Message(role, text, text, calls, tool=text, injected=injected, model=text, at=AT)
    lines = shown(Message("user", "first", at=AT), message, thinking=True, tools=True).split("\n")
    headings = [line for line in lines if line and not line.startswith("  ")]
    assert headings[0] == "2026-01-01 10:00:00 user"
    assert len(headings) <= 2


@pytest.mark.parametrize("given_", [None, "", 7, {"command": ""}, {"x": float("inf")}, {"a": {"b": [1, "\ud800"]}}])
def test_tools_may_be_given_anything(given_: object) -> None:
    for tools in (True, False):
        assert "> T" in shown(Message("assistant", calls=(ToolCall("1", "T", given_),)), tools=tools)


# Markdown.


def document(*messages: Message, title: str = "t") -> str:
    return "".join(markdown(title, [("harness", "pi"), ("agent", "")], messages))


def test_markdown_reads_well() -> None:
    assert document(*TALK[:3], title="Build *it*") == (
        "# Build \\*it\\*\n\n- harness: pi\n"
        "\n## user, 2026-01-01 10:00:00\n\n> build it\n"
        "\n## assistant, m-1, 2026-01-01 10:00:05\n\n"
        "*thinking*\n\n> hmm\n\n> I will.\n\n"
        '**calls** Bash\n\n> ```\n> {\n>   "command": "make\\nall"\n> }\n> ```\n\n'
        "**calls** Odd\n\n> ```\n> [\n>   1\n> ]\n> ```\n"
        "\n## tool, 2026-01-01 10:00:00\n\n> ```\n> line 1\n> line 2\n> ```\n"
    )


def test_code_stays_as_it_is_and_ends_where_it_should() -> None:
    text = "Look:\n```python\nif a < b:\n    print('&')\n````\nand `a<b>` or `plain`, then\n~~~\nopen <b> ```` end"
    assert document(Message("assistant", text)).partition("## assistant\n\n")[2] == (
        "> Look:\n> ```\n> if a < b:\n>     print('&')\n> ```\n"
        "> and \\`a&lt;b&gt;\\` or \\`plain\\`, then\n"
        "> `````\n> open <b> ```` end\n> `````\n"
    )


@given(HOSTILE, st.sampled_from(["user", "tool"]), st.booleans())
def test_nothing_of_a_message_takes_effect(text: str, role: str, injected: bool) -> None:
    """Outside of code no tag, image or link is left, and code of ours ends where we end it."""
    calls = (ToolCall("", text, text),)
    made = document(Message(role, text, text, calls, tool=text, model=text, injected=injected), Message("user", "end"))
    fence = ""
    for line in made.split("\n"):
        inner = line.removeprefix("> ")
        if fence:
            fence = "" if inner == fence else fence
        elif line.startswith(">") and re.fullmatch("`{3,}", inner):
            fence = inner
        else:
            assert not re.search(r"<|!\[|\]\(|\]:", re.sub(r"\\.", "~", line)), line
            assert line.startswith((">", "#", "-", "*")) or not line, line
    assert not fence
    assert made.endswith("\n## user\n\n> end\n")


@given(HOSTILE)
def test_headings_stay_on_their_line(text: str) -> None:
    assert "\n" not in plain(text)
    assert "<" not in plain(text)
