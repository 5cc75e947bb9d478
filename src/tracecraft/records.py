"""Typed records as JSON objects in a store, and the one place that settles who won a conditional write.

A record keeps the fields it does not know, so other writers' additions survive a rewrite. A `Versioned` record
also carries the id of its version and the ids of the versions before it: with them anyone can tell whether a
write of theirs that was never answered took effect.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, Generic, TypeVar

import msgspec

from tracecraft import clock
from tracecraft.errors import BrokenRecord, Conflict, Denied, NotFound, Unknown, Unreachable, UnsafeStore, UsageError
from tracecraft.store import Object, Store, get_many, pause

CHAIN = 32
"""How many version ids before its own a record carries."""

UNTRACKED = "?"
"""Stands in `ids` for versions whose ids are not known: a blind write, or one by a program that keeps no ids."""

PATIENCE = 60.0
"""Seconds a command that does not wait tries to get a conditional write answered."""

LARGEST = 16 << 20
"""Bytes of the largest value or message; larger things are artifacts."""

SUPERSEDED = "superseded"
"""Stands for the etag of a version that took effect and was replaced before its writer knew."""

UNSEEN = "unseen"
_QUICK_ATTEMPTS = 6
_EXTRA = "__extra__"


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A JSON object. `extra` holds the fields this program does not know; they are written back as they were."""

    extra: dict[str, Any] = msgspec.field(default_factory=dict, name=_EXTRA)


class Versioned(Record, kw_only=True):
    """A record changed by conditional writes. `id` names this version, `ids` the versions before it, oldest first."""

    id: str = ""
    ids: list[str] = msgspec.field(default_factory=list)


_NOUNS = {"Record": "record", "Versioned": "record", "PastValue": "memory version", "Value": "memory value"}

R = TypeVar("R", bound=Record)
V = TypeVar("V", bound=Versioned)


class Stored(msgspec.Struct, Generic[R], frozen=True):
    """A record as it stands in the store. `modified` is the store's time of it; None if it was only just written."""

    key: str
    record: R
    etag: str
    modified: float | None


def new_id() -> str:
    """A random id of 16 hexadecimal digits."""
    return os.urandom(8).hex()


def encode(record: Record) -> bytes:
    """The record as indented JSON, known fields first. Raises UsageError for text that is not Unicode."""
    fields = _fields_of(record)
    try:
        data = msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n"
    except UnicodeEncodeError:
        raise UsageError(
            "the text is not valid UTF-8", hint="encode it as UTF-8, or upload it as an artifact"
        ) from None
    except RecursionError:
        raise UsageError("the JSON is nested too deeply", hint="flatten it, or upload it as an artifact") from None
    return data


def check_size(record: Record) -> None:
    """Raises UsageError when what a caller wants stored is larger than a record should be."""
    size = len(encode(record))
    if size > LARGEST:
        raise UsageError(
            f"{size} bytes are too much for one record (at most {LARGEST})", hint="tracecraft artifact upload"
        )


def decode(key: str, data: bytes, kind: type[R]) -> R:
    """The record in `data`. Raises BrokenRecord naming the key."""
    try:
        fields = msgspec.json.decode(data, type=dict[str, Any])
        fields.pop(_EXTRA, None)
        record = msgspec.convert(fields, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenRecord(
            f"{key} is not a valid {_NOUNS.get(kind.__name__, kind.__name__.lower())}: {error}",
            hint="look at the object in the store; mend it or delete it",
            key=key,
        ) from None
    _keep_unknown(record, fields)
    return record


def _fields_of(record: Record) -> dict[str, Any]:
    """A record as JSON has it: what it knows, then what it does not, in records inside it too."""
    fields = msgspec.to_builtins(record)
    extra = fields.pop(_EXTRA, {})
    for name, inner in _inner_records(record):
        fields[name] = _fields_of(inner) if isinstance(inner, Record) else [_fields_of(item) for item in inner]
    return {**fields, **extra}


def _keep_unknown(record: Record, fields: dict[str, Any]) -> None:
    known = record.__struct_encode_fields__
    record.extra = {name: value for name, value in fields.items() if name not in known}
    for name, inner in _inner_records(record):
        if isinstance(inner, Record):
            _keep_unknown(inner, fields[name])
        else:
            for item, its_fields in zip(inner, fields[name], strict=True):
                _keep_unknown(item, its_fields)


def _inner_records(record: Record) -> Iterator[tuple[str, Record | list[Record]]]:
    """Records and lists of records that are fields of a record, by the names they have in JSON."""
    for attribute, name in zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True):
        value = getattr(record, attribute)
        if isinstance(value, Record) or (isinstance(value, list) and value and isinstance(value[0], Record)):
            yield name, value


def stored(found: Object, kind: type[R]) -> Stored[R]:
    return Stored(found.info.key, decode(found.info.key, found.data, kind), found.info.etag, found.info.modified)


def read(store: Store, key: str, kind: type[R]) -> Stored[R] | None:
    """The record under `key`, or None. Raises BrokenRecord."""
    try:
        return stored(store.get(key), kind)
    except NotFound:
        return None


