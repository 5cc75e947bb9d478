"""Objects that this machine has read before, so that a listing of thousands costs only what changed since.

An object is taken from here only under the etag that the store has just listed it with. The file may be deleted at any
time, and a failure of it is never an error: everything is read from the store then. Nothing is decided by it: whoever
changes an object reads it from the store.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from zlib import crc32

from tracecraft import clock
from tracecraft.store import Info, Object, Store, get_many

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

WORTHWHILE = 128
"""Fewer objects than this are read in a wave or two, which costs no more than opening the cache."""
LARGE = 1 << 20
"""Bytes that are worth it, however few objects they are."""

_SLICE = 1000
"""Objects that are read and kept at a time, so that many who begin together share the work."""
_PATIENCE = 10.0
"""Seconds to wait for another process that reads a slice."""
_BUSY = 0.5
"""Seconds to wait for another process that writes the cache."""
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_SCHEMA = "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, etag TEXT, checksum INTEGER, data BLOB)"


class ObjectCache:
    """The objects of one project on one store."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "objects.sqlite"

    def get_many(self, store: Store, listed: Sequence[Info]) -> dict[str, Object]:
        """The objects of a listing that still exist, read where they are not known."""
        if len(listed) < WORTHWHILE and sum(info.size for info in listed) < LARGE:
            return get_many(store, (info.key for info in listed))
        found: dict[str, Object] = {}
        for start in range(0, len(listed), _SLICE):
            found |= self._slice(store, listed[start : start + _SLICE])
        return found

    def _slice(self, store: Store, listed: Sequence[Info]) -> dict[str, Object]:
        known = self._known(listed)
        if len(listed) - len(known) < WORTHWHILE:
            return self._read(store, listed, known)
        with self._alone():
            return self._read(store, listed, self._known(listed))

    def _read(self, store: Store, listed: Sequence[Info], known: Mapping[str, Object]) -> dict[str, Object]:
        """What is known, and the others in one wave."""
        fresh = get_many(store, (info.key for info in listed if info.key not in known))
        if fresh:
            self._keep(fresh, listed)
        return {**known, **fresh}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process of this machine at a time reads what all of them want; who waited long reads along with it."""
        try:
            lock = os.open(self._path.with_suffix(".lock"), _OPEN, 0o600)
        except OSError:
            yield
            return
        try:
            patience = clock.Deadline(_PATIENCE)
            while not _locked(lock) and not patience.passed:
                time.sleep(clock.jitter(0.02, 0.1))
            yield
        finally:
            os.close(lock)

    def _known(self, listed: Sequence[Info]) -> dict[str, Object]:
        """Those that the cache has under the etags listed."""
        infos = {info.key: info for info in listed}

        def look(database: Connection) -> dict[str, Object]:
            rows = database.execute(
                "SELECT key, etag, checksum, data FROM objects WHERE key BETWEEN ? AND ?", (min(infos), max(infos))
            )
            return {
                key: Object(data, infos[key])
                for key, etag, checksum, data in rows
                if key in infos and infos[key].etag == etag and isinstance(data, bytes) and crc32(data) == checksum
            }

        return self._try(look) or {}

    def _keep(self, fresh: Mapping[str, Object], listed: Sequence[Info]) -> None:
        """Remember what was read, and forget what lay between and is listed no more."""
        keys = {info.key for info in listed}
        rows = [(key, item.info.etag, crc32(item.data), item.data) for key, item in fresh.items()]

        def write(database: Connection) -> None:
            between = database.execute("SELECT key FROM objects WHERE key BETWEEN ? AND ?", (min(keys), max(keys)))
            gone = [(key,) for (key,) in between if key not in keys]
            database.executemany("REPLACE INTO objects VALUES (?, ?, ?, ?)", rows)
            if len(gone) > len(keys):
                database.executemany("DELETE FROM objects WHERE key = ?", gone)
            database.commit()

        self._try(write)

    def _try(self, work: Callable[[Connection], T]) -> T | None:
        """Do something with the database; None where that cannot be done. A broken one is removed."""
        import sqlite3  # only where there is much to list

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # What agents wrote is nobody else's business.
            os.close(os.open(self._path, _OPEN, 0o600))
            with closing(sqlite3.connect(self._path, timeout=_BUSY)) as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")
                database.execute(_SCHEMA)
                return work(database)
        except (sqlite3.OperationalError, OSError):
            return None  # busy, no space, no permission: the next command may have more luck
        except sqlite3.DatabaseError:
            for ending in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            return None


def _locked(descriptor: int) -> bool:
    """Whether the lock is held now, or cannot be had on this file system at all."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
