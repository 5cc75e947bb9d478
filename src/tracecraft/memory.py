"""Shared memory: one JSON value per key, compare-and-swap, and every version kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft import clock, layout
from tracecraft.errors import Conflict, Missing, Unreachable, UnsafeStore, UsageError, VersionMismatch
from tracecraft.records import (
    UNTRACKED,
    Record,
    Stored,
    Versioned,
    check_size,
    commit,
    encode,
    read,
    read_many,
    untracked,
)
from tracecraft.store import Items, put_many

if TYPE_CHECKING:
    from tracecraft.project import Project
    from tracecraft.store import Info

_ROUNDS = 1000
_NEWEST = 50
INLINE = 1024
"""Bytes of a value, as JSON, that its event repeats; of a larger one the event names the version in the history."""
DEEPEST = 100
"""Levels of nesting a value may have: every reader of the bucket must be able to parse it."""


class Value(Versioned):
    """The present value of a key. A deleted key has a value of null and says so."""

    value: Any
    set_by: str = ""
    set_at: str = ""
    deleted: bool = False
    run: str = ""


class PastValue(Record):
    """One version in a key's history. `version_id` is the `id` the value carried."""

    key: str = ""
    value: Any = None
    set_by: str = ""
    set_at: str = ""
    deleted: bool = False
    version_id: str = ""
    run: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A memory key with its value; `version` is what `if_version` takes."""

    key: str
    value: Any
    version: str
    set_by: str
    set_at: str


class Memory:
    """The shared memory of a project."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def get(self, key: str) -> Entry:
        """The value of a key. Raises Missing."""
        found = self._read(key)
        if found is None or found.record.deleted:
            raise _missing(key)
        return _entry(key, found)

    def set(self, key: str, value: Any, *, if_absent: bool = False, if_version: str | None = None) -> Entry:
        """Set a key, whatever it was; or only if it has no value, or only if it is still at a version.

        Raises VersionMismatch when the condition does not hold, Unknown when the store did not say.
        """
        return self._write(layout.memory_key(key), value, if_absent=if_absent, if_version=if_version)

    def delete(self, key: str) -> None:
        """Delete a key, whatever its value is by then; its history stays.

        Raises Missing, also where somebody else deleted it first, and Unknown when the store did not say.
        """

        def tombstone(found: Stored[Value] | None) -> Value:
            if found is None or found.record.deleted:
                raise _missing(key)
            return self._new_value(None, deleted=True)

        key = layout.readable_memory_key(key)
        try:
            # A swap, for a tombstone that is sent again after a lost answer must not bury a value set since.
            self._replace(key, tombstone)
        except UnsafeStore:
            self._put(key, self._new_value(None, deleted=True))

    def update(self, key: str, change: Callable[[Any], Any]) -> Entry:
        """Set a key to `change(value)`, again on the newer value whenever somebody else was faster.

        `change` gets None where there is no value, and may be called often. Raises Unknown when the store did not say
        whether a swap was applied: look before you repeat.
        """

        def changed(found: Stored[Value] | None) -> Value:
            present = None if found is None or found.record.deleted else found.record.value
            return self._new_value(change(present), deleted=False)

        return _entry(key, self._replace(layout.memory_key(key), changed))

    def list(self, prefix: str = "") -> Sequence[Entry]:
        """Keys with their values, those that begin with `prefix`, in order."""
        found = self._present(prefix)
        return [_entry(key, found[key]) for key in sorted(found) if not found[key].record.deleted]

    def keys(self) -> Sequence[str]:
        """Every key that ever had a value, deleted ones too, in order."""
        return sorted(self._present(""))

    def history(self, key: str, *, limit: int | None = None) -> Sequence[PastValue]:
        """Versions of a key, oldest first; with `limit` the newest so many. Raises Missing when there are none."""
        project, paths = self._project, self._version_paths(key)
        chosen = paths[-limit:] if limit else paths
        past = read_many(project.store, chosen, PastValue, project.broken)
        versions = [past[path].record for path in chosen if path in past]
        present = self._read(key)
        if present is not None and not _is_recorded(present, versions):
            versions.append(_past(key, present.record))
        if not versions:
            raise Missing(f"no history of {key}", hint="tracecraft memory list", key=key)
        return versions

    def unrecorded(self, key: str) -> PastValue | None:
        """The present value as a version, if its writer was stopped before it could record it."""
        newest = self._version_paths(key)[-_NEWEST:]
        past = read_many(self._project.store, newest, PastValue, self._project.broken)
        present = self._read(key)
        if present is None or _is_recorded(present, [item.record for item in past.values()]):
            return None
        return _past(key, present.record)

    def history_item(self, key: str, past: PastValue) -> tuple[str, bytes]:
        """A version, ready to be written into the history."""
        leaf = layout.now_leaf(self._project.agent, layout.new_short_id())
        return self._project.layout.memory_version(key, leaf), encode(past)

    def watch(self, pattern: str = "*") -> Iterator[Entry | str]:
        """Changes of keys that match a pattern (`build.*`), as they happen, for ever; a deleted key comes as its name.

        Several changes between two looks come as the last of them.
        """
        pace = self._project.store.pace()
        known = self._etags(pattern)
        while True:
            pace.sleep()
            listed = self._etags(pattern)
            changed = [path for path, etag in listed.items() if known.get(path) != etag]
            known = listed
            if not changed:
                continue
            pace.changed()
            found = read_many(self._project.store, changed, Value, self._project.broken)
            for path, item in found.items():
                key = self._project.layout.memory_key_of(path) or path
                yield key if item.record.deleted else _entry(key, item)

    def _present(self, prefix: str) -> dict[str, Stored[Value]]:
        """What is stored under the keys that begin with `prefix`; broken records are left out."""
        wanted = [(key, info) for key, info in self._listed() if key.startswith(prefix)]
        keys = {info.key: key for key, info in wanted}
        found = self._project.read_listed([info for _, info in wanted], Value)
        return {keys[path]: item for path, item in found.items()}

    def _etags(self, pattern: str) -> dict[str, str]:
        """The etags of the objects whose keys match a pattern."""
        return {info.key: info.etag for key, info in self._listed() if fnmatchcase(key, pattern)}

    def _listed(self) -> Iterator[tuple[str, Info]]:
        """Every memory key that has an object, with what is known of it."""
        for info in self._project.store.list(self._project.layout.memory_root()):
            key = self._project.layout.memory_key_of(info.key)
            if key is not None:
                yield key, info

    def _version_paths(self, key: str) -> Sequence[str]:
        """Keys of a memory key's versions, oldest first by the store's time; what lies deeper belongs to other keys."""
        folder = self._project.layout.memory_history(key)
        infos = [
            info
            for info in self._project.store.list(folder)
            if "/" not in (leaf := info.key[len(folder) :]) and layout.parse_leaf(leaf) is not None
        ]
        return [info.key for info in sorted(infos, key=lambda info: (info.modified, info.key))]

    def _read(self, key: str) -> Stored[Value] | None:
        return read(self._project.store, self._project.layout.memory(key), Value)

    def _new_value(self, value: Any, *, deleted: bool) -> Value:
        check_depth(value)
        project = self._project
        record = Value(value=value, set_by=project.agent, set_at=clock.now(), deleted=deleted, run=project.run)
        check_size(record)
        return record

    def _replace(self, key: str, successor: Callable[[Stored[Value] | None], Value]) -> Stored[Value]:
        """Swap what is there for what it is to become, again on what is newer whenever somebody else was faster."""
        for attempt in range(_ROUNDS):
            found = self._read(key)
            record = successor(found)
            try:
                written = commit(self._project.store, self._project.layout.memory(key), record, found)
            except Conflict:
                time.sleep(clock.jitter(0, 0.002 * min(attempt + 1, 50)))
                continue
            self._follow(key, written.record)
            return written
        raise Unreachable(f"{key} keeps changing", hint="repeat the command")

    def _write(self, key: str, value: Any, *, if_absent: bool, if_version: str | None) -> Entry:
        record = self._new_value(value, deleted=False)
        path, store = self._project.layout.memory(key), self._project.store
        if not if_absent and if_version is None:
            return self._put(key, record)
        try:
            written = self._create(key, record) if if_absent else commit(store, path, record, if_version)
        except Conflict:
            raise self._mismatch(key, if_version) from None
        self._follow(key, written.record)
        return _entry(key, written)

    def _put(self, key: str, record: Value) -> Entry:
        """Write a value over whatever is there, all in one wave."""
        record = untracked(record)
        store, path = self._project.store, self._project.layout.memory(key)
        etags = put_many(store, [(path, encode(record)), *self._after(key, record)])
        return Entry(key, record.value, etags[0], record.set_by, record.set_at)

    def _create(self, key: str, record: Value) -> Stored[Value]:
        """A create; a deleted key counts as absent and is replaced by a swap."""
        store, path = self._project.store, self._project.layout.memory(key)
        try:
            return commit(store, path, record, None)
        except Conflict:
            there = self._read(key)
            if there is None or not there.record.deleted:
                raise
            return commit(store, path, record, there)

    def _mismatch(self, key: str, expected: str | None) -> VersionMismatch:
        there = self._read(key)
        exists = there is not None and not there.record.deleted
        version = there.etag if there is not None and exists else None
        wanted = f"not at version {expected} any more" if expected else "there already"
        return VersionMismatch(
            f"{key} is {wanted}" if exists or not expected else f"{key} has no value any more",
            hint=f"tracecraft memory get {key} --with-meta, then decide again",
            key=key,
            version=version,
        )

    def _follow(self, key: str, record: Value) -> None:
        done = f"{key} is deleted" if record.deleted else f"{key} is set"
        self._project.write_after(self._after(key, record), done=done)

    def _after(self, key: str, record: Value) -> Items:
        """The history entry, the event and the heartbeat that go with a version."""
        names = self._project.layout
        kind = "memory.delete" if record.deleted else "memory.set"
        path, version = self.history_item(key, _past(key, record))
        return [
            (path, version),
            self._project.events.item(kind, key, about=names.memory(key), **_told(record, path)),
            *self._project.agents.beat_item(),
        ]


