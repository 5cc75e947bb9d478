"""session mirror, session stop: copying sessions of harnesses into the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from tracecraft.cli.face import DURATION, Face, command
from tracecraft.cli.output import one_line, print_line
from tracecraft.errors import UsageError, WrongState
from tracecraft.sessions.harness import Found
from tracecraft.sessions.locating import Wanted, locate, this_machine
from tracecraft.sessions.mirror import INTERVAL, Flushed, SessionMirror
from tracecraft.sessions.redactor import Redactor, Unredacted


@command("mirror")
@click.option("--harness", metavar="NAME", help="Only this harness: claude-code, codex ... [default: whichever]")
@click.option("--session-id", metavar="ID", help="This session; the beginning of its id is enough.")
@click.option("--cwd", type=click.Path(path_type=Path), metavar="PATH", help="The agent's folder. [default: here]")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until interrupted.")
@click.option("--all", "every", is_flag=True, help="Every session of the folder, not only the one that changed last.")
@click.option("--all-harnesses", is_flag=True, help="Every session on this machine, of any harness and folder.")
@click.option(
    "--interval", type=DURATION, metavar="D", default=INTERVAL, show_default="1s",
    help="With --follow, the least time between two writes of one session.",
)  # fmt: skip
@click.option("--no-redact", is_flag=True, help="Leave secrets in. Only for a store that may know them.")
@click.option(
    "--min-bytes", type=click.IntRange(min=1), default=1, metavar="N", show_default=True,
    help="Leave less than this for later.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Mirror into a store that others can read; remembered here.")
def mirror(
    face: Face,
    harness: str | None,
    session_id: str | None,
    cwd: Path | None,
    follow: bool,
    every: bool,
    all_harnesses: bool,
    interval: float,
    no_redact: bool,
    min_bytes: int,
    yes: bool,
) -> None:
    """Copy what is new in a coding agent's session into the store, without secrets.

    Without options it is the live session of this folder, whatever harness writes it. It may be run at any time, twice
    at once, and again after a crash: every line is in the store once.

    \b
    Example:
      tracecraft session mirror --follow
    """
    if interval < INTERVAL:
        raise UsageError(f"an interval of {interval:g}s is too short", hint="at least 1s: stores refuse more")
    if all_harnesses and (harness or cwd or session_id):
        raise UsageError("--all-harnesses is for every session on this machine", hint="leave out the other choice")
    wanted = Wanted(
        harness=harness,
        session_id=session_id,
        cwd=_folder(cwd, whole_machine=all_harnesses or (session_id is not None and cwd is None)),
        every=every or all_harnesses,
    )
    from tracecraft.sessions.exposure import require_private

    require_private(face.project, accept=yes)
    redactor = _redactor(face, no_redact=no_redact)
    if follow:
        _follow(face, wanted, redactor, interval, min_bytes)
    else:
        _mirror_once(face, wanted, redactor, min_bytes)


@command("stop")
@click.argument("session_id")
def stop(face: Face, session_id: str) -> None:
    """Note that a mirrored session has ended. Whoever follows it, on any machine, stops.

    \b
    Example:
      tracecraft session stop 7505c804
    """
    from tracecraft.sessions.finding import Sessions
    from tracecraft.sessions.upkeep import end_session

    ended = end_session(face.project, Sessions(face.project).find(session_id)).record
    face.show(
        {"harness": ended.harness, "session_id": ended.session_id, "ended_at": ended.ended_at},
        f"{one_line(ended.harness)} {one_line(ended.session_id)} has ended; mirroring it again takes that back",
    )


def _folder(cwd: Path | None, *, whole_machine: bool) -> Path | None:
    if whole_machine:
        return None
    return Path(os.path.realpath(cwd or Path.cwd()))


def _redactor(face: Face, *, no_redact: bool) -> Redactor:
    if no_redact:
        face.project.say("secrets are left in what is mirrored")
        return Unredacted()
    from tracecraft.sessions.redaction import Redactor as Redaction
    from tracecraft.sessions.redaction import known_secrets

    return Redaction(known_secrets(Path.home(), os.environ))


def _mirror_once(face: Face, wanted: Wanted, redactor: Redactor, least: int) -> None:
    from tracecraft.sessions import registry

    project = face.project
    done = []
    for found in locate(wanted, this_machine(), project.say):
        session = SessionMirror(project, registry.harness(found.harness), found, redactor)
        try:
            done.append((found, session.flush(least=least)))
        except (WrongState, OSError) as error:
            if not wanted.every:
                raise
            project.say(f"{found.harness} {found.session_id} is left out: {error}")
    if any(flushed for _, flushed in done):
        project.write_after(project.agents.beat_item(), done="what was new is mirrored")
    text = "\n".join(_line(found, flushed) for found, flushed in done) or "no sessions"
    face.show({"sessions": [_document(found, flushed) for found, flushed in done]}, text)


def _follow(face: Face, wanted: Wanted, redactor: Redactor, interval: float, least: int) -> None:
    from tracecraft.sessions.mirrorer import Mirrorer
    from tracecraft.sessions.watching import Stop

    def tell(found: Found, flushed: Flushed) -> None:
        face.show(_document(found, flushed), _line(found, flushed))

    halt = Stop()
    mirrorer = Mirrorer(face.project, wanted, this_machine(), redactor, interval=interval, least=least, on_flush=tell)
    with halt.on_signals():
        mirrorer.run(halt)
    if not face.json:
        print_line("stopped; everything that was written is mirrored")


def _line(found: Found, flushed: Flushed) -> str:
    who = f"{found.harness} {one_line(found.session_id)}"
    if not flushed:
        return f"{who}: nothing new"
    hidden = ", ".join(f"{rule} {count}" for rule, count in sorted(flushed.redactions.items()))
    redacted = f"; redacted: {one_line(hidden)}" if hidden else ""
    parts = "1 part" if flushed.parts == 1 else f"{flushed.parts} parts"
    return f"{who}: {flushed.source_bytes} bytes in {parts}{redacted}{_begun_again(flushed)}"


def _begun_again(flushed: Flushed) -> str:
    if not flushed.anew:
        return ""
    if set(flushed.anew) == set(flushed.copies):
        return "; its source is a restored copy, without what redaction took out, and is mirrored anew"
    return "; its source was rewritten and is mirrored anew"


def _document(found: Found, flushed: Flushed) -> dict[str, Any]:
    return {
        "harness": found.harness,
        "session_id": found.session_id,
        "source_path": str(found.path),
        "source_bytes": flushed.source_bytes,
        "uploaded_bytes": flushed.uploaded_bytes,
        "parts": flushed.parts,
        "redactions": dict(flushed.redactions),
        "anew": flushed.anew,
        "copies": flushed.copies,
    }
