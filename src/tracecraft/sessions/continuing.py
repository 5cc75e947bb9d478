"""Finds where the mirroring of a stream goes on: in the generation whose source this still is, or in a new one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tracecraft.sessions.bookmarks import Bookmarks
from tracecraft.sessions.harness import Batch, Bookmark, Found, Harness, Restarted, Source
from tracecraft.sessions.manifest import Generation, Manifest
from tracecraft.sessions.redactor import Redactor


class Place(NamedTuple):
    """Where a stream goes on: a generation of the manifest, or None for a new one; and what is new there.

    `is_copy` tells of a new one that its source begins with what is stored of another, so without what redaction took
    out there: a session that was restored.
    """

    generation: Generation | None
    batch: Batch | None
    is_copy: bool = False


class Reader:
    """Reads one session's streams on from where a manifest ends."""

    def __init__(self, harness: Harness, found: Found, redactor: Redactor, bookmarks: Bookmarks, machine: str) -> None:
        self._harness = harness
        self._found = found
        self._redactor = redactor
        self._bookmarks = bookmarks
        self._machine = machine

    def place(self, manifest: Manifest, source: Source) -> Place:
        """Where the stream of this source goes on. Raises OSError when it cannot be read at present."""
        known = self._candidates(manifest, source.stream)
        for generation in known:
            try:
                if self._is_source_of(manifest, generation, source):
                    return Place(generation, self.read_on(source, generation))
            except Restarted:
                continue
        is_copy = any(self._is_stored(manifest, generation, source) for generation in known)
        return Place(None, self._harness.read_new(self._found, source, None), is_copy)

    def read_on(self, source: Source, generation: Generation) -> Batch | None:
        """What lies behind the end of a generation. Raises Restarted."""
        return self._harness.read_new(self._found, source, generation.cursor)

    def keep_place(self, source: Source, generation: Generation, bookmark: Bookmark | None = None) -> None:
        """Remember how to recognise the source up to the end of the generation: by the bookmark made while reading."""
        if bookmark is None:
            bookmark = self._harness.bookmark(source, generation.cursor)
        self._bookmarks.set(source.stream, generation.g, generation.end, bookmark)

    def _candidates(self, manifest: Manifest, stream: str) -> Sequence[Generation]:
        """Generations of a stream that may be continued: the one used last, then this machine's, then the newest."""
        used_last = self._bookmarks.generation(stream)
        known = [made for made in manifest.generations if made.stream == stream and manifest.may_continue(made)]
        return sorted(known, key=lambda made: (made.g == used_last, made.source.machine == self._machine, made.g))[::-1]

    def _is_source_of(self, manifest: Manifest, generation: Generation, source: Source) -> bool:
        bookmark = self._bookmarks.find(source.stream, generation.g, generation.end)
        known = self._harness.recognises(source, generation.cursor, bookmark)
        if known is not None:
            return known
        if not self._same_content(manifest, generation, source):
            return False
        self.keep_place(source, generation)
        return True

    def _same_content(self, manifest: Manifest, generation: Generation, source: Source) -> bool:
        """Whether the source, redacted anew, gives the parts that were uploaded. Raises Restarted."""
        for part in manifest.parts_of(generation.g):
            digest = hashlib.sha256()
            chunks = self._harness.read_again(source, *part.span)
            for piece in self._redactor.redact(chunks, Counter(), text=source.is_text):
                digest.update(piece)
            if digest.hexdigest() != part.sha256:
                return False
        return True

    def _is_stored(self, manifest: Manifest, generation: Generation, source: Source) -> bool:
        """Whether the source begins with what redaction left of a generation from which it took something."""
        parts = manifest.parts_of(generation.g)
        if not any(part.redactions for part in parts):
            return False
        at = 0
        try:
            for part in parts:
                digest = hashlib.sha256()
                for chunk in self._harness.read_again(source, at, at + part.uploaded_bytes):
                    digest.update(chunk)
                if digest.hexdigest() != part.sha256:
                    return False
                at += part.uploaded_bytes
        except Restarted:
            return False
        return True
