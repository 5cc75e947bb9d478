"""Writers on a store that loses answers, held against a model that knows what really happened.

The store refuses, loses, delays and repeats conditional writes as Hypothesis pleases. Whatever it does: who owns the
record is never told that it lost, who lost is never told that it won, and no addition is lost or made twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tracecraft import records
from tracecraft.clock import Pace
from tracecraft.errors import Conflict, Unknown, Unreachable
from tracecraft.records import Stored, Versioned, commit, decode, encode, read, untracked
from tracecraft.store import Guarantees, Info, Object, OnChunk, Store
from tracecraft.store.memory import MemoryStore

T = TypeVar("T")
KEY = "counter"
PATIENCE = 0.01

Fault = Literal["none", "lost before", "lost after", "refused after", "refused before", "no connection", "late"]
FAULTS: list[Fault] = ["none", "lost before", "lost after", "refused after", "refused before", "no connection", "late"]


class Counter(Versioned):
    """A number, and everybody who ever added 1 to it."""

    value: int = 0
    added: list[str] = msgspec.field(default_factory=list)


@dataclass
class FaultyStore:
    """A memory store behind a network. `faults` says what happens to the next writes, `rivals` who comes in between."""

    inner: MemoryStore
    faults: list[Fault] = field(default_factory=list)
    rivals: list[Callable[[], None] | None] = field(default_factory=list)
    blind_looks: int = 0
    bodies: list[bytes] = field(default_factory=list)
    late: list[Callable[[], object]] = field(default_factory=list)
    url: str = "memory://faulty"
    remote: bool = False
    guarantees: Guarantees | None = None

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        self.bodies.append(data)
        fault = self.faults.pop(0) if self.faults else "none"
        rival = self.rivals.pop(0) if self.rivals else None

        def write() -> str:
            return self.inner.put(key, data, if_absent=if_absent, if_match=if_match)

        if fault == "none":
            return write()
        if fault == "late":
            self.late.append(write)
        if fault in ("lost after", "refused after"):
            _quietly(write)
        if rival:
            rival()
        if fault == "no connection":
            raise Unreachable("no connection")
        if fault in ("refused before", "refused after"):
            raise Conflict(key)
        raise Unknown("no answer")

    def arrive(self) -> None:
        """What was under way arrives."""
        while self.late:
            _quietly(self.late.pop(0))

    def get(self, key: str) -> Object:
        if self.blind_looks:
            self.blind_looks -= 1
            raise Unreachable("no answer")
        self.arrive()
        return self.inner.get(key)

    def get_if_changed(self, key: str, etag: str) -> Object | None:
        return self.inner.get_if_changed(key, etag)

    def head(self, key: str) -> Info:
        return self.inner.head(key)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Info]:
        return self.inner.list(prefix, after=after)

    def upload(self, key: str, path: Path, on_chunk: OnChunk) -> str:
        return self.inner.upload(key, path, on_chunk)

    def download(self, key: str, path: Path, on_chunk: OnChunk) -> Info:
        return self.inner.download(key, path, on_chunk)

    def exposed(self, key: str) -> str:
        return self.inner.exposed(key)

    def pace(self) -> Pace:
        return self.inner.pace()

    def together(self, calls: Sequence[Callable[[], T]]) -> Sequence[T]:
        return self.inner.together(calls)

    def facts(self) -> dict[str, Any]:
        return {}

    def recall(self, facts: Mapping[str, Any]) -> None:
        pass


def _quietly(write: Callable[[], object]) -> None:
    with suppress(Conflict):
        write()


@pytest.fixture(autouse=True, scope="module")
def no_waiting() -> Iterator[None]:
    """The pauses between attempts are for networks."""
    patch = pytest.MonkeyPatch()
    patch.setattr(records, "pause", lambda attempt, throttled=False: 0.0)
    yield
    patch.undo()


class Writers(RuleBasedStateMachine):
    """Adds to one counter, through faults, while others add too."""

    def __init__(self) -> None:
        super().__init__()
        self.store = FaultyStore(MemoryStore())
        self.names = 0
        self.won: set[str] = set()
        self.lost: set[str] = set()
        self.unsure: set[str] = set()
        self.blind = 0
        self.held: Stored[Counter] | None = None

    @initialize()
    def nothing_yet(self) -> None:
        self.held = None

    def name(self) -> str:
        self.names += 1
        return f"w{self.names}"

    def next(self, name: str, base: Stored[Counter] | None) -> Counter:
        if base is None:
            return Counter(value=1, added=[name])
        return Counter(value=base.record.value + 1, added=[*base.record.added, name])

    def rival(self) -> None:
        """Another writer of the same program, whose answers arrive."""
        base = read(self.store.inner, KEY, Counter)
        name = self.name()
        commit(self.store.inner, KEY, self.next(name, base), base)
        self.won.add(name)

    @rule()
    def look(self) -> None:
        self.held = read(self.store.inner, KEY, Counter)

    @rule(
        faults=st.lists(st.sampled_from(FAULTS), max_size=9),
        rivals=st.lists(st.booleans(), max_size=4),
        blind=st.integers(0, 3),
        stale=st.booleans(),
    )
    def add(self, faults: list[Fault], rivals: list[bool], blind: int, stale: bool) -> None:
        base = self.held if stale else read(self.store.inner, KEY, Counter)
        name = self.name()
        self.store.faults = list(faults)
        self.store.rivals = [self.rival if one else None for one in rivals]
        self.store.blind_looks = blind
        self.store.bodies.clear()
        try:
            done = commit(self.store, KEY, self.next(name, base), base, patience=PATIENCE)
        except Conflict:
            self.lost.add(name)
        except Unknown:
            self.unsure.add(name)
        except Unreachable:
            self.lost.add(name)
        else:
            self.won.add(name)
            if done.etag != records.SUPERSEDED:
                there = read(self.store.inner, KEY, Counter)
                assert there is not None
                assert (there.etag, there.record.id) == (done.etag, done.record.id)
        assert len(set(self.store.bodies)) == 1
        self.store.faults, self.store.rivals, self.store.blind_looks = [], [], 0

    @rule()
    def what_was_under_way_arrives(self) -> None:
        self.store.arrive()

    @invariant()
    def nobody_was_told_wrongly(self) -> None:
        there = read(self.store.inner, KEY, Counter)
        added = there.record.added if there else []
        assert len(added) == len(set(added)), "an addition was made twice"
        assert (there.record.value if there else 0) == len(added)
        assert self.won <= set(added), "who was told that it won is not there"
        assert not self.lost & set(added), "who was told that it lost is there"
        assert set(added) <= self.won | self.unsure


Writers.TestCase.settings = settings(max_examples=150, stateful_step_count=25, suppress_health_check=list(HealthCheck))
TestWriters = Writers.TestCase


def faulty(*faults: Fault, times: int = 1) -> FaultyStore:
    return FaultyStore(MemoryStore(), faults=[*faults] * times)


def test_a_late_create_meets_its_own_repetition() -> None:
    store = faulty("late")
    done = commit(store, KEY, Counter(value=1), None)
    store.arrive()
    assert store.get(KEY).info.etag == done.etag


def test_a_store_without_answers_costs_no_more_than_the_patience_given() -> None:
    store = faulty("lost before", times=10_000)
    began = time.monotonic()
    with pytest.raises(Unknown):
        commit(store, KEY, Counter(), None, patience=0.2)
    assert time.monotonic() - began >= 0.2
    assert len(set(store.bodies)) == 1


def test_no_connection_at_all_is_not_an_unknown_outcome() -> None:
    store = faulty("no connection", times=10_000)
    with pytest.raises(Unreachable):
        commit(store, KEY, Counter(), None, patience=0.2)


def test_no_connection_after_a_lost_answer_is() -> None:
    store = faulty("no connection", times=10_000)
    store.faults.insert(0, "lost before")
    with pytest.raises(Unknown):
        commit(store, KEY, Counter(), None, patience=0.2)


def test_no_connection_after_a_refusal_that_nobody_could_look_into_is() -> None:
    store = faulty("no connection", times=10_000)
    store.faults.insert(0, "refused after")
    store.blind_looks = 10_000
    with pytest.raises(Unknown):
        commit(store, KEY, Counter(), None, patience=0.2)


def test_a_blind_write_over_an_unanswered_one_leaves_it_open() -> None:
    store = faulty("lost after")

    def overwrite() -> None:
        store.inner.put(KEY, encode(untracked(Counter(value=9))))

    store.rivals = [overwrite]
    with pytest.raises(Unknown):
        commit(store, KEY, Counter(), None)
    assert decode(KEY, store.get(KEY).data, Counter).value == 9


def test_an_unanswered_swap_of_what_is_gone_leaves_it_open() -> None:
    store = faulty()
    base = commit(store, KEY, Counter(), None)
    store.faults = ["lost after"]
    store.rivals = [lambda: store.inner.delete(KEY)]
    with pytest.raises(Unknown):
        commit(store, KEY, Counter(value=1), base)


def test_the_faulty_store_is_a_store() -> None:
    def of(store: Store) -> str:
        return store.url

    assert of(faulty()) == "memory://faulty"