def read_many(
    store: Store, keys: Iterable[str], kind: type[R], broken: list[BrokenRecord] | None = None
) -> dict[str, Stored[R]]:
    """The records that exist among `keys`, in one wave. Broken ones are added to `broken`, or raised without it."""
    return decode_many(get_many(store, keys).values(), kind, broken)


def decode_many(
    objects: Iterable[Object], kind: type[R], broken: list[BrokenRecord] | None = None
) -> dict[str, Stored[R]]:
    """The records in objects that were read already, by key."""
    found: dict[str, Stored[R]] = {}
    for item in objects:
        try:
            found[item.info.key] = stored(item, kind)
        except BrokenRecord as error:
            if broken is None:
                raise
            if all(known.fields != error.fields for known in broken):
                broken.append(error)
    return found


def successor(record: V, base: Stored[V] | str | None) -> V:
    """The record as the next version after `base`: a stored record, a bare etag, or None for the first version."""
    if base is None:
        ids: list[str] = []
    elif isinstance(base, str) or not base.record.id:
        ids = [UNTRACKED]
    else:
        ids = [*base.record.ids, base.record.id][-CHAIN:]
    return msgspec.structs.replace(record, id=new_id(), ids=ids)


def untracked(record: V) -> V:
    """The record as a version written without looking at the one before it."""
    return msgspec.structs.replace(record, id=new_id(), ids=[UNTRACKED])


def commit(store: Store, key: str, record: V, base: Stored[V] | str | None, *, patience: float = PATIENCE) -> Stored[V]:
    """Write `record` as the version after `base` if nobody else did, and say truly who won.

    `base` is what the caller read (swap), its etag alone (swap), or None (create). Returns the stored record when this
    write took effect, even if others have changed the object since. Raises Conflict when it certainly did not and never
    will, and Unknown when that cannot be told.

    A 412, a 409, a 5xx, a timeout or a lost connection never decides by itself: the object is read, and the ids in it
    tell. Every attempt sends the same bytes.
    """
    ours = successor(record, base)
    data = encode(ours)
    deadline = clock.Deadline(patience)
    unanswered = refused = False
    for attempt in count():
        throttled = False
        try:
            return Stored(key, ours, _put(store, key, data, base), None)
        except Conflict:
            refused = True
        except Unknown as error:
            unanswered, throttled = True, error.throttled
        except Unreachable:
            if not unanswered and not refused and (attempt >= _QUICK_ATTEMPTS or deadline.passed):
                raise
        now_there = _look(store, key, unanswered)
        won = _as_ours(now_there, ours)
        if won is not None:
            return won
        if _changed(now_there, base) and (not unanswered or _reaches(now_there, base)):
            raise Conflict(key)
        if _changed(now_there, base) or deadline.passed:
            raise Unknown(f"{key}: the store did not say whether the write was applied", key=key)
        if not unanswered and now_there != UNSEEN and attempt >= _QUICK_ATTEMPTS:
            raise UnsafeStore(f"the store keeps refusing to write {key} though its condition holds", key=key)
        time.sleep(min(pause(min(attempt, 5), throttled=throttled), deadline.left or 0))
    raise AssertionError("the loop ends by returning or raising")


def _put(store: Store, key: str, data: bytes, base: Stored[V] | str | None) -> str:
    if base is None:
        return store.put(key, data, if_absent=True)
    return store.put(key, data, if_match=_etag(base))


def _etag(base: Stored[V] | str) -> str:
    return base if isinstance(base, str) else base.etag


def _look(store: Store, key: str, unanswered: bool) -> Stored[Versioned] | str | None:
    """What is there now: a record, None, or UNSEEN when the store does not say."""
    try:
        return read(store, key, Versioned)
    except (Unreachable, Denied):
        return UNSEEN
    except BrokenRecord as error:
        if unanswered:
            raise Unknown(f"{error.message}, so whether the write was applied cannot be told", key=key) from error
        raise


def _changed(now_there: Stored[Versioned] | str | None, base: Stored[V] | str | None) -> bool:
    """Whether the object is no longer what the write was based on, so that the write can never be applied any more."""
    if isinstance(now_there, str):
        return False
    if now_there is None or base is None:
        return now_there is not None or base is not None
    return now_there.etag != _etag(base)


def _reaches(now_there: Stored[Versioned] | str | None, base: Stored[V] | str | None) -> bool:
    """Whether the ids carried by what is there go back without a gap to the version the write was based on."""
    if not isinstance(now_there, Stored) or isinstance(base, str):
        return False
    line = now_there.record.ids
    if base is None:
        return bool(now_there.record.id) and UNTRACKED not in line and len(line) < CHAIN
    return bool(base.record.id) and base.record.id in line


def _as_ours(now_there: Stored[Versioned] | str | None, ours: V) -> Stored[V] | None:
    """Our write as stored, if what is there is it or came after it."""
    if not isinstance(now_there, Stored) or ours.id not in (now_there.record.id, *now_there.record.ids):
        return None
    return Stored(now_there.key, ours, now_there.etag if now_there.record.id == ours.id else SUPERSEDED, None)
