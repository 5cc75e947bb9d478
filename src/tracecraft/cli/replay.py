"""replay: what happened in a run or a project, played back, as text, as JSON or as a page."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tracecraft.cli.face import TIME, Command, Face, command
from tracecraft.cli.output import as_json, one_line, print_line, print_part, show_size
from tracecraft.clock import iso
from tracecraft.errors import UsageError

if TYPE_CHECKING:
    from tracecraft.replay.drawing import Drawing
    from tracecraft.replay.happening import Happening
    from tracecraft.replay.story import Story

_GAPS_NAMED = 5
_WIDTH = 250
"""Characters of a line where it goes to no terminal."""


class _Replay(Command):
    """`--project` may stand without a name: the whole of the project that is in force anyway."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        bare = [
            index
            for index, word in enumerate(args)
            if word == "--project" and (index + 1 == len(args) or args[index + 1].startswith("-"))
        ]
        return super().parse_args(ctx, [word for index, word in enumerate(args) if index not in bare])


@command(acts=False, tidies_up=True, cls=_Replay)
@click.argument("run", metavar="[ID]", default="")
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, help="Times as fast."
)
@click.option("--from", "since", type=TIME, metavar="TIME", help="From then on: 2026-05-01T12:00, or 2h ago as 2h.")
@click.option("--to", "until", type=TIME, metavar="TIME", help="Up to then.")
@click.option("--step", is_flag=True, help="Begin stopped: a key for each step.")
@click.option("--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write it as one page instead.")
def replay(
    face: Face, run: str, speed: float, since: float | None, until: float | None, step: bool, page: Path | None
) -> None:
    """Play back what happened in the run ID, or without one in the whole project.

    On a terminal it is played as it happened, long pauses shortened, and keys stop it, step through it and jump; else
    it is printed at once. With --json it is one happening a line.

    \b
    Example:
      tracecraft replay --speed 10
      tracecraft replay prompt-comparison --html replay.html
    """
    from tracecraft.replay.story import read_story
    from tracecraft.runs.finding import find

    if page is not None and face.json:
        raise UsageError("--html and --json exclude each other", hint="leave one of them out")
    chosen = find(face.project, run) if run else ""
    story = read_story(face.project, chosen, since=since, until=until)
    if page is not None:
        _write_page(face, story, page)
    elif face.json:
        for happening in story.happenings:
            print_line(as_json(_document(happening)))
    elif not story.happenings:
        print_line("nothing happened")
    else:
        _show(story, speed, paused=step)
    _tell_gaps(face, story)


def _show(story: Story, speed: float, *, paused: bool) -> None:
    """Play it where somebody watches, else print it."""
    from tracecraft.replay.terminal import play, print_story

    if not sys.stdout.isatty():
        print_story(story, _drawing(story, colours=False), print_part)
    else:
        keys = sys.stdin is not None and sys.stdin.isatty()
        play(story, _drawing(story, colours=True), print_part, speed=speed, paused=paused, keys=keys)


def _drawing(story: Story, *, colours: bool) -> Drawing:
    from tracecraft.replay.drawing import ASCII, UNICODE, Drawing

    width = shutil.get_terminal_size((100, 24)).columns if colours else _WIDTH
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    glyphs = UNICODE if encoding == "utf8" else ASCII
    return Drawing(story, width=width, colours=colours, glyphs=glyphs, harmless=one_line)


def _write_page(face: Face, story: Story, page: Path) -> None:
    from tracecraft.replay.page import write_page

    size = write_page(story, page)
    told = f"{len(story.happenings)} happenings, {show_size(size)}"
    print_line(f"wrote {one_line(page)}: {told}; it asks nothing of any network")


def _tell_gaps(face: Face, story: Story) -> None:
    """Name what events do not tell, and whatever else was left out."""
    for gap in story.gaps[:_GAPS_NAMED]:
        face.project.say(f"{gap.subject}: {gap.why}")
    if len(story.gaps) > _GAPS_NAMED:
        face.project.say(f"{len(story.gaps) - _GAPS_NAMED} more such gaps: replay shows them all")
    if story.gaps:
        face.project.say("where events are missing, the end is what the store holds")
    for note in story.notes:
        face.project.say(note)


def _document(happening: Happening) -> dict[str, Any]:
    told = msgspec.to_builtins(happening)
    until = {"until": iso(happening.until)} if happening.until is not None else {}
    return {**told, "at": iso(happening.at), "lane": happening.lane, **until}
