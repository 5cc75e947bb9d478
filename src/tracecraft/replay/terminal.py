"""Plays a story in a terminal: line after line as it happened, faster or slower, stopped, by the step, or from
elsewhere. Where nobody watches, all of it is printed at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from tracecraft import clock
from tracecraft.replay.drawing import Drawing
from tracecraft.replay.keyboard import Keyboard
from tracecraft.replay.state import State, apply
from tracecraft.replay.story import Story

LONGEST_WAIT = 2.0
"""Seconds that the longest pause takes when played, whatever the speed."""

HELP = (
    "space stop and go, right or n one step, left or p one back, up/down faster and slower, [ ] jump, s state, q quit"
)

_FASTEST, _SLOWEST = 1000.0, 0.125
_STEPS = ("right", "n", ".", "enter")
_SPEEDS = {"up": 2.0, "+": 2.0, "down": 0.5, "-": 0.5}
_JUMPS = {"left": -1, "p": -1, ",": -1, "[": -20, "]": 20, "page up": -20, "page down": 20}
_ENDS = {"home": 0, "0": 0, "end": 1 << 62, "G": 1 << 62}
_SHOWN_AGAIN = 15


def print_story(story: Story, drawing: Drawing, write: Callable[[str], None]) -> None:
    """The whole story at once."""
    for line in drawing.head(story):
        write(line + "\n")
    state = _copy(story.base)
    for happening in story.happenings:
        apply(state, happening.changes)
        for line in drawing.lines(happening, state):
            write(line + "\n")


class Player:
    """Plays a story. With a keyboard it can be steered; a status line below what was played says where it is."""

    def __init__(
        self,
        story: Story,
        drawing: Drawing,
        write: Callable[[str], None],
        *,
        speed: float,
        paused: bool,
        keyboard: Keyboard | None,
    ) -> None:
        self._story = story
        self._drawing = drawing
        self._write = write
        self._speed = speed
        self._paused = paused
        self._keyboard = keyboard
        self._next = 0
        self._state = _copy(story.base)
        self._over = False

    def play(self) -> None:
        """To the end, or until whoever watches has enough."""
        for line in self._drawing.head(self._story):
            self._write(line + "\n")
        if self._keyboard:
            self._write(HELP + "\n")
        while not self._over and (self._next < len(self._story.happenings) or self._keyboard):
            if self._wait():
                self._show_next()
        self._clear_status()

    def _wait(self) -> bool:
        """Wait until the next happening is due; returns whether it is, which a key can keep from being so."""
        due = clock.elapsed() + self._pause()
        while True:
            ended = self._next >= len(self._story.happenings)
            stands = self._paused or ended
            left = None if stands else due - clock.elapsed()
            if left is not None and left <= 0:
                return True
            if self._keyboard is None:
                time.sleep(left or 0)
                continue
            self._show_status()
            key = self._keyboard.key(left)
            if key:
                return self._press(key)

    def _press(self, key: str) -> bool:
        """What a key does; returns whether the next happening is to be shown now."""
        if key in _STEPS:
            self._paused = True
            return self._next < len(self._story.happenings)
        if key in _SPEEDS:
            self._speed = min(_FASTEST, max(_SLOWEST, self._speed * _SPEEDS[key]))
        elif key in _JUMPS:
            self._paused = self._paused or abs(_JUMPS[key]) == 1
            self._jump(self._next + _JUMPS[key])
        elif key in _ENDS:
            self._jump(_ENDS[key])
        elif key == "space":
            self._paused = not self._paused
        elif key == "s":
            self._show_state()
        elif key in ("q", "escape"):
            self._over = True
        elif key in ("?", "h"):
            self._line(HELP)
        return False

    def _pause(self) -> float:
        """Seconds until the next happening, as long pauses are played shorter."""
        told = self._story.happenings
        if not 0 < self._next < len(told):
            return 0.0
        return min(LONGEST_WAIT, max(0.0, told[self._next].at - told[self._next - 1].at) / self._speed)

    def _jump(self, to: int) -> None:
        """Go on from elsewhere, with the lines before it shown again."""
        to = max(0, min(len(self._story.happenings), to))
        self._line(f"--- {to} of {len(self._story.happenings)} ---")
        self._state = _copy(self._story.base)
        first = max(0, to - _SHOWN_AGAIN)
        for happening in self._story.happenings[:first]:
            apply(self._state, happening.changes)
        self._drawing.jump()
        self._next = first
        while self._next < to:
            self._show_next()

    def _show_next(self) -> None:
        happening = self._story.happenings[self._next]
        self._next += 1
        apply(self._state, happening.changes)
        for line in self._drawing.lines(happening, self._state):
            self._line(line)

    def _show_state(self) -> None:
        self._line("state:")
        for line in self._drawing.state(self._state):
            self._line(line)

    def _line(self, text: str) -> None:
        self._clear_status()
        self._write(text + "\n")

    def _show_status(self) -> None:
        count = len(self._story.happenings)
        how = "end" if self._next >= count else "paused" if self._paused else "playing"
        self._write(f"\r\x1b[K\x1b[7m {how} {self._next}/{count}  {self._speed:g}x  ? for keys \x1b[0m")

    def _clear_status(self) -> None:
        if self._keyboard:
            self._write("\r\x1b[K")


def play(
    story: Story, drawing: Drawing, write: Callable[[str], None], *, speed: float, paused: bool, keys: bool
) -> None:
    """Play a story until its end or until somebody quits; with `keys`, as the keyboard says."""
    with suppress(KeyboardInterrupt):
        if not keys:
            Player(story, drawing, write, speed=speed, paused=False, keyboard=None).play()
            return
        with Keyboard() as keyboard:
            Player(story, drawing, write, speed=speed, paused=paused, keyboard=keyboard).play()


def _copy(state: State) -> State:
    return {section: dict(entries) for section, entries in state.items()}
