"""Follows sessions: what a harness writes is in the store a moment later, for hundreds of sessions in one process.

Nothing is requested of the store while nothing is written. A store that is away is tried again for as long as it
takes; nothing is skipped, since every flush begins where the manifest ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tracecraft import clock
from tracecraft.errors import StoreError, TracecraftError
from tracecraft.sessions import registry
from tracecraft.sessions.harness import Found, Harness, Machine
from tracecraft.sessions.locating import Wanted, discover, locate
from tracecraft.sessions.mirror import INTERVAL, Ended, Flushed, SessionMirror
from tracecraft.sessions.redactor import Redactor
from tracecraft.sessions.watching import Stop, Watch
from tracecraft.store import put_many

if TYPE_CHECKING:
    from tracecraft.project import Project

_WORKERS = 8
_LOOK_ROUND = 15.0
"""Seconds between two searches for new sessions where no event told of one."""
_LOOK_AGAIN = 2.0
_GREW_LATELY = 60.0
_BEAT_EVERY = 10.0
_FAREWELL = 20.0
"""Seconds in which the last flush is tried when the store is away."""
_BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite appends to a database's name for the files beside it."""

OnFlush = Callable[[Found, Flushed], None]


class _Followed:
    """One session that is followed."""

    def __init__(self, harness: Harness, mirror: SessionMirror) -> None:
        self.harness = harness
        self.mirror = mirror
        self.paths: set[Path] = set()
        self.modified = -1.0
        self.is_due = True
        self.not_before = 0.0
        self.grew_at = float("-inf")
        self.failures = 0
        self.gone = ""

    @property
    def found(self) -> Found:
        return self.mirror.found


