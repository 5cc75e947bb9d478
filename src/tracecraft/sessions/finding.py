"""Finds mirrored sessions: all of them, newest first, or the one that a shortened id means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tracecraft.errors import BrokenRecord, Missing, UsageError
from tracecraft.records import Stored
from tracecraft.sessions.manifest import Manifest

if TYPE_CHECKING:
    from tracecraft.layout import Layout
    from tracecraft.project import Project
    from tracecraft.store import Info

SHORTEST = 8
"""Characters of a session's id that are shown at least."""

_FIRST, _SLICE = 32, 500
"""Manifests that are read at a time: few at first, for mostly the newest are wanted."""
_NAMED = 10


class Name(NamedTuple):
    """Where a session is found."""

    harness: str
    session_id: str

    def __str__(self) -> str:
        return f"{self.harness}/{self.session_id}"


class Sessions:
    """The mirrored sessions of a project, as they are listed when this is made."""

    def __init__(self, project: Project) -> None:
        self._project = project
        listed = project.store.list(project.layout.sessions())
        found = ((project.layout.manifest_of(info.key), info) for info in listed)
        self._infos: dict[Name, Info] = {Name(*name): info for name, info in found if name}

    def newest_first(self, harness: str | None = None) -> Iterator[Stored[Manifest]]:
        """The manifests of all that were not deleted, read as they are asked for; broken ones go to `project.broken`.

        The newest is the one that changed last by the store's clock.
        """
        wanted = [info for name, info in self._infos.items() if harness in (None, name.harness)]
        infos = sorted(wanted, key=lambda info: (info.modified, info.key), reverse=True)
        start = 0
        while start < len(infos):
            stop = start + (_SLICE if start else _FIRST)
            yield from (stored for stored in self._read(infos[start:stop]) if is_there(stored.record))
            start = stop

    def find(self, given: str, *, deleted: bool = False) -> Stored[Manifest]:
        """The session of this id, or of an id that begins so; `codex/0199` looks among one harness's.

        `deleted` finds those too that were deleted and left their tombstone. Raises Missing, UsageError when it may be
        any of several, and BrokenRecord.
        """
        named = [self._infos[name] for name in self._named(given)]
        found = [stored for stored in self._read(named) if deleted or is_there(stored.record)]
        if not found and len(named) == 1:
            self._raise_broken(named[0].key)
        if not found:
            raise Missing(
                f"no session is mirrored whose id is or begins with {given!r}", hint="tracecraft session list"
            )
        if len(found) > 1:
            some = ", ".join(str(_name(stored)) for stored in found[:_NAMED])
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            raise UsageError(f"{given!r} may be any of {some}{more}", hint="give more of its id")
        return found[0]

    def short_ids(self) -> dict[Name, str]:
        """What is enough to name each session, at least 8 characters."""
        ids = sorted({name.session_id for name in self._infos})
        alike = dict.fromkeys(ids, 0)
        for one, other in pairwise(ids):
            same = _same_start(one, other) + 1
            alike[one], alike[other] = max(alike[one], same), max(alike[other], same)
        return {name: name.session_id[: max(SHORTEST, alike[name.session_id])] for name in self._infos}

    def _named(self, given: str) -> Sequence[Name]:
        """The sessions that a text may mean: those of exactly this id, else those whose ids begin so."""
        harness, slash, rest = given.rpartition("/")
        if not rest:
            raise UsageError("no session is named", hint="give its id or the beginning of it: tracecraft session list")
        among = [name for name in self._infos if not slash or name.harness == harness]
        exact = [name for name in among if name.session_id == rest]
        return exact or [name for name in among if name.session_id.startswith(rest)]

    def _raise_broken(self, key: str) -> None:
        """Raise what was found out about this manifest, instead of telling it beside."""
        for error in [error for error in self._project.broken if error.fields.get("key") == key]:
            self._project.broken.remove(error)
            raise error

    def _read(self, infos: Sequence[Info]) -> Iterator[Stored[Manifest]]:
        stored = self._project.read_listed(infos, Manifest)
        for found in (stored[info.key] for info in infos if info.key in stored):
            try:
                check(self._project.layout, found)
            except BrokenRecord as error:
                self._project.broken.append(error)
            else:
                yield found


def is_there(manifest: Manifest) -> bool:
    """Whether the session was not deleted."""
    return not manifest.deleted_at


def check(layout: Layout, stored: Stored[Manifest]) -> None:
    """Raises BrokenRecord for a manifest that speaks of other objects than its own session's."""
    manifest = stored.record
    if layout.manifest_of(stored.key) != (manifest.harness, manifest.session_id):
        raise BrokenRecord(
            f"{stored.key} is not the manifest of that session: it speaks of another",
            hint="somebody else may have written it: look at it before you use or delete it",
            key=stored.key,
        )
    try:
        for part in manifest.parts:
            layout.part(manifest.harness, manifest.session_id, part.seq, part.uuid)
    except UsageError as error:
        raise BrokenRecord(
            f"{stored.key} names a part that cannot be one: {error.message}",
            hint="somebody else may have written it: look at it before you use or delete it",
            key=stored.key,
        ) from None


def _name(stored: Stored[Manifest]) -> Name:
    return Name(stored.record.harness, stored.record.session_id)


def _same_start(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
