"""Writes a mirrored session back as files: where its harness finds it, or into a folder.

The names of streams come from the store, where others can write. Each file appears complete under a name that was free,
or none does.
"""

from __future__ import annotations

import filecmp
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tracecraft.errors import UsageError, WrongState
from tracecraft.records import Stored
from tracecraft.sessions import registry, summing
from tracecraft.sessions.harness import MAIN, Harness, Machine
from tracecraft.sessions.lines import below
from tracecraft.sessions.manifest import Manifest
from tracecraft.sessions.reading import Stream
from tracecraft.sessions.telling import tell
from tracecraft.wholefile import save

if TYPE_CHECKING:
    from tracecraft.project import Project

_RESUME = {"claude-code": "claude --resume {id}", "codex": "codex resume {id}", "pi": "pi --session {path}"}


class Restored(msgspec.Struct, frozen=True):
    """What was restored: the main file, all files by stream, and those among them that were there already.

    `redactions` tells what is not in the files because it was never mirrored; `resume` is the command that goes on with
    the session, empty where there is none or where its harness will not find it.
    """

    main: Path
    files: dict[str, Path]
    unchanged: Sequence[str]
    redactions: dict[str, int]
    incomplete: Sequence[str]
    resume: str = ""


def restore(
    project: Project, stored: Stored[Manifest], machine: Machine, *, cwd: Path, to: Path | None = None
) -> Restored:
    """Write every stream of a session for the agent's folder `cwd`, or into the folder `to`.

    Raises UsageError where its harness takes no files, WrongState where a file of other content is in the way, Corrupt
    and Missing; nothing is left then.
    """
    manifest = stored.record
    harness = registry.known(manifest.harness)
    main = _place(manifest, harness, machine, cwd) if to is None else below(to, f"{manifest.session_id}.jsonl")
    streams = [Stream(project, stored, name) for name in sorted(manifest.streams(), key=lambda name: name == MAIN)]
    files = {stream.name: _path(harness if to is None else None, main, stream.name) for stream in streams}
    _check(main, files)
    unchanged = _write(streams, files)
    if project.has_agent:  # who only reads a store may restore from it, and then no event tells
        tell(project, "session.restore", stored, "is restored", *project.agents.beat_item())
    return Restored(
        main,
        files,
        unchanged,
        summing.redactions(manifest),
        [stream.name for stream in streams if stream.gaps()],
        _resume(manifest, main, cwd) if to is None else "",
    )


def _place(manifest: Manifest, harness: Harness | None, machine: Machine, cwd: Path) -> Path:
    if harness is None:
        raise UsageError(
            f"the harness {manifest.harness} is not known here, so its files' place is not either",
            hint="restore it into a folder: --to PATH",
        )
    main = manifest.current(MAIN)
    source = main.source.path if main and main.source.path else manifest.source_path
    place = harness.restored(machine, manifest.session_id, source, cwd)
    if place is None:
        raise UsageError(
            f"{manifest.harness} does not take this session back as a file",
            hint="restore it into a folder to look at it: --to PATH",
        )
    return place


def _path(harness: Harness | None, main: Path, stream: str) -> Path:
    if stream == MAIN:
        return main
    return harness.stream_path(main, stream) if harness else below(main.with_suffix(""), stream)


def _check(main: Path, files: dict[str, Path]) -> None:
    """Raises UsageError for files that would lie elsewhere than beside the main one, or be one file."""
    for stream, path in files.items():
        inside = path.is_relative_to(main.parent) and ".." not in path.parts
        folders = [path, *path.parents][: len(path.parts) - len(main.parent.parts)] if inside else []
        if not inside or any(folder.is_symlink() for folder in folders):
            raise UsageError(
                f"the stream {stream!r} would be written to {path}, which leads out of the session's folder",
                hint="look there, and at the session's record; nothing was written",
            )
    if len(set(files.values())) < len(files):
        raise UsageError("two streams would be one file", hint="look at the session's record; nothing was written")


def _write(streams: Sequence[Stream], files: dict[str, Path]) -> Sequence[str]:
    """Write the streams, the main one last; returns those whose files were there with the same content."""
    unchanged = []
    unfinished: dict[Path, Path] = {}
    with _all_or_nothing() as made:
        for stream in streams:
            path = files[stream.name]
            _make_folder(path.parent, made)
            temporary = path.parent / f".{path.name[:100]}.{os.urandom(4).hex()}.restoring"
            made.append(temporary)
            save(temporary, stream.chunks(0))
            if os.path.lexists(path):
                if not _is_same(temporary, path):
                    raise _in_the_way(path)
                unchanged.append(stream.name)
            unfinished[path] = temporary
        for path, temporary in unfinished.items():
            if path not in (files[name] for name in unchanged):
                _publish(temporary, path)
                made.append(path)
        for temporary in unfinished.values():
            temporary.unlink()
        made.clear()
    return unchanged


def _publish(temporary: Path, path: Path) -> None:
    """Give a complete file its name, if that is still free."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _in_the_way(path) from None


@contextmanager
def _all_or_nothing() -> Iterator[list[Path]]:
    """Removes what was made, unless the list was cleared."""
    made: list[Path] = []
    try:
        yield made
    finally:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _make_folder(folder: Path, made: list[Path]) -> None:
    missing = [folder]
    while not missing[-1].exists() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    for path in reversed(missing[:-1]):
        path.mkdir(mode=0o700)
        made.append(path)


def _is_same(one: Path, other: Path) -> bool:
    return other.is_file() and not other.is_symlink() and filecmp.cmp(one, other, shallow=False)


def _in_the_way(path: Path) -> WrongState:
    return WrongState(
        f"{path} is there and is not what is in the store, which has no secrets; nothing was written",
        hint="move it away, or restore into another folder: --to PATH",
        path=str(path),
    )


def _resume(manifest: Manifest, main: Path, cwd: Path) -> str:
    command = _RESUME.get(manifest.harness, "")
    told = command.format(id=shlex.quote(manifest.session_id), path=shlex.quote(str(main)))
    return told if not told or cwd == Path.cwd() else f"cd {shlex.quote(str(cwd))} && {told}"