class Mirrorer:
    """Mirrors the wanted sessions until it is told to stop. `on_flush` hears of every flush that mirrored something."""

    def __init__(
        self,
        project: Project,
        wanted: Wanted,
        machine: Machine,
        redactor: Redactor,
        *,
        interval: float = INTERVAL,
        least: int = 1,
        on_flush: OnFlush,
    ) -> None:
        self._project = project
        self._wanted = wanted
        self._machine = machine
        self._redactor = redactor
        self._interval = interval
        self._least = least
        self._on_flush = on_flush
        self._sessions: dict[tuple[str, str], _Followed] = {}
        self._left: set[tuple[str, str]] = set()
        self._searched_at = float("-inf")
        self._beat_at = float("-inf")
        self._away = False

    def run(self, stop: Stop) -> None:
        """Follow until `stop` is asked for or no session is left; then mirror what is still new and note the end.

        Raises Missing when there is no session to begin with, Denied when the store refuses.
        """
        self._watch = Watch(stop)
        for found in locate(self._wanted, self._machine, self._project.say):
            self._follow(found)
        with ThreadPoolExecutor(_WORKERS) as pool:
            while not stop.asked and (self._sessions or self._wanted.every):
                self._look_for_new()
                self._flush_due(pool)
                self._beat()
                self._mark(self._watch.wait(self._pause()))
            self._finish(pool)

    def _look_for_new(self) -> None:
        """Follow sessions that began since, where every one is wanted."""
        if not self._wanted.every or clock.elapsed() - self._searched_at < _LOOK_ROUND:
            return
        self._searched_at = clock.elapsed()
        for found in discover(self._wanted, self._machine, lambda _: None):
            key = (found.harness, found.session_id)
            if key not in self._sessions and key not in self._left:
                self._follow(found)
            elif key in self._sessions and found.modified > self._sessions[key].modified:
                self._sessions[key].is_due = True
                self._sessions[key].modified = found.modified

    def _follow(self, found: Found) -> None:
        harness = registry.harness(found.harness)
        mirror = SessionMirror(self._project, harness, found, self._redactor, heeds_end=True)
        followed = _Followed(harness, mirror)
        followed.modified = found.modified
        self._sessions[found.harness, found.session_id] = followed
        self._watch_sources(followed)

    def _watch_sources(self, followed: _Followed) -> None:
        """Watch what the session consists of by now, and the folders in which more of it may come to lie."""
        with suppress(OSError):
            followed.paths = {source.path for source in followed.harness.sources(followed.found)}
        for path in followed.paths:
            self._watch.add(path.parent)
        beside = followed.found.path.with_suffix("")
        for folder in (beside, *(path.parent for path in followed.paths)):
            if folder.is_dir():
                self._watch.add(folder)

    def _mark(self, touched: Iterable[Path]) -> None:
        """Note which sessions may have something new."""
        if self._watch.glances:
            for followed in self._sessions.values():
                followed.is_due |= self._watch.changed(followed.paths)
            return
        by_path: dict[Path, list[_Followed]] = {}
        for followed in self._sessions.values():
            for path in followed.paths:
                by_path.setdefault(path, []).append(followed)
        for path in {_database(path) for path in touched}:
            concerned = by_path.get(path, [])
            if len(concerned) == 1:
                concerned[0].is_due = True
            else:
                self._look_soon(path, concerned)

    def _look_soon(self, path: Path, concerned: Sequence[_Followed]) -> None:
        """A file of many sessions changed, or one that nobody knows: it may be of a session, or a new one."""
        if self._wanted.every:
            self._searched_at = min(self._searched_at, clock.elapsed() - _LOOK_ROUND + _LOOK_AGAIN)
        for followed in concerned or self._sessions.values():
            if concerned or path.is_relative_to(followed.found.path.with_suffix("")):
                followed.is_due = True

    def _flush_due(self, pool: ThreadPoolExecutor) -> None:
        now = clock.elapsed()
        due = [followed for followed in self._sessions.values() if followed.is_due and followed.not_before <= now]
        for followed, outcome in zip(due, pool.map(self._flush, due), strict=True):
            if outcome:
                self._on_flush(followed.found, outcome)
        for key, followed in list(self._sessions.items()):
            if followed.gone:
                del self._sessions[key]
                self._left.add(key)
                self._project.say(f"{followed.found.session_id} is followed no longer: {followed.gone}")

    def _flush(self, followed: _Followed) -> Flushed | None:
        """Flush one session, and say when it is to be looked at again."""
        followed.is_due = False
        try:
            flushed = followed.mirror.flush(least=self._least)
        except StoreError as error:
            self._store_is_away(followed, error)
            return None
        except Ended:
            followed.gone = "its mirror was stopped"
            return None
        except OSError as error:
            self._source_is_away(followed, error)
            return None
        except TracecraftError as error:
            followed.gone = error.message
            return None
        self._store_is_back(followed)
        followed.not_before = clock.elapsed() + self._interval
        if flushed:
            followed.grew_at = clock.elapsed()
        self._watch_sources(followed)
        return flushed

    def _store_is_away(self, followed: _Followed, error: StoreError) -> None:
        followed.failures += 1
        followed.is_due = True
        followed.not_before = clock.elapsed() + min(30.0, 2.0 ** min(followed.failures, 5)) * clock.jitter(0.5, 1.0)
        if not self._away:
            self._away = True
            self._project.say(f"the store is away, and is tried again until it is back: {error.message}")

    def _store_is_back(self, followed: _Followed) -> None:
        followed.failures = 0
        if self._away:
            self._away = False
            self._project.say("the store is back")

    def _source_is_away(self, followed: _Followed, error: OSError) -> None:
        """A transcript that was removed stays as it was mirrored; one that cannot be read now may be later."""
        if not followed.found.path.exists():
            followed.gone = "its transcript was removed"
            return
        followed.failures += 1
        followed.is_due = True
        followed.not_before = clock.elapsed() + min(30.0, 0.5 * 2 ** min(followed.failures, 6))

    def _pause(self) -> float:
        """Seconds until something is to be done though nothing happens."""
        now = clock.elapsed()
        waiting = [followed.not_before - now for followed in self._sessions.values() if followed.is_due]
        search = [self._searched_at + _LOOK_ROUND - now] if self._wanted.every else []
        return max(0.0, min([_BEAT_EVERY, *waiting, *search]))

    def _beat(self) -> None:
        """Keep the agent alive while one of its harnesses is, or its transcript grows."""
        now = clock.elapsed()
        if now - self._beat_at < _BEAT_EVERY or not any(self._is_alive(known) for known in self._sessions.values()):
            return
        self._beat_at = now
        with suppress(StoreError):
            put_many(self._project.store, self._project.agents.beat_item())

    def _is_alive(self, followed: _Followed) -> bool:
        if clock.elapsed() - followed.grew_at < _GREW_LATELY:
            return True
        return followed.harness.process(self._machine, followed.found) is not None

    def _finish(self, pool: ThreadPoolExecutor) -> None:
        """Mirror what is left and note the end of every session."""
        outcomes = pool.map(self._end, self._sessions.values())
        failures = [error for error in outcomes if error is not None]
        if failures:
            raise failures[0]

    def _end(self, followed: _Followed) -> TracecraftError | None:
        deadline = clock.Deadline(_FAREWELL)
        while True:
            try:
                flushed = followed.mirror.flush(ended=True)
            except StoreError as error:
                if deadline.passed:
                    return error
                clock.Pace(1.0, 5.0).sleep(deadline.left)
            except (Ended, OSError, TracecraftError):
                return None
            else:
                if flushed:
                    self._on_flush(followed.found, flushed)
                return None


def _database(path: Path) -> Path:
    """The database that a file beside it belongs to; any other path as it is."""
    for ending in _BESIDE:
        if path.name.endswith(ending):
            return path.with_name(path.name.removesuffix(ending))
    return path