def parse_value(text: str, *, as_json: bool = False) -> Any:
    """What a value given as text means: a JSON object or array is one; everything else is the text itself.

    With `as_json` all of it is JSON (`1.10` becomes a number). Raises UsageError.
    """
    if not as_json and text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        if not as_json:
            return text
        raise UsageError(f"not JSON: {error}", hint="mend it, or leave --as-json out to store the text") from None
    except RecursionError:
        raise _too_deep() from None
    return value if as_json or isinstance(value, dict | list) else text


def check_depth(value: Any) -> None:
    """Raises UsageError when a value is nested too deeply for others to read."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> UsageError:
    return UsageError(
        f"the JSON is nested deeper than {DEEPEST} levels", hint="flatten it, or upload it as an artifact"
    )


def _missing(key: str) -> Missing:
    return Missing(f"no memory key {key}", hint="tracecraft memory list", key=key)


def _past(key: str, record: Value) -> PastValue:
    return PastValue(
        key=key,
        value=record.value,
        set_by=record.set_by,
        set_at=record.set_at,
        deleted=record.deleted,
        version_id=record.id,
        run=record.run,
    )


def _told(record: Value, version_path: str) -> dict[str, Any]:
    """What the event of a version says of it, so that a replay needs no object but the event for small values."""
    told: dict[str, Any] = {"version": record.id}
    if record.ids and record.ids[-1] != UNTRACKED:
        told["after"] = record.ids[-1]
    if record.deleted:
        return told
    if len(msgspec.json.encode(record.value)) <= INLINE:
        return {**told, "value": record.value}
    return {**told, "history": version_path}


def _is_recorded(present: Stored[Value], versions: Sequence[PastValue]) -> bool:
    """Whether a value is among the versions: by its id, or for 0.2.x, which has none, by who set it when."""
    record = present.record
    if record.id:
        return any(version.version_id == record.id for version in versions)
    return any((version.set_by, version.set_at) == (record.set_by, record.set_at) for version in versions)


def _entry(key: str, item: Stored[Value]) -> Entry:
    return Entry(key, item.record.value, item.etag, item.record.set_by, item.record.set_at)
