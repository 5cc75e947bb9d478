"""Reads the pages of the documentation: their code blocks, headings and links.

A `console` block is run: each line that begins with `$ ` is a command, the lines after it are what it prints, and
`(exit 3)` ends a command that does not succeed. `...` stands for any text in a line, and on a line of its own for any
number of lines. A `python` block is a program that is run; the comments behind its calls of print are what it prints.
An `sh` block is only shown, as it needs a bucket or another machine; its tracecraft commands must exist all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

_FENCE = re.compile(r"^```(\w*)\s*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) +(.+?)\s*$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_EXIT = re.compile(r"\(exit (\d+)\)")
_PRINTED = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line it begins on."""

    language: str
    text: str
    line: int


@dataclass
class Command:
    """A command of a `console` block and what it should print."""

    line: str
    expected: list[str] = field(default_factory=list)
    exit_code: int = 0


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)


def commands(block: Block) -> list[Command]:
    """The commands of a `console` block. A command goes on in the next line after a backslash."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif found and found[-1].line.endswith("\\"):
            found[-1].line += "\n" + line
        elif ended := _EXIT.fullmatch(line):
            found[-1].exit_code = int(ended[1])
        else:
            assert found, f"output without a command: {line!r}"
            found[-1].expected.append(line)
    return found


def printed(block: Block) -> list[str]:
    """What a `python` block says that it prints."""
    return _PRINTED.findall(block.text)


def matches(expected: list[str], shown: str) -> bool:
    """Whether output is as expected, with `...` as a wildcard."""
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "..." else r"[^\n]*".join(map(re.escape, line.split("..."))) + "\n"
        for line in expected
    )
    return re.fullmatch(pattern, shown if shown.endswith("\n") or not shown else shown + "\n") is not None


def without_code(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    return _LINK.findall(without_code(page))


def anchors(page: Path) -> set[str]:
    """Where links into a page may point, spelt as GitHub spells them."""
    return {_slug(title) for _, title in _HEADING.findall(without_code(page))}


def section(page: Path, title: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    text = page.read_text()
    for found in _HEADING.finditer(text):
        if found[2] == title:
            rest = text[found.end() :]
            following = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
            return rest[: following.start()] if following else rest
    raise AssertionError(f"{name(page)} has no section {title!r}")


def _slug(title: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", title.replace("`", "").lower())
    return kept.replace(" ", "-")
