"""How smooth the page is: the time between frames while it is played, zoomed and scrubbed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from tests.e2e.chrome import Page

_RECORD = """(() => {
  window.frameTimes = [];
  let last = 0;
  const tick = (now) => {
    if (last) frameTimes.push(now - last);
    last = now;
    window.recording = requestAnimationFrame(tick);
  };
  window.recording = requestAnimationFrame(tick);
})()"""
_MOVES = 150


class Frames(NamedTuple):
    """Milliseconds between frames."""

    name: str
    frames: int
    median: float
    p95: float
    longest: float


def record(page: Page, name: str, act: Callable[[], None]) -> Frames:
    """The frames while something is done."""
    page.value(_RECORD)
    act()
    times = sorted(json.loads(page.value("(cancelAnimationFrame(recording), JSON.stringify(frameTimes))")))
    return Frames(name, len(times), times[len(times) // 2], times[int(len(times) * 0.95)], times[-1])


def measure(page: Page, seconds: float) -> list[Frames]:
    """Everything that a page is asked to do again and again."""
    return [
        record(page, "at rest", lambda: rest(page, seconds / 2)),
        record(page, "playing, all in sight", lambda: play(page, seconds)),
        record(page, "zooming in and out", lambda: zoom(page, _MOVES // 2)),
        record(page, "playing, zoomed in", lambda: zoomed_play(page, seconds)),
        record(page, "scrubbing", lambda: scrub(page)),
    ]


def rest(page: Page, seconds: float) -> None:
    page.value(f"new Promise((done) => setTimeout(done, {seconds * 1000}))")


def play(page: Page, seconds: float) -> None:
    """Play for a while and stop."""
    page.press(" ", "Space", " ")
    rest(page, seconds)
    page.press(" ", "Space", " ")


def zoom(page: Page, turns: int, *, out: bool = True) -> None:
    """Turn the wheel over the middle of the timeline, in and out again."""
    left, top, width, height = page.box("#timeline")
    for way in (-40, 40) if out else (-40,):
        for _ in range(turns):
            page.mouse("mouseWheel", left + width * 0.6, top + height / 2, deltaX=0, deltaY=way)


def zoomed_play(page: Page, seconds: float) -> None:
    zoom(page, 30, out=False)
    play(page, seconds)


def scrub(page: Page) -> None:
    """Drag to and fro over the whole strip."""
    left, top, width, height = page.box("#overview")
    page.mouse("mousePressed", left + 20, top + height / 2, button="left", buttons=1, clickCount=1)
    for move in range(_MOVES):
        share = (move * 7 % _MOVES) / _MOVES
        page.mouse("mouseMoved", left + 20 + (width - 40) * share, top + height / 2, button="left", buttons=1)
    page.mouse("mouseReleased", left + width / 2, top + height / 2, button="left", clickCount=1)
