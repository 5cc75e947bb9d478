"""gc on events: what goes and what stays, and a timeline that reads the same before and after."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.primitives.team import AgingStore, Team
from tracecraft import folding, segments
from tracecraft.errors import Unknown, Unreachable, UsageError
from tracecraft.gc import DAY, Limits
from tracecraft.layout import event_time
from tracecraft.localstate import LocalState
from tracecraft.project import Project
from tracecraft.store import Object
from tracecraft.timeline import Entry, Filter

TODAY = 20_000
"""A day, counted since 1970."""
NOON = (TODAY + 0.5) * DAY


class History(AgingStore):
    """A store whose objects have the time that a test gives them, and which counts what is read and deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.deletes: list[str] = []

    def at(self, key: str, modified: float, data: bytes) -> None:
        self.put(key, data)
        with self._lock:
            self._objects[key] = Object(data, self._objects[key].info._replace(modified=modified))

    def get(self, key: str) -> Object:
        self.reads.append(key)
        return super().get(key)

    def delete(self, key: str) -> None:
        self.deletes.append(key)
        super().delete(key)

    def names(self, part: str = "/events/") -> list[str]:
        with self._lock:
            return sorted(key for key in self._objects if part in key)


@pytest.fixture
def store() -> History:
    return History()


@pytest.fixture
def ann(store: History, tmp_path: Path) -> Project:
    return agent(store, tmp_path, "ann")


def agent(store: History, root: Path, name: str) -> Project:
    return Project(store, "demo", name, local=LocalState(store.url, "demo", root / name))


_numbers = itertools.count()


def plant(
    project: Project, modified: float, *, ahead: float = 0.0, kind: str = "claim", who: str = "bob", **more: Any
) -> str:
    """An event as a writer whose clock is so many seconds ahead of the store's left it; returns its key."""
    store = project.store
    assert isinstance(store, History)
    number = next(_numbers)
    at = event_time(int((modified + ahead) * 1e9))
    key = f"{project.layout.events()}{at}~{kind}~{who}~s{number % 7}~{number:08x}.json"
    event = {"type": kind, "agent": who, "subject": f"s{number % 7}", "at": at, "fence": number % 3, **more}
    store.at(key, modified, project_bytes(event))
    return key


def project_bytes(event: dict[str, Any]) -> bytes:
    import json

    return json.dumps(event, indent=2, ensure_ascii=bool(event["fence"])).encode()


def views(project: Project) -> list[list[Entry]]:
    """The timeline as seen through all kinds of filters."""
    wanted = [
        Filter(),
        Filter(agent="eve"),
        Filter(type="claim"),
        Filter(subject="s3"),
        *(Filter(since=(TODAY - days) * DAY, until=(TODAY - days + 2.3) * DAY) for days in range(0, 14, 3)),
    ]
    seen = [project.events.timeline(one, limit=limit) for one in wanted for limit in (None, 1, 7, 50)]
    return [*seen, *([entry for batch in project.events.batches(one) for entry in batch] for one in wanted)]


def random_history(project: Project, seed: int) -> None:
    """Two weeks, with clocks that are off, texts of all kinds, two broken events and some equal times."""
    dice = random.Random(seed)
    for _ in range(dice.randint(50, 150)):
        plant(
            project,
            NOON - dice.choice((dice.uniform(0, 14 * DAY), float(dice.randint(0, 14)) * DAY)),
            ahead=dice.choice((0.0, 0.0, 0.0, 3 * DAY, -40 * DAY, 30.0)),
            kind=dice.choice(("claim", "claim.refused", "memory.set")),
            who=dice.choice(("bob", "eve")),
            note=dice.choice(("", "two\nlines \u2028 \x7f", "ünï", "x" * dice.randint(0, 5000))),
            number=dice.choice((1.10, 10**40, 1e300, None)),
        )
    store = project.store
    assert isinstance(store, History)
    for broken in (b"\xff", b'{"type": "claim"'):
        store.at(plant(project, NOON - 9 * DAY), NOON - 9 * DAY, broken)


@pytest.mark.parametrize("seed", range(10))
def test_the_timeline_is_the_same_before_and_after(seed: int, store: History, ann: Project) -> None:
    random_history(ann, seed)
    before = views(ann)
    for days in (0, 1, 3):
        done = ann.gc.collect(only=["events"], now=NOON + days * DAY)["events"]
        assert done.objects == len([key for key in store.deletes if "/events/" in key])
        assert views_after_gc(ann) == before
        store.deletes.clear()
    assert len(store.names()) < len(before[0]), "nothing was folded"


def views_after_gc(project: Project) -> list[list[Entry]]:
    """The same without the events that gc itself left, which are new."""
    for entry in project.events.timeline(Filter(type="gc")):
        project.store.delete(entry.key)
    return views(project)


