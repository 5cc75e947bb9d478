"""What a record keeps, and what is said of an object that is none."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecraft.errors import BrokenRecord, Conflict, TracecraftError, UnsafeStore, UsageError
from tracecraft.records import (
    CHAIN,
    LARGEST,
    UNTRACKED,
    Record,
    Stored,
    Versioned,
    check_size,
    commit,
    decode,
    encode,
    read,
    read_many,
    successor,
    untracked,
)
from tracecraft.store.memory import MemoryStore


class Inner(Record):
    note: str = ""


class Task(Versioned):
    """A record with a field of every shape."""

    title: str
    count: int = 0
    tags: list[str] = msgspec.field(default_factory=list)
    inner: Inner | None = None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip
KNOWN = set(Task.__struct_encode_fields__)
FIELDS = st.dictionaries(st.text().filter(lambda name: name not in KNOWN and name != "__extra__"), JSON, max_size=6)

BROKEN = [
    b"",
    b" ",
    b"{",
    b"nonsense",
    b"null",
    b"[]",
    b'"text"',
    b"1",
    b"{}",
    b'{"title": 1}',
    b'{"title": null}',
    b'{"title": "t", "count": "many"}',
    b'{"title": "t", "count": 1.5}',
    b'{"title": "t", "tags": {}}',
    b'{"title": "t", "inner": 3}',
    b'{"title": "t", "id": 3}',
    b'{"title": "t", "ids": "abc"}',
    b'{"title": "t", "ids": [1]}',
    b'{"title": "t"} trailing',
    b'{"title": "t", "other": NaN}',
    b'{"title": "\xff"}',
    b'\xff\xfe{"title": "t"}',
    b'{"title": "t", "other": "\\ud800"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"title": "t", "other": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    b"\0" * 10,
]


@given(FIELDS, FIELDS)
def test_unknown_fields_survive_a_rewrite(fields: dict[str, Any], inside: dict[str, Any]) -> None:
    inside.pop("note", None)
    data = json.dumps({**fields, "title": "t", "inner": {"note": "n", **inside}}).encode()
    task = decode("k", data, Task)
    task.count = 7
    again = json.loads(encode(task))
    assert again == {**fields, "title": "t", "count": 7, "inner": {"note": "n", **inside}}


@given(st.text(), st.integers(-(2**63), 2**63 - 1), st.lists(st.text()))
def test_known_fields_go_there_and_back(title: str, count: int, tags: list[str]) -> None:
    task = Task(title=title, count=count, tags=tags, inner=Inner(note=title))
    assert decode("k", encode(task), Task) == task


def test_a_record_can_be_read_by_people() -> None:
    data = encode(Task(title="ü"))
    assert data.decode() == '{\n  "title": "ü"\n}\n'


@pytest.mark.parametrize("number", [2**64, 10**40, 1e308, 5e-324])
def test_numbers_beyond_64_bits_are_kept_or_refused(number: float) -> None:
    data = json.dumps({"title": "t", "big": number}).encode()
    try:
        again = json.loads(encode(decode("k", data, Task)))
    except (BrokenRecord, UsageError):
        return
    assert again["big"] == number


@pytest.mark.parametrize("data", BROKEN, ids=lambda data: repr(data[:30]))
def test_a_broken_object_is_named(data: bytes) -> None:
    store = MemoryStore()
    store.put("demo/steps/a/claim.json", data)
    with pytest.raises(BrokenRecord) as told:
        read(store, "demo/steps/a/claim.json", Task)
    assert told.value.fields["key"] == "demo/steps/a/claim.json"
    assert "demo/steps/a/claim.json" in told.value.message
    assert told.value.hint
    assert len(told.value.message) < 500


@given(st.binary())
def test_any_bytes_are_a_record_or_broken(data: bytes) -> None:
    with suppress(BrokenRecord):
        decode("k", data, Versioned)


def test_deep_json_is_kept_or_refused_in_words() -> None:
    for depth in (10, 100, 500, 900, 1000, 1500, 5000):
        data = b'{"title": "t", "deep": ' + b"[" * depth + b"]" * depth + b"}"
        try:
            assert json.loads(encode(decode("k", data, Task)))["title"] == "t"
        except (BrokenRecord, UsageError):
            assert depth > 100


def test_broken_ones_among_many_are_collected_or_raised() -> None:
    store = MemoryStore()
    store.put("good", encode(Task(title="t")))
    store.put("bad", b"{")
    broken: list[BrokenRecord] = []
    found = read_many(store, ["bad", "good", "absent"], Task, broken)
    assert list(found) == ["good"]
    assert [error.fields["key"] for error in broken] == ["bad"]
    with pytest.raises(BrokenRecord):
        read_many(store, ["bad", "good"], Task)


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(UsageError):
        encode(Task(title="\ud800"))
    with pytest.raises(UsageError):
        encode(Task(title="t", extra={"a": ["\udcff"]}))


def test_a_record_has_a_largest_size() -> None:
    check_size(Task(title="x" * (LARGEST - 1000)))
    with pytest.raises(UsageError):
        check_size(Task(title="x" * LARGEST))


def test_the_chain_of_ids() -> None:
    store = MemoryStore()
    current = commit(store, "a", Task(title="0"), None)
    history = [current.record.id]
    for number in range(1, CHAIN + 10):
        current = commit(store, "a", Task(title=str(number)), current)
        assert current.record.ids == history[-CHAIN:]
        history.append(current.record.id)
    assert len(current.record.ids) == CHAIN
    assert len(set(history)) == CHAIN + 10
    assert read(store, "a", Task) == Stored("a", current.record, current.etag, store.head("a").modified)


def test_versions_that_are_not_known_stand_in_the_chain_as_such() -> None:
    first = Stored("a", successor(Task(title="1"), None), "e", None)
    foreign = Stored("a", Task(title="by a program that keeps no ids"), "e", None)
    assert first.record.ids == []
    assert successor(Task(title="2"), first).ids == [first.record.id]
    assert successor(Task(title="2"), foreign).ids == [UNTRACKED]
    assert successor(Task(title="2"), "etag").ids == [UNTRACKED]
    assert untracked(Task(title="2", id="old", ids=["older"])).ids == [UNTRACKED]


def test_equal_content_is_never_equal_bytes() -> None:
    bodies = {encode(successor(Task(title="same"), None)) for _ in range(100)}
    bodies |= {encode(untracked(Task(title="same"))) for _ in range(100)}
    assert len(bodies) == 200


def test_what_a_plain_store_answers() -> None:
    store = MemoryStore()
    first = commit(store, "a", Task(title="1"), None)
    with pytest.raises(Conflict):
        commit(store, "a", Task(title="2"), None)
    second = commit(store, "a", Task(title="2"), first)
    with pytest.raises(Conflict):
        commit(store, "a", Task(title="3"), first)
    with pytest.raises(Conflict):
        commit(store, "b", Task(title="3"), first)
    assert commit(store, "a", Task(title="3"), second.etag).record.title == "3"


def test_a_broken_object_in_the_way_is_named_by_a_write_too() -> None:
    store = MemoryStore()
    store.put("a", b"{")
    with pytest.raises(BrokenRecord):
        commit(store, "a", Task(title="1"), None)
    assert store.get("a").data == b"{"


def test_errors_of_this_floor_carry_their_exit_codes() -> None:
    assert issubclass(BrokenRecord, TracecraftError)
    assert (BrokenRecord.exit_code, UnsafeStore.exit_code, UsageError.exit_code) == (1, 7, 2)
