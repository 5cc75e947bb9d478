"""session show: what was said in a mirrored session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from tracecraft.cli.face import Face, command
from tracecraft.cli.output import as_json, clean, one_line, print_line, print_stored, show_size, show_time

if TYPE_CHECKING:
    from tracecraft.sessions.harness import Harness
    from tracecraft.sessions.message import Message
    from tracecraft.sessions.reading import Stream
    from tracecraft.sessions.rendering import Transcript

_NAMED = 10


@command("show", acts=False, tidies_up=True)
@click.argument("session_id", metavar="ID")
@click.option("--stream", "name", metavar="NAME", default="", help="Another stream: a subagent's, or a file.")
@click.option("--tail", type=click.IntRange(min=1), metavar="N", help="Only the last N messages; lines with --raw.")
@click.option("--raw", is_flag=True, help="The stored lines as they are.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is mirrored, until interrupted.")
@click.option("--thinking", is_flag=True, help="Also what the model thought.")
@click.option("--tools", is_flag=True, help="All of what tools were given and gave back, not a line each.")
def show(
    face: Face, session_id: str, name: str, tail: int | None, raw: bool, follow: bool, thinking: bool, tools: bool
) -> None:
    """Show a mirrored session as a transcript. The beginning of its ID is enough.

    With --json it is one message a line, whole; with --raw the harness's own records.

    \b
    Example:
      tracecraft session show 7505c804 --tail 20
    """
    from tracecraft.sessions import registry
    from tracecraft.sessions.finding import Sessions
    from tracecraft.sessions.following import Follower
    from tracecraft.sessions.reading import Stream

    stored = Sessions(face.project).find(session_id)
    stream = Stream(face.project, stored, name)
    harness = registry.known(stored.record.harness)
    tell_gaps(face, stream)
    if harness is None and not raw:
        face.project.say(f"the harness {stored.record.harness} is not known here, so these are the stored lines")
    view: _Lines | _Messages
    if raw or harness is None or stream.is_text:
        view = _Lines(stream)
    else:
        view = _Messages(face, stream, harness, thinking=thinking, tools=tools)
    view.begin(tail)
    if follow:
        for anew in Follower(face.project, stream).changes():
            _tell_change(face, stream, anew=anew)
            view.go_on()


def tell_gaps(face: Face, stream: Stream) -> None:
    """Say what is missing of a stream."""
    for gap in stream.gaps():
        what = "are missing here" if gap.end > gap.start else "are there twice"
        face.project.say(
            f"not whole: bytes {min(gap)} to {max(gap)} of the source {what}; mirror it again where the source still is"
        )


class _Lines:
    """The stored lines."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def begin(self, tail: int | None) -> None:
        print_stored(self._stream.chunks(self._stream.start_of_last(tail) if tail else 0))

    def go_on(self) -> None:
        print_stored(self._stream.chunks())


class _Messages:
    """What was said, as text or as documents."""

    def __init__(self, face: Face, stream: Stream, harness: Harness, *, thinking: bool, tools: bool) -> None:
        from tracecraft.sessions.rendering import Transcript

        self._face = face
        self._stream = stream
        self._harness = harness
        self._transcript: Transcript = Transcript(thinking=thinking, tools=tools)

    def begin(self, tail: int | None) -> None:
        from tracecraft.sessions.reading import last_messages

        if not self._face.json:
            print_line("\n".join(_head(self._face, self._stream)) + "\n")
        self._print(last_messages(self._harness, self._stream, tail) if tail else self._read(0))

    def go_on(self) -> None:
        self._print(self._read(None))

    def _read(self, start: int | None) -> Iterator[Message]:
        from tracecraft.sessions.reading import messages

        return messages(self._harness, self._stream.lines(start))

    def _print(self, found: Iterable[Message]) -> None:
        for message in found:
            if self._face.json:
                print_line(as_json(msgspec.to_builtins(message)))
            elif text := self._transcript.show(message):
                print_line(clean(text))


def _head(face: Face, stream: Stream) -> Iterator[str]:
    """What session this is, on a few lines."""
    from tracecraft.sessions.listing import listed

    manifest = stream.manifest
    session = listed(face.project, stream.stored, {})
    told = session.statistics
    by = f" by {one_line(session.agent)}" if session.agent else ""
    title = f": {one_line(told.title)}" if told.title else ""
    yield f"{one_line(manifest.harness)} {one_line(manifest.session_id)}{by}{title}"
    branch = f" ({told.branch})" if told.branch else ""
    facts = (f"{session.cwd}{branch}", ", ".join(told.models[-3:]), show_size(session.size), session.state)
    yield one_line(", ".join(filter(None, facts))) + f", last upload {show_time(session.modified)}"
    if stream.name:
        yield f"stream {one_line(stream.name)}"
    others = [name for name in manifest.streams() if name and name != stream.name]
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        yield f"further streams (--stream NAME): {one_line(', '.join(others[:_NAMED]))}{more}"


def _tell_change(face: Face, stream: Stream, *, anew: bool) -> None:
    if anew:
        face.project.say("a new generation is mirrored, which begins here: the source was rewritten or restored")
        tell_gaps(face, stream)
    if stream.manifest.ended_at:
        face.project.say("the session has ended; should it go on, so does this")
