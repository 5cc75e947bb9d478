"""Fetches parts of mirrored sessions, checked: small ones several at a time, large ones through a temporary file."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from tracecraft.errors import NotFound
from tracecraft.sessions.manifest import Manifest, Part, part_key
from tracecraft.store import get_many

if TYPE_CHECKING:
    from tracecraft.project import Project

WAVE = 16 << 20
"""Bytes of parts that are in memory at a time. A larger part never is."""

_CHUNK = 1 << 20
_MOST = 64

Damage = Literal["", "missing", "corrupt"]


class Fetched(NamedTuple):
    """A part and its bytes, in chunks; none of them where it is damaged."""

    part: Part
    chunks: Iterable[bytes]
    damage: Damage = ""


Ahead = Mapping[str, bytes]
"""Parts that were read before they were asked for, by their keys."""


def fetch(project: Project, manifest: Manifest, parts: Sequence[Part], ahead: Ahead | None = None) -> Iterator[Fetched]:
    """The parts in order, in bounded memory. The chunks of one are to be read before the next is asked for."""
    for wave in waves(parts):
        if len(wave) == 1 and wave[0].uploaded_bytes > WAVE:
            yield from _through_a_file(project, manifest, wave[0])
            continue
        keys = [part_key(project.layout, manifest, part) for part in wave]
        known = {key: ahead[key] for key in keys if ahead and key in ahead}
        found = get_many(project.store, (key for key in keys if key not in known))
        for key, part in zip(keys, wave, strict=True):
            data = known[key] if key in known else found[key].data if key in found else None
            yield _checked(part, data)


def waves(parts: Iterable[Part]) -> Iterator[Sequence[Part]]:
    """The parts in order, as many at a time as may be in memory; a larger one is alone."""
    wave: list[Part] = []
    size = 0
    for part in parts:
        if wave and (size + part.uploaded_bytes > WAVE or len(wave) == _MOST):
            yield wave
            wave, size = [], 0
        wave.append(part)
        size += part.uploaded_bytes
    if wave:
        yield wave


def _checked(part: Part, data: bytes | None) -> Fetched:
    if data is None:
        return Fetched(part, (), "missing")
    # Whoever appends to a part of 0.2.x, which has no checksum, changes its size at least.
    right = hashlib.sha256(data).hexdigest() == part.sha256 if part.sha256 else len(data) == part.uploaded_bytes
    return Fetched(part, (data,)) if right else Fetched(part, (), "corrupt")


def _through_a_file(project: Project, manifest: Manifest, part: Part) -> Iterator[Fetched]:
    digest, size = hashlib.sha256(), 0

    def take(chunk: bytes) -> None:
        nonlocal size
        digest.update(chunk)
        size += len(chunk)

    with tempfile.TemporaryDirectory(prefix="tracecraft-") as folder:
        path = Path(folder) / "part"
        try:
            project.store.download(part_key(project.layout, manifest, part), path, take)
        except NotFound:
            yield Fetched(part, (), "missing")
            return
        file = open(path, "rb")  # noqa: SIM115 (closed below)
    # Its name is gone by now: a reader that is killed, or that reads no further, leaves nothing behind.
    with file:
        right = digest.hexdigest() == part.sha256 if part.sha256 else size == part.uploaded_bytes
        yield Fetched(part, iter(partial(file.read, _CHUNK), b"")) if right else Fetched(part, (), "corrupt")
