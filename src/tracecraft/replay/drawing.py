"""Happenings as lines of text: a column for each agent, arrows between them, and beside it what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from tracecraft import clock
from tracecraft.replay.happening import Happening, Kind
from tracecraft.replay.state import State, inbox
from tracecraft.replay.story import Story

LONG_PAUSE = 60.0
"""Seconds in which nothing happened that are told as a line of their own."""

_MOST_LANES = 12
_TIME = 10


class Glyphs(msgspec.Struct, frozen=True):
    """The characters that a drawing is made of."""

    lane: str
    held: str
    line: str
    right: str
    left: str
    crossing: str
    pause: str
    marks: dict[Kind, str]


UNICODE = Glyphs(
    "│",
    "┃",
    "─",
    "▶",
    "◀",
    "┼",
    "⋮",
    {
        "agent": "○",
        "claim": "●",
        "refusal": "✗",
        "done": "✔",
        "blocked": "■",
        "review": "◆",
        "release": "○",
        "declare": "+",
        "memory": "▪",
        "message": "●",
        "read": "·",
        "artifact": "▲",
        "session": "»",
        "said": "“",
        "run": "═",
        "span": "┬",
        "metric": "~",
        "usage": "$",
        "note": "*",
        "param": "=",
        "text": ">",
        "upkeep": "-",
        "gap": "!",
    },
)
ASCII = Glyphs(
    "|",
    "#",
    "-",
    ">",
    "<",
    "+",
    ":",
    UNICODE.marks
    | {
        "agent": "o",
        "claim": "@",
        "refusal": "x",
        "done": "v",
        "blocked": "X",
        "review": "?",
        "release": "o",
        "memory": "m",
        "message": "o",
        "read": ".",
        "artifact": "^",
        "session": "s",
        "said": '"',
        "run": "=",
        "span": "T",
    },
)

_COLOURS: dict[Kind, str] = {
    "claim": "36",
    "done": "32",
    "review": "33",
    "memory": "35",
    "message": "34",
    "artifact": "33",
    "read": "2",
    "said": "2",
    "text": "2",
    "usage": "2",
    "agent": "2",
    "metric": "35",
}
_BAD = "31;1"


class Drawing:
    """Draws a story at a width. `harmless` makes text from elsewhere fit for one line of a terminal."""

    def __init__(
        self, story: Story, *, width: int, colours: bool, glyphs: Glyphs, harmless: Callable[[object], str]
    ) -> None:
        self._glyphs = glyphs
        self._colours = colours
        self._harmless = harmless
        self._width = width
        self._lanes = list(story.lanes)[:_MOST_LANES]
        self._others = len(story.lanes) - len(self._lanes)
        room = max(24, width // 2) // max(1, len(self._lanes))
        self._column = max(4, min(room, 2 + max((len(harmless(name)) for name in self._lanes), default=2)))
        self._last: float | None = None

    def head(self, story: Story) -> Iterator[str]:
        """What is played, and whose column is whose."""
        told = story.happenings
        when = f", {clock.iso(told[0].at)[:19].replace('T', ' ')} UTC" if told else ""
        seconds = f", {clock.show_duration(told[-1].at - told[0].at)}" if told else ""
        yield f"{self._harmless(story.title)}: {len(told)} happenings of {len(story.lanes)} lanes{when}{seconds}"
        names = "".join(self._harmless(name or "run")[: self._column - 1].center(self._column) for name in self._lanes)
        others = f" (+{self._others})" if self._others > 0 else ""
        yield self._paint(f"{'':{_TIME}} {names}{others}".rstrip(), "1")

    def jump(self) -> None:
        """Forget when the last line was, so that no pause is told."""
        self._last = None

    def lines(self, happening: Happening, state: State) -> Iterator[str]:
        """The lines of a happening, after which the state is this."""
        if self._last is not None and happening.at - self._last >= LONG_PAUSE:
            pause = clock.show_duration(happening.at - self._last)
            yield self._paint(f"{'':{_TIME}} {self._row(None, state)} {self._glyphs.pause} {pause} later", "2")
        self._last = max(happening.at, self._last or 0.0)
        when = f"{clock.iso(happening.at)[11:19]}.{int(happening.at % 1 * 10)}"
        graph = self._row(happening, state)
        took = f" ({_seconds(happening.until - happening.at)})" if happening.kind == "span" and happening.until else ""
        who = f"{self._harmless(happening.lane)}: " if happening.lane and happening.lane not in self._lanes else ""
        to = f"{self._to(happening)}: " if happening.kind == "message" else ""
        quote = '"' if happening.kind == "message" else ""
        room = max(20, self._width - _TIME - 3 - len(graph))
        text = f"{who}{to}{quote}{self._harmless(happening.title)}{quote}{took}"
        shown = text if len(text) <= room else text[: room - 3] + "..."
        colour = _BAD if happening.bad else _COLOURS.get(happening.kind, "")
        yield f"{self._paint(when, '2')} {graph} {self._paint(shown, colour)}"

    def state(self, state: State) -> Iterator[str]:
        """A state on a few lines: who holds what, what memory says, whose mail is unread."""
        for step, claim in sorted(state["claims"].items()):
            by = f" by {claim['agent']}" if claim["agent"] else ""
            yield self._harmless(f"  step {step}: {claim['state']}{by} (fence {claim['fence']})")
        for key, value in sorted(state["memory"].items()):
            told = "deleted" if value.get("deleted") else msgspec.json.encode(value.get("value")).decode()
            yield self._harmless(f"  memory {key} = {told}")[: self._width]
        for agent in sorted(state["agents"]):
            unread = sum(seen == "unread" for _, _, seen in inbox(state, agent))
            if unread:
                yield self._harmless(f"  {agent}: {unread} unread")
        for name in sorted(state["artifacts"]):
            yield self._harmless(f"  artifact {name}")

    def _to(self, happening: Happening) -> str:
        return "to everybody" if happening.to == "*" else f"to {self._harmless(happening.to or happening.lane)}"

    def _row(self, happening: Happening | None, state: State) -> str:
        """The columns: who holds something, whose happening it is, and where its arrow leads."""
        glyphs = self._glyphs
        cells = [" "] * (self._column * len(self._lanes))
        for index, name in enumerate(self._lanes):
            holds = bool(state["agents"].get(name, {}).get("steps"))
            cells[self._middle(index)] = glyphs.held if holds else glyphs.lane if name else " "
        if happening is None or happening.lane not in self._lanes:
            return "".join(cells)
        own = self._middle(self._lanes.index(happening.lane))
        for target in self._targets(happening):
            self._arrow(cells, own, self._middle(target))
        cells[own] = glyphs.marks[happening.kind]
        return "".join(cells)

    def _targets(self, happening: Happening) -> Sequence[int]:
        if happening.to == "*":
            return [index for index, name in enumerate(self._lanes) if name and name != happening.lane]
        return [self._lanes.index(happening.to)] if happening.to and happening.to in self._lanes else []

    def _arrow(self, cells: list[str], start: int, end: int) -> None:
        glyphs, way = self._glyphs, 1 if end > start else -1
        for place in range(start + way, end, way):
            cells[place] = glyphs.crossing if cells[place] in (glyphs.lane, glyphs.held) else glyphs.line
        cells[end] = glyphs.right if way > 0 else glyphs.left

    def _middle(self, index: int) -> int:
        return index * self._column + self._column // 2

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour else text


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
