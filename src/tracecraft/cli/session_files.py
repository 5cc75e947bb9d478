"""session export, session restore: mirrored sessions as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracecraft.cli.face import Face, command
from tracecraft.cli.output import clean, one_line, print_part, print_stored
from tracecraft.cli.session_show import tell_gaps
from tracecraft.errors import UsageError

if TYPE_CHECKING:
    from tracecraft.sessions.reading import Stream
    from tracecraft.sessions.restoring import Restored


@command("export", acts=False, tidies_up=True)
@click.argument("session_id", metavar="ID")
@click.option(
    "--format", "kind", type=click.Choice(["jsonl", "markdown"]), required=True,
    help="jsonl: the stored lines, byte for byte. markdown: what was said, to be read.",
)  # fmt: skip
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write it there, complete or not at all. [default: standard output]",
)  # fmt: skip
@click.option("--stream", "name", metavar="NAME", default="", help="Another stream: a subagent's, or a file.")
def export(face: Face, session_id: str, kind: str, output: Path | None, name: str) -> None:
    """Write a stream of a mirrored session as one file.

    \b
    Example:
      tracecraft session export 7505c804 --format markdown -o session.md
    """
    from tracecraft.sessions.finding import Sessions
    from tracecraft.sessions.reading import Stream
    from tracecraft.wholefile import save

    stream = Stream(face.project, Sessions(face.project).find(session_id), name)
    tell_gaps(face, stream)
    if output is None:
        if kind == "jsonl":
            print_stored(stream.chunks(0))
        else:
            for piece in _markdown(stream):
                print_part(clean(piece))
        return
    pieces: Iterable[bytes] = stream.chunks(0)
    if kind == "markdown":
        pieces = (clean(piece).encode("utf-8", "replace") for piece in _markdown(stream))
    size = save(output, pieces)
    manifest = stream.manifest
    face.show(
        {"harness": manifest.harness, "session_id": manifest.session_id, "path": str(output), "size": size},
        f"wrote {one_line(output)} ({size} bytes)",
    )


@command("restore", tidies_up=True)
@click.argument("session_id", metavar="ID")
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), metavar="PATH",
    help="Into this folder. [default: where its harness finds it]",
)  # fmt: skip
@click.option(
    "--cwd", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="PATH",
    help="The folder in which the agent is to go on. [default: here]",
)  # fmt: skip
def restore(face: Face, session_id: str, to: Path | None, cwd: Path | None) -> None:
    """Write a mirrored session back, so that its harness can go on with it here.

    A file that is there and differs is never overwritten.

    \b
    Example:
      tracecraft session restore 7505c804
    """
    from tracecraft.sessions.finding import Sessions
    from tracecraft.sessions.locating import this_machine
    from tracecraft.sessions.restoring import restore as write_back

    folder = (cwd or Path.cwd()).absolute()
    if to is not None and cwd is not None:
        raise UsageError("--to and --cwd exclude each other", hint="--to writes files that no harness looks for")
    stored = Sessions(face.project).find(session_id)
    restored = write_back(face.project, stored, this_machine(), cwd=folder, to=to.absolute() if to else None)
    document = {
        "harness": stored.record.harness,
        "session_id": stored.record.session_id,
        "path": str(restored.main),
        "files": {stream: str(path) for stream, path in restored.files.items()},
        "unchanged": list(restored.unchanged),
        "incomplete": list(restored.incomplete),
        "redactions": restored.redactions,
        "resume": restored.resume or None,
    }
    face.show(document, "\n".join(_told(restored)))


def _markdown(stream: Stream) -> Iterator[str]:
    from tracecraft.sessions import registry, summing
    from tracecraft.sessions.exporting import markdown
    from tracecraft.sessions.reading import messages

    manifest = stream.manifest
    harness = registry.known(manifest.harness)
    if harness is None or stream.is_text:
        what = f"the stream {stream.name!r} is text" if harness else f"the harness {manifest.harness} is not known here"
        raise UsageError(f"{what}, so there are no messages to write", hint="export it with --format jsonl, as stored")
    told = summing.of_streams(manifest)[0]
    facts = (
        ("harness", manifest.harness),
        ("session", manifest.session_id),
        ("stream", stream.name),
        ("agent", manifest.agent_id or ""),
        ("folder", told.cwd or manifest.cwd or ""),
        ("branch", told.branch),
        ("models", ", ".join(told.models)),
        ("time", f"{told.first} to {told.last}" if told.first else ""),
    )
    return markdown(told.title or manifest.session_id, facts, messages(harness, stream.lines(0)))


def _told(restored: Restored) -> Iterator[str]:
    others = len(restored.files) - 1
    beside = f" and {others} more beside it" if others else ""
    there = " (it was there already)" if len(restored.unchanged) == len(restored.files) else ""
    yield f"restored {one_line(restored.main)}{beside}{there}"
    if restored.redactions:
        counts = ", ".join(f"{rule} {count}" for rule, count in sorted(restored.redactions.items()))
        yield f"redacted, so not in it: {one_line(counts)}"
    if restored.incomplete:
        names = ", ".join(name or "the conversation" for name in restored.incomplete)
        yield f"not whole, for something is missing in the store: {one_line(names)}"
    if restored.resume:
        yield f"to go on: {one_line(restored.resume)}"
