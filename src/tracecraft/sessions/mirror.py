"""Mirrors one session: what is new in its streams becomes parts in the store, and one swap of the manifest names them.

Killed between any two requests, nothing is lost and nothing counts twice: parts that no manifest names do not exist,
and the next flush begins where the manifest ends. Two mirrorers of one session cannot both append at one place: the
second swap is refused, its parts are removed, and it reads on from where the first one ended.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tracecraft import clock, layout
from tracecraft.errors import Conflict, Unreachable, WrongState
from tracecraft.records import Stored, read
from tracecraft.sessions.bookmarks import Bookmarks
from tracecraft.sessions.compacting import compact_if_many
from tracecraft.sessions.continuing import Reader
from tracecraft.sessions.draft import Draft
from tracecraft.sessions.harness import MAIN, Batch, Found, Harness, Restarted, Source
from tracecraft.sessions.manifest import Generation, Manifest
from tracecraft.sessions.parts import write_part
from tracecraft.sessions.redactor import Redactor
from tracecraft.sessions.statistics import Fold
from tracecraft.sessions.sweeping import sweep
from tracecraft.store import pause

if TYPE_CHECKING:
    from tracecraft.project import Project

INTERVAL = 1.0
"""Seconds at least between two flushes of one session: no provider refuses that pace."""

_ATTEMPTS = 30
"""How often a flush begins anew because somebody else changed the manifest or the source was rewritten meanwhile."""


class Flushed(msgspec.Struct):
    """What a flush has mirrored. `anew` are the streams whose source was not continued but begun again.

    `copies` are those among them whose source is a restored copy, which lacks what redaction took out.
    """

    source_bytes: int = 0
    uploaded_bytes: int = 0
    parts: int = 0
    redactions: Counter[str] = msgspec.field(default_factory=Counter)
    anew: list[str] = msgspec.field(default_factory=list)
    copies: list[str] = msgspec.field(default_factory=list)

    def __bool__(self) -> bool:
        return self.parts > 0

    def add(self, draft: Draft) -> None:
        """Count what a draft made true."""
        for part in draft.named:
            self.source_bytes += part.source_bytes
            self.uploaded_bytes += part.uploaded_bytes
            self.redactions.update(part.redactions)
        self.parts += len(draft.named)
        if draft.named:
            self.anew += draft.opened
            self.copies += draft.copies


class Ended(Exception):
    """Somebody else noted the end of the session while it was followed."""


class SessionMirror:
    """Mirrors one session. It may be kept for many flushes: it remembers the manifest it wrote last.

    One that `heeds_end` goes no further when somebody else notes the session's end meanwhile.
    """

    def __init__(
        self, project: Project, harness: Harness, found: Found, redactor: Redactor, *, heeds_end: bool = False
    ) -> None:
        layout.name("session", found.session_id)
        self._project = project
        self._harness = harness
        self.found = found
        self.key = project.layout.manifest(harness.name, found.session_id)
        self._redactor = redactor
        self._bookmarks = Bookmarks(project.local, harness.name, found.session_id)
        self._machine = os.uname().nodename
        self._reader = Reader(harness, found, redactor, self._bookmarks, self._machine)
        self._stored: Stored[Manifest] | None = None
        self._heeds_end = heeds_end
        self._goes_on = False

    @property
    def manifest(self) -> Manifest | None:
        """The manifest as this mirrorer last read or wrote it."""
        return self._stored.record if self._stored else None

    def flush(self, *, least: int = 1, ended: bool = False) -> Flushed:
        """Mirror what is new, if that is at least so many bytes; with `ended`, note that no more will come.

        Raises WrongState when the session was deleted from the store, Ended, StoreError, and OSError when the main
        transcript cannot be read.
        """
        flushed = Flushed()
        for attempt in range(_ATTEMPTS):
            try:
                self._look()
                self._flush(flushed, least, ended)
                return flushed
            except (Conflict, Restarted):
                self._stored = None
                time.sleep(pause(min(attempt, 5)))
        raise Unreachable(f"others change {self.key} all the time", hint="what was mirrored stands; try again later")

    def _look(self) -> None:
        """Know the manifest, and remove what an earlier mirrorer on this machine left unnamed."""
        if self._stored is None:
            self._stored = read(self._project.store, self.key, Manifest)
            if self._goes_on and self._heeds_end and self._stored and self._stored.record.ended_at:
                raise Ended
        if self._stored and self._stored.record.deleted_at:
            raise WrongState(
                f"the session {self.found.session_id} was deleted from the store",
                hint=f"to mirror it again: tracecraft session delete --forget --yes {self.found.session_id}",
                session=self.found.session_id,
            )
        if self._stored and self._bookmarks.interrupted:
            self._stored, _ = sweep(self._project, self._stored)

    def _flush(self, flushed: Flushed, least: int, ended: bool) -> None:
        unswept = self._stored is None and self._bookmarks.interrupted
        draft = Draft(self._project, self.key, self._stored, self._begun(), self._bookmarks)
        try:
            for source in self._harness.sources(self.found):
                self._take(draft, source, 1 if ended else least)
            draft.finish(ended=ended)
        except (Conflict, Restarted, OSError):
            draft.abandon()
            raise
        finally:
            self._stored = draft.stored
            self._goes_on = bool(draft.stored and not draft.stored.record.ended_at)
            flushed.add(draft)
        if self._stored is None:
            return
        if unswept:
            self._stored, _ = sweep(self._project, self._stored)
        if flushed:
            self._stored = compact_if_many(self._project, self._stored)
        self._bookmarks.save()

    def _begun(self) -> Manifest:
        """The manifest of a session that was never mirrored."""
        return Manifest(
            harness=self._harness.name,
            session_id=self.found.session_id,
            source_path=str(self.found.path),
            cwd=self.found.cwd,
            started_at=clock.now(),
        )

    def _take(self, draft: Draft, source: Source, least: int) -> None:
        """Upload what is new in a stream. A stream beside the main one that cannot be read now is left for later."""
        try:
            generation, batch, is_copy = self._reader.place(draft.manifest, source)
        except OSError:
            if source.stream == MAIN:
                raise
            return
        if batch is None or (batch.size < least and not batch.more):
            return
        if generation is None:
            generation = draft.open_generation(source, self._machine)
            draft.copies += [source.stream] if is_copy else []
        fold = Fold.from_json(generation.fold, bounded=True)
        while batch is not None:
            generation = self._append(draft, source, generation, batch, fold)
            batch = self._reader.read_on(source, generation) if batch.more else None

    def _append(self, draft: Draft, source: Source, generation: Generation, batch: Batch, fold: Fold) -> Generation:
        """Upload a batch as the generation's next part; returns the generation as it is with it."""
        seq = draft.manifest.next_seq()
        key_of = partial(self._project.layout.part, self._harness.name, self.found.session_id, seq)
        on_lines = _nothing if source.is_text else partial(fold.feed_lines, self._harness)
        draft.begin_upload()
        part = write_part(self._project.store, key_of, batch, self._redactor, text=source.is_text, on_lines=on_lines)
        end = generation.end + batch.size
        part = msgspec.structs.replace(part, seq=seq, g=generation.g, cursor_range=(generation.end, end))
        grown = msgspec.structs.replace(generation, end=end, cursor=batch.cursor, fold=fold.to_json())
        self._reader.keep_place(source, grown, batch.bookmark)
        draft.append(part, grown, key_of(part.uuid))
        return grown


def _nothing(_lines: object) -> None:
    """Lines of plain text say nothing to the statistics."""
