"""What this machine remembers of a session it mirrors, so that a flush need not compare what is mirrored already.

It may be deleted at any time, and nothing is decided by it: what is mirrored stands in the manifest alone.
"""

from __future__ import annotations

from typing import Any

from tracecraft.localstate import LocalState
from tracecraft.sessions.harness import Bookmark


class Bookmarks:
    """The bookmarks of a session's streams. `interrupted` tells that uploads may lie in the store unnamed."""

    def __init__(self, local: LocalState, harness: str, session_id: str) -> None:
        self._local = local
        self._name = f"session-{harness}-{session_id}"
        known = local.read(self._name)
        streams = known.get("streams")
        self._streams: dict[str, Any] = streams if isinstance(streams, dict) else {}
        self.interrupted = known.get("uploading") is not False
        self._saved = True

    def find(self, stream: str, g: int, end: int) -> Bookmark | None:
        """The bookmark of a stream if it was made when generation `g` ended there."""
        known = self._streams.get(stream)
        if not isinstance(known, dict) or (known.get("g"), known.get("end")) != (g, end):
            return None
        bookmark = known.get("bookmark")
        return bookmark if isinstance(bookmark, dict) else None

    def generation(self, stream: str) -> int | None:
        """The generation that this machine last read a stream into."""
        known = self._streams.get(stream)
        return known.get("g") if isinstance(known, dict) else None

    def set(self, stream: str, g: int, end: int, bookmark: Bookmark) -> None:
        self._streams[stream] = {"g": g, "end": end, "bookmark": bookmark}
        self._saved = False

    def begin(self) -> None:
        """Note that uploads begin which no manifest names yet."""
        self.interrupted = True
        self._write(uploading=True)

    def save(self) -> None:
        """Keep what was set, and that nothing lies in the store unnamed."""
        if self.interrupted or not self._saved:
            self.interrupted = False
            self._saved = True
            self._write(uploading=False)

    def _write(self, *, uploading: bool) -> None:
        self._local.write(self._name, {"streams": self._streams, "uploading": uploading})