def test_a_survey_tells_what_would_go_and_changes_nothing(store: History, ann: Project) -> None:
    random_history(ann, 1)
    store.written.clear()
    there = store.names("")
    told = ann.gc.survey(now=NOON)["events"]
    assert (store.names(""), store.written, store.deletes) == (there, [], [])
    done = ann.gc.collect(now=NOON)["events"]
    # Which events are broken is only known once they are read.
    assert told.objects == done.objects + done.kept["broken"]
    assert (told.oldest, told.newest) == (done.oldest, done.newest)
    assert done.objects > 0
    assert done.oldest is not None
    assert done.newest is not None
    assert done.oldest < done.newest < (TODAY - 7) * DAY
    assert done.counts["segments"] == len(store.names("/_segments/"))


def test_only_whole_days_go_and_never_yesterday_or_today(store: History, ann: Project) -> None:
    stay = [plant(ann, NOON - days * DAY) for days in (0.0, 0.4, 1.0, 1.4)]
    goes = plant(ann, NOON - 1.6 * DAY)
    ann.gc.collect(Limits(events=0), now=NOON)
    assert set(store.names()) >= set(stay)
    assert goes not in store.names()


def test_both_the_stores_day_and_the_writers_must_be_old(store: History, ann: Project) -> None:
    stay = [plant(ann, NOON - 20 * DAY, ahead=20 * DAY), plant(ann, NOON, ahead=-20 * DAY)]
    ann.gc.collect(now=NOON)
    assert set(store.names()) >= set(stay)
    assert not store.names("/_segments/")


def test_a_broken_or_huge_event_stays_and_is_named(store: History, ann: Project) -> None:
    broken, huge, fine = (plant(ann, NOON - 20 * DAY) for _ in range(3))
    store.at(broken, NOON - 20 * DAY, b"{")
    store.at(huge, NOON - 20 * DAY, store.get(huge).data + b" " * folding.LARGEST)
    done = ann.gc.collect(now=NOON)["events"]
    assert (done.objects, done.kept) == (1, {"broken": 1, "large": 1})
    assert [error.fields["key"] for error in ann.broken] == [broken]
    assert fine not in store.names()
    assert {broken, huge} < set(store.names())


def test_an_event_in_two_places_counts_once(store: History, ann: Project) -> None:
    for days in range(9, 12):
        plant(ann, NOON - days * DAY)
        plant(ann, NOON - days * DAY)
    before, singles = views(ann), {key: store.get(key) for key in store.names()}
    ann.gc.collect(now=NOON)
    first = store.names("/_segments/")
    for key, found in singles.items():
        store.at(key, found.info.modified, found.data)
    assert views_after_gc(ann) == before
    for key in first:
        store.at(ann.layout.event_segment(ann.layout.event_segment_day(key) or 0), NOON, store.get(key).data)
    assert views(ann) == before


def test_a_run_that_was_stopped_is_finished_without_a_second_copy(store: History, ann: Project) -> None:
    keys = [plant(ann, NOON - 9 * DAY) for _ in range(5)]
    singles = {key: store.get(key) for key in keys}
    ann.gc.collect(now=NOON)
    for key in keys[2:]:
        store.at(key, singles[key].info.modified, singles[key].data)
    late = plant(ann, NOON - 9 * DAY)
    assert ann.gc.collect(now=NOON)["events"].objects == 4
    lines = b"".join(store.get(key).data for key in store.names("/_segments/")).splitlines()
    assert len(lines) == 6
    assert not {*keys, late} & set(store.names())


def test_segments_of_other_days_are_not_read(store: History, ann: Project) -> None:
    for days in range(9, 30):
        plant(ann, NOON - days * DAY)
    for _ in range(10):
        plant(ann, NOON - DAY)
    ann.gc.collect(now=NOON)

    def segments_read(wanted: Filter, limit: int | None) -> list[int]:
        store.reads.clear()
        ann.events.timeline(wanted, limit=limit)
        return sorted(TODAY - (ann.layout.event_segment_day(key) or 0) for key in store.reads if "/_segments/" in key)

    assert segments_read(Filter(), 10) == []
    assert segments_read(Filter(), 13) == [9, 10]
    assert segments_read(Filter(since=(TODAY - 11) * DAY), None) == [9, 10, 11]
    assert segments_read(Filter(since=(TODAY - 20) * DAY, until=(TODAY - 18.5) * DAY), None) == [19, 20]
    assert segments_read(Filter(until=(TODAY - 27.6) * DAY), 1) == [28, 29]


def test_a_segment_is_never_larger_than_it_may_be(
    store: History, ann: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "MOST_BYTES", folding.LARGEST + 20_000)
    monkeypatch.setattr(folding, "MOST_EVENTS", 30)
    for number in range(100):
        plant(ann, NOON - (9 + number % 2) * DAY, note="x" * 10 * number)
    before = views(ann)
    ann.gc.collect(now=NOON)
    found = [store.get(key).data for key in store.names("/_segments/")]
    assert len(found) >= 4
    assert max(map(len, found)) < 25_000
    assert max(data.count(b"\n") for data in found) <= 30
    assert views_after_gc(ann) == before


