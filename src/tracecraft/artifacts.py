"""Files shared between agents, of any size, with their checksums."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft import clock, layout
from tracecraft.errors import Corrupt, Missing, NameTaken, NotFound, UsageError
from tracecraft.layout import SHARED
from tracecraft.records import Record, encode, read, read_many
from tracecraft.store import Info

if TYPE_CHECKING:
    from tracecraft.project import Project

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


class Sum(Record, omit_defaults=False):
    """What was uploaded. It speaks of the object only while the object still has this etag."""

    etag: str
    sha256: str
    size: int
    uploaded_by: str = ""
    uploaded_at: str = ""
    run: str | msgspec.UnsetType = msgspec.UNSET
    """The run that it was uploaded in."""


class Artifact(msgspec.Struct, frozen=True):
    """A stored file. `verified` is False where no checksum speaks of this version of it (0.2.x keeps none)."""

    step: str
    name: str
    size: int
    modified: float
    sha256: str = ""
    uploaded_by: str = ""
    verified: bool = False


class _Meter:
    """Sums up the bytes that pass, and tells how far they are."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._digest = hashlib.sha256()
        self._total = total
        self._progress = progress
        self.done = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def take(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.done += len(chunk)
        if self._progress:
            self._progress(self.done, max(self._total, self.done))


class Artifacts:
    """The artifacts of a project, by step."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def upload(
        self, path: Path, *, step: str | None = None, name: str | None = None, progress: Progress | None = None
    ) -> Artifact:
        """Store a file under its name, or `name`, replacing what is there. Raises UsageError, NameTaken."""
        if not path.is_file():
            raise UsageError(f"not a file: {path}", hint="artifacts are single files; pack a folder with tar")
        chosen = layout.name("artifact", name or path.name)
        where = layout.step_id(step) if step else SHARED
        agent = self._project.agent
        self._refuse_case_twin(where, chosen)
        meter = _Meter(path.stat().st_size, progress)
        key = self._project.layout.artifact(where, chosen)
        etag = self._project.store.upload(key, path, meter.take)
        record = Sum(
            etag=etag,
            sha256=meter.sha256,
            size=meter.done,
            uploaded_by=agent,
            uploaded_at=clock.now(),
            run=self._project.run or msgspec.UNSET,
        )
        self._project.write_after(
            [
                (self._project.layout.artifact_sum(where, chosen), encode(record)),
                self._project.events.item("artifact.upload", chosen, about=key, step=where, **_told(record)),
                *self._project.agents.beat_item(),
            ],
            done=f"{chosen} is uploaded",
        )
        return Artifact(where, chosen, meter.done, 0.0, record.sha256, agent, True)

    def download(
        self, name: str, *, step: str | None = None, to: Path | None = None, progress: Progress | None = None
    ) -> tuple[Artifact, Path]:
        """Fetch a file into `to` (a file or folder; default: the current folder) and check it against its checksum.

        The file appears complete or not at all. Raises Missing, Corrupt.
        """
        where = layout.readable_step_id(step) if step else SHARED
        key = self._project.layout.artifact(where, name)
        target = _target(name, to)
        known = read(self._project.store, self._project.layout.artifact_sum(where, name), Sum)
        meter = _Meter(known.record.size if known else 0, progress)
        with _unfinished(target) as temporary:
            try:
                info = self._project.store.download(key, temporary, meter.take)
            except NotFound:
                raise Missing(
                    f"no artifact {name} of {where}", hint="tracecraft artifact list", name=name, step=where
                ) from None
            vouched = known.record if known and known.record.etag == info.etag else None
            if vouched and vouched.sha256 != meter.sha256:
                raise Corrupt(f"{name} is not what was uploaded: its sha256 differs", hint="upload it again")
            _publish(temporary, target)
        if not vouched:
            self._project.say(f"{name} is unverified: no checksum speaks of this version of it")
        return self._artifact(where, name, info, vouched), target

    def list(self, *, step: str | None = None) -> Sequence[Artifact]:
        """Stored files with what is known of them, by step and name."""
        project, names = self._project, self._project.layout
        where = layout.readable_step_id(step) if step else None
        infos = {
            found: info for info in project.store.list(names.artifacts(where)) if (found := names.artifact_of(info.key))
        }
        sums = read_many(project.store, [names.artifact_sum(*found) for found in infos], Sum, project.broken)
        listed = []
        for found, info in infos.items():
            known = sums.get(names.artifact_sum(*found))
            vouched = known.record if known and known.record.etag == info.etag else None
            listed.append(self._artifact(*found, info, vouched))
        return listed

    def _artifact(self, step: str, name: str, info: Info, vouched: Sum | None) -> Artifact:
        if vouched is None:
            return Artifact(step, name, info.size, info.modified)
        return Artifact(step, name, info.size, info.modified, vouched.sha256, vouched.uploaded_by, True)

    def _refuse_case_twin(self, step: str, name: str) -> None:
        names = self._project.layout
        for info in self._project.store.list(names.artifacts(step)):
            found = names.artifact_of(info.key)
            if found and found[1] != name and found[1].casefold() == name.casefold():
                raise NameTaken(f"an artifact is already called {found[1]}", hint="choose another name with --name")


def _told(record: Sum) -> dict[str, Any]:
    return {"size": record.size, "sha256": record.sha256}


def _target(name: str, to: Path | None) -> Path:
    """Where the download goes. The name is one path segment, so it cannot lead out of the folder."""
    target = (to / name) if to is not None and to.is_dir() else (to or Path(name))
    if target.is_dir() and not target.is_symlink():
        raise UsageError(f"{target} is a folder", hint="choose a file with --output")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"no such folder: {target.absolute().parent}", hint="make it first")
    return target


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A temporary file beside the target, gone afterwards however this ends; SIGTERM ends it as an exception."""
    temporary = target.absolute().parent / f".{target.name[:100]}.{os.urandom(4).hex()}.part"
    with _sigterm_raises():
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def _publish(temporary: Path, target: Path) -> None:
    """Make the download the target; a symbolic link under that name is replaced, not followed."""
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into SystemExit while a file is unfinished, where this thread may (the main one)."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
