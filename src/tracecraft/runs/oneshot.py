"""What a command records of a run: a writer that has all its lines at once, and is done.

Unlike a recorder it asks the store while its caller waits, and raises when the store does not take it: who runs a
command sees that, and can run it again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tracecraft import clock, localprocess
from tracecraft.errors import Conflict, Unreachable
from tracecraft.records import commit, new_id
from tracecraft.runs import index, log
from tracecraft.runs.beginning import present, resumed
from tracecraft.runs.compacting import compact_when_ended
from tracecraft.runs.index import IndexEntry
from tracecraft.runs.log import Known
from tracecraft.runs.meta import RunMeta, Status, head_of
from tracecraft.runs.recorder.encoding import encoded, numbered
from tracecraft.runs.recorder.redacting import Redaction
from tracecraft.runs.summary import Summing
from tracecraft.store import put_many

if TYPE_CHECKING:
    from tracecraft.project import Project
    from tracecraft.store import Items

L = TypeVar("L", bound=log.Line)

_ROUNDS = 20
_MAY_HOLD_SECRETS = (log.Params, log.Tags, log.Note)
"""Lines of free text. The rules take some time to load, which numbers need not wait for."""


def begin(project: Project, meta: RunMeta, lines: Sequence[Known] = ()) -> RunMeta:
    """Make a run. Raises StoreError; UnsafeStore where the store keeps no promises."""
    meta = Redaction(on=True).meta(meta)
    written = commit(project.store, project.layout.run_meta(meta.run), meta, None).record
    _write(project, written, lines)
    return written


def resume(project: Project, run: str, lines: Sequence[Known] = ()) -> RunMeta:
    """Have a run go on that ended. Raises Missing, WrongState for a deleted run, StoreError."""
    meta = resumed(project, run, "")
    _write(project, meta, lines)
    return meta


def record(project: Project, run: str, lines: Sequence[Known]) -> RunMeta:
    """Add lines to a run; its record. Raises Missing, WrongState for a deleted run, StoreError."""
    meta = present(project, run).record
    _write(project, meta, lines)
    return meta


def end(project: Project, run: str, status: Status, error: str = "") -> RunMeta:
    """Say how a run ended, unless it has; its record. Raises Missing, WrongState for a deleted run, StoreError."""
    for _ in range(_ROUNDS):
        found = present(project, run)
        if found.record.status != "running":
            return found.record
        ended = msgspec.structs.replace(found.record, status=status, ended_at=clock.now(), error=error)
        try:
            written = commit(project.store, found.key, Redaction(on=bool(error)).meta(ended), found).record
        except Conflict:
            continue
        _write(project, written, ())
        return written
    raise Unreachable(f"{run} keeps changing", hint="repeat the command")


def keep_file(project: Project, run: str, name: str, path: Path) -> log.Artifact:
    """Store a file or folder, and record it. Raises UsageError, OSError, Missing, WrongState, StoreError."""
    from tempfile import TemporaryDirectory

    from tracecraft.runs.recorder.files import FileSender

    present(project, run)
    with TemporaryDirectory(prefix="tracecraft-") as folder:
        files = FileSender(project, run, Path(folder, "files"))
        line = files.keep(name, path)
        files.send()
    line = placed(project, line)
    record(project, run, [line])
    return line


def placed(project: Project, line: L) -> L:
    """The line as recorded now, by the project's agent, in the span that the process was started in."""
    line.at = time.time()
    line.agent = project.agent if project.has_agent else ""
    line.span = project.within().span
    return line


def _write(project: Project, meta: RunMeta, lines: Sequence[Known]) -> None:
    """A writer's whole log and its index entry, with the agent's heartbeat, in one wave."""
    writer, summing = new_id(), Summing()
    items: Items = []
    if lines:
        whole = [_introduction(project), *lines]
        data = b"".join(numbered(encoded(line), number) for number, line in enumerate(whole, 1))
        data = Redaction(on=any(isinstance(line, _MAY_HOLD_SECRETS) for line in lines)).lines(data)
        for text in data.splitlines():
            if (line := log.decode(text)) is not None:
                summing.feed(line)
        items.append((project.layout.fragment(meta.run, writer, 1, len(whole)), data))
    entry = IndexEntry(meta.run, writer, 1, clock.now(), True, head_of(meta), summing.summary)
    items.append((project.layout.run_entry(meta.run, writer), index.encode(entry)))
    if project.has_agent:
        items += project.agents.beat_item()
    put_many(project.store, items)
    compact_when_ended(project, writer)


def _introduction(project: Project) -> Known:
    process = localprocess.name(os.getpid())
    agent = project.agent if project.has_agent else ""
    return log.Writer(
        at=time.time(), host=os.uname().nodename, pid=os.getpid(), process=process, agent=agent, via="cli"
    )