class Forgetful(History):
    """A store that does not answer writes of segments: the first so many are lost, the later ones applied."""

    lost = 0

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        if "/_segments/" not in key:
            return super().put(key, data, if_absent=if_absent, if_match=if_match)
        self.lost -= 1
        if self.lost < 0:
            super().put(key, data, if_absent=if_absent)
        raise Unknown("no answer")


def test_a_segment_whose_answer_was_lost_is_looked_for(tmp_path: Path) -> None:
    store = Forgetful()
    store.lost = 2
    ann = agent(store, tmp_path, "ann")
    plant(ann, NOON - 9 * DAY)
    before = views(ann)
    ann.gc.collect(now=NOON)
    assert len(store.names("/_segments/")) == 1
    assert views_after_gc(ann) == before


def test_without_a_segment_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_TRIES", 2)
    store = Forgetful()
    store.lost = 1000
    ann = agent(store, tmp_path, "ann")
    key = plant(ann, NOON - 9 * DAY)
    with pytest.raises(Unreachable):
        ann.gc.collect(now=NOON)
    assert store.deletes == []
    assert key in store.names()


def test_a_damaged_segment_is_named_and_the_rest_of_it_shown(store: History, ann: Project) -> None:
    for _ in range(3):
        plant(ann, NOON - 9 * DAY)
    before = ann.events.timeline()
    ann.gc.collect(now=NOON)
    (key,) = store.names("/_segments/")
    first, second, third = store.get(key).data.splitlines(keepends=True)
    other_day = second.replace(str(NOON - 9 * DAY).encode(), str(NOON).encode())
    outside = second.replace(b'"name":"', b'"name":"../')
    store.at(key, NOON, first + b"\xff\n" + b"[" * 100_000 + b"\n" + other_day + outside + third[:-20])
    assert ann.events.timeline(Filter(type="claim")) == before[:1]
    assert [error.fields["key"] for error in ann.broken] == [key]


def test_an_event_that_goes_between_listing_and_reading_is_found(tmp_path: Path) -> None:
    class Racing(History):
        """Somebody else folds between the LIST and the first read of an event."""

        fold: Callable[[], object] | None = None

        def get(self, key: str) -> Object:
            fold, self.fold = self.fold, None
            if fold and "/events/" in key:
                fold()
            return super().get(key)

    store = Racing()
    ann, bob = agent(store, tmp_path, "ann"), agent(store, tmp_path, "bob")
    for days in (9, 10):
        plant(ann, NOON - days * DAY)
    before = ann.events.timeline()
    for limit in (None, 5):
        store.fold = lambda: bob.gc.collect(only=["events"], now=NOON)
        assert ann.events.timeline(Filter(type="claim"), limit=limit) == before


def test_a_follower_sees_each_event_once_while_events_are_folded(store: History, ann: Project, tmp_path: Path) -> None:
    now = time.time()
    old = [plant(ann, now - days * DAY) for days in range(20, 9, -1)]
    following = ann.events.follow(Filter(type="claim"))
    assert [entry.key for entry in next(following)] == old
    stop, bob = threading.Event(), agent(store, tmp_path, "bob")

    def keep_folding() -> None:
        while not stop.wait(0.01):
            plant(bob, now - 9 * DAY, kind="renew")
            bob.gc.collect(only=["events"])

    folding_on = threading.Thread(target=keep_folding)
    folding_on.start()
    try:
        for _ in range(20):
            key = plant(ann, time.time())
            batches = (batch for batch in following if batch)
            assert [entry.key for entry in next(batches)] == [key]
    finally:
        stop.set()
        folding_on.join()
    assert not set(old) & set(store.names())


def test_the_events_of_gc_are_told_with_counts_and_only_where_something_went(store: History, ann: Project) -> None:
    ann.gc.collect(now=NOON)
    assert ann.events.timeline() == []
    plant(ann, NOON - 9 * DAY)
    ann.gc.collect(now=NOON)
    (told,) = ann.events.timeline(Filter(type="gc"))
    assert told.body is not None
    assert (told.subject, told.body.extra) == ("demo", {"events": 1, "messages": 0, "agents": 0})


@pytest.mark.parametrize("limits", [Limits(events=-1), Limits(messages=-1), Limits(agents=299)])
def test_limits_that_make_no_sense_are_refused(limits: Limits, team: Team) -> None:
    ann = team.agent("ann")
    for act in (ann.gc.survey, ann.gc.collect):
        with pytest.raises(UsageError):
            act(limits)
    assert team.store.written == []
