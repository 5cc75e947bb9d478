"""The next manifest of a session while parts are uploaded for it, until one swap makes it true."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from tracecraft import clock
from tracecraft.clock import Deadline
from tracecraft.errors import Conflict, StoreError
from tracecraft.records import Stored, commit
from tracecraft.sessions.bookmarks import Bookmarks
from tracecraft.sessions.harness import Source
from tracecraft.sessions.manifest import Generation, Manifest, Origin, Part, counted
from tracecraft.sessions.telling import tell
from tracecraft.store import delete_many

if TYPE_CHECKING:
    from tracecraft.project import Project

_SWAP_EVERY = 1.1
"""Seconds of uploading after which what is up is named though there is more: every provider allows that pace."""


class Draft:
    """What the manifest will be.

    `stored` is what it is, None while there is none. `named` are the parts that this draft has made true so far, and
    `opened` the streams that it began anew, `copies` those among them whose source is a restored copy.
    """

    def __init__(
        self, project: Project, key: str, stored: Stored[Manifest] | None, begun: Manifest, bookmarks: Bookmarks
    ) -> None:
        self._project = project
        self._key = key
        self._bookmarks = bookmarks
        self._unnamed: list[str] = []
        self._swap_at = Deadline(_SWAP_EVERY)
        self.stored = stored
        self.manifest = stored.record if stored else begun
        self._waiting: list[Part] = []
        self.named: list[Part] = []
        self.opened: list[str] = []
        self.copies: list[str] = []

    def begin_upload(self) -> None:
        """To be called before a part is uploaded."""
        if not self._unnamed:
            self._bookmarks.begin()

    def open_generation(self, source: Source, machine: str) -> Generation:
        """A new generation, for a source that goes on with none of those there are."""
        if any(known.stream == source.stream for known in self.manifest.generations):
            self.opened.append(source.stream)
        return Generation(
            g=self.manifest.next_generation(),
            stream=source.stream,
            source=Origin(machine=machine, path=str(source.path), inode=_inode(source)),
            whole=source.whole,
            opened_at=clock.now(),
        )

    def append(self, part: Part, generation: Generation, key: str) -> None:
        """Add a part that was uploaded under `key`, and its generation as it is with it. Raises Conflict."""
        others = [known for known in self.manifest.generations if known.g != generation.g]
        self._unnamed.append(key)
        self._waiting.append(part)
        self.manifest = msgspec.structs.replace(
            self.manifest,
            parts=[*self.manifest.parts, part],
            generations=sorted([*others, generation], key=lambda known: known.g),
            ended_at=None,
        )
        if self._swap_at.passed:
            self._swap()

    def finish(self, *, ended: bool) -> None:
        """Make the draft true, if anything is to be changed. Raises Conflict, StoreError."""
        ends = ended and bool(self.manifest.parts) and not self.manifest.ended_at
        if ends:
            self.manifest = msgspec.structs.replace(self.manifest, ended_at=clock.now())
        changed = self.stored is None or self.manifest is not self.stored.record
        if changed and self.manifest.parts:
            swapped = self._swap()
            if ends:
                tell(self._project, "session.end", swapped, "has ended")

    def abandon(self) -> None:
        """Remove what was uploaded and certainly is not named."""
        delete_many(self._project.store, self._unnamed)
        self._unnamed.clear()

    def _swap(self) -> Stored[Manifest]:
        """Make the draft true as it is; returns it as it is stored."""
        first = self.stored is None
        record = msgspec.structs.replace(
            counted(self.manifest),
            agent_id=self._project.agent,
            last_uploaded_at=clock.now(),
            run=self._project.run or self.manifest.run,
        )
        try:
            self.stored = commit(self._project.store, self._key, record, self.stored)
        except Conflict:
            raise
        except StoreError:
            # Whether it was applied cannot be told, so nothing may be removed: the next flush looks and sweeps.
            self._unnamed.clear()
            raise
        self.manifest = self.stored.record
        self._unnamed.clear()
        self.named += self._waiting
        self._waiting.clear()
        self._swap_at = Deadline(_SWAP_EVERY)
        if first:
            tell(self._project, "session.start", self.stored, "is mirrored")
        return self.stored


def _inode(source: Source) -> int:
    try:
        return os.stat(source.path).st_ino
    except OSError:
        return 0
