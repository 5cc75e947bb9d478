"""How a story looks in a terminal, and that nothing in it can do more there than be read."""

from __future__ import annotations

from tests.e2e.stories import PAYLOADS, hostile
from tracecraft.cli.output import one_line
from tracecraft.replay.drawing import ASCII, UNICODE, Drawing, Glyphs
from tracecraft.replay.happening import Happening
from tracecraft.replay.state import empty
from tracecraft.replay.story import Story
from tracecraft.replay.terminal import print_story

START = 1_780_000_000.0


def drawn(story: Story, *, glyphs: Glyphs = UNICODE, width: int = 80, colours: bool = False) -> str:
    parts: list[str] = []
    drawing = Drawing(story, width=width, colours=colours, glyphs=glyphs, harmless=one_line)
    print_story(story, drawing, parts.append)
    return "".join(parts)


def story(*happenings: Happening, lanes: tuple[str, ...] = ("ann", "bob", "cid")) -> Story:
    return Story("project demo", list(lanes), list(happenings), empty(), [], [])


def test_lanes_arrows_and_holds() -> None:
    told = story(
        Happening(START, "ann", "claim", "claims a", changes=[("agents", "ann", {"steps": ["a"]})]),
        Happening(START + 0.5, "bob", "refusal", "may not claim a", bad=True),
        Happening(START + 1, "ann", "message", "hello", "cid"),
        Happening(START + 200, "cid", "message", "all", "*"),
        Happening(START + 201, "", "gap", "something is missing", bad=True),
    )
    assert drawn(told).splitlines()[2:] == [
        "20:26:40.0   ●    │    │   claims a",
        "20:26:40.5   ┃    ✗    │   may not claim a",
        '20:26:41.0   ●────┼────▶   to cid: "hello"',
        "             ┃    │    │   ⋮ 3m later",
        '20:30:00.0   ◀────◀────●   to everybody: "all"',
        "20:30:01.0   ┃    │    │   something is missing",
    ]


def test_terminals_without_unicode_get_ascii() -> None:
    told = story(Happening(START, "ann", "claim", "claims a"), Happening(START, "cid", "message", "hello", "ann"))
    assert drawn(told, glyphs=ASCII).isascii()


def test_what_is_hostile_stays_text_on_its_line() -> None:
    lines = drawn(hostile(), width=200).splitlines()
    assert len(lines) == 2 + len(PAYLOADS)
    assert "\x1b" not in "".join(lines)
    assert "\x1b" not in "".join(drawn(hostile(), colours=True)).replace("\x1b[", "")


def test_more_lanes_than_fit_are_named_in_their_lines() -> None:
    lanes = tuple(f"agent-{number}" for number in range(40))
    told = story(Happening(START, "agent-39", "note", "hello"), lanes=lanes)
    assert "agent-39: hello" in drawn(told)
    assert "(+28)" in drawn(told)
