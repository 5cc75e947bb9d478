"""Follows a stream of a mirrored session: what is stored of it, and then what is mirrored, for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tracecraft.errors import Missing, NotFound
from tracecraft.records import Stored, stored
from tracecraft.sessions.finding import check, is_there
from tracecraft.sessions.manifest import Manifest
from tracecraft.sessions.reading import Stream

if TYPE_CHECKING:
    from tracecraft.project import Project


class Follower:
    """Waits for what is new in a stream, whose `chunks` and `lines` then give it."""

    def __init__(self, project: Project, stream: Stream) -> None:
        self._project = project
        self._stream = stream
        self._pace = project.store.pace()

    def changes(self) -> Iterator[bool]:
        """Each change of the session, at once or a little later; True where the stream was begun anew.

        Raises Missing when the session is deleted.
        """
        while True:
            self._pace.sleep()
            newer = self._look()
            if newer:
                self._pace.changed()
                yield self._stream.grow(newer)

    def _look(self) -> Stored[Manifest] | None:
        """The manifest, if it changed."""
        known = self._stream.stored
        try:
            found = self._project.store.get_if_changed(known.key, known.etag)
        except NotFound:
            raise _deleted(known.record) from None
        if found is None:
            return None
        newer = stored(found, Manifest)
        if not is_there(newer.record):
            raise _deleted(newer.record)
        check(self._project.layout, newer)
        return newer


def _deleted(manifest: Manifest) -> Missing:
    return Missing(f"the session {manifest.session_id} was deleted", hint="tracecraft session list")
