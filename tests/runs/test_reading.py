"""A run is read from its record and its fragments: every line once, in order, also while its writers merge."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest

from tests.runs.bulk import make_run, put_run
from tests.support.world import World
from tracecraft.errors import BrokenRecord, Missing
from tracecraft.project import Project
from tracecraft.records import commit, read
from tracecraft.runs import fragments, log
from tracecraft.runs.fragments import Gap
from tracecraft.runs.log import Known
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.reading import lines, raw_lines, read_run
from tracecraft.store import Info, Object
from tracecraft.store.memory import MemoryStore

RUN = "train-00000001"


@pytest.fixture
def project(folder_world: World) -> Project:
    project = folder_world.open()
    commit(project.store, project.layout.run_meta(RUN), RunMeta(run=RUN, name="train", status="completed"), None)
    return project


def point(number: int, at: float | None = None) -> Known:
    return log.Metrics(id=number, at=float(number) if at is None else at, values={"x": float(number)}, step=number)


def put(project: Project, writer: str, first: int, last: int, at: Callable[[int], float] = float) -> None:
    data = b"".join(log.encode(point(number, at(number))) for number in range(first, last + 1))
    project.store.put(project.layout.fragment(RUN, writer, first, last), data)


def ids(project: Project) -> list[tuple[str, int]]:
    return [(writer, line.id) for writer, line in lines(project, RUN)]


def test_lines_that_come_twice_count_once(project: Project) -> None:
    put(project, "w", 1, 3)
    put(project, "w", 3, 4)
    put(project, "w", 2, 8)
    put(project, "w", 9, 10)
    assert ids(project) == [("w", number) for number in range(1, 11)]
    view = read_run(project, RUN)
    assert view.gaps == []
    assert view.summary.metrics["x"].count == 10


def test_writers_are_merged_by_time_and_keep_their_order(project: Project) -> None:
    put(project, "a", 1, 3, lambda n: 10.0 * n)
    put(project, "b", 1, 4, lambda n: 5.0 if n == 3 else 9.0 + n)
    assert ids(project) == [("a", 1), ("b", 1), ("b", 2), ("b", 3), ("b", 4), ("a", 2), ("a", 3)]
    found = list(raw_lines(project, RUN))
    assert [msgspec.json.decode(line)["id"] for line in found] == [1, 1, 2, 3, 4, 2, 3]
    assert all(line.endswith(b"\n") for line in found)


def test_gaps_are_reported(project: Project) -> None:
    put(project, "a", 3, 4)
    put(project, "a", 7, 8)
    data = log.encode(point(1))
    project.store.put(project.layout.fragment(RUN, "b", 1, 5), data)
    view = read_run(project, RUN)
    assert view.gaps == [Gap("a", 1, 2), Gap("a", 5, 6), Gap("b", 2, 5)]
    assert view.summary.metrics["x"].count == 5


def test_what_is_no_line_is_named_and_the_rest_is_read(project: Project) -> None:
    good = log.encode(point(1))
    project.store.put(project.layout.fragment(RUN, "w", 1, 3), good + b"{broken\n\xff\n" + b'{"type":"metrics"}\n')
    project.store.put(project.layout.run_logs(RUN) + "w/notes.txt", b"hello")
    project.store.put(project.layout.run_logs(RUN) + "w/9-3.jsonl", b"hello")
    view = read_run(project, RUN)
    assert view.summary.metrics["x"].last == 1
    assert view.gaps == [Gap("w", 2, 3)]
    assert [text.split(" ")[0] for text in view.broken] == [project.layout.fragment(RUN, "w", 1, 3)]


def test_lines_of_types_that_are_not_known_are_kept(project: Project) -> None:
    data = b'{"type":"thought","id":1,"at":5.5,"agent":"a","deep":true}\n'
    project.store.put(project.layout.fragment(RUN, "w", 1, 1), data)
    [(writer, line)] = lines(project, RUN)
    assert (writer, line.id, line.at, line.agent) == ("w", 1, 5.5, "a")
    assert list(raw_lines(project, RUN)) == [data]
    assert read_run(project, RUN).gaps == []


def test_a_large_log_goes_through_a_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "_IN_MEMORY", 1000)
    monkeypatch.setattr(fragments, "_SMALLEST_CHUNK", 7)
    monkeypatch.setattr(fragments, "WAVE", 500)
    for writer in ("a", "b", "c"):
        put(project, writer, 1, 40)
        put(project, writer, 41, 60)
    assert ids(project) == [(writer, number) for number in range(1, 61) for writer in "abc"]


def test_a_run_that_is_not_there(project: Project) -> None:
    for run in ("other", "..", "a/b"):
        with pytest.raises((Missing, Exception)) as caught:
            read_run(project, run)
        assert getattr(caught.value, "exit_code", None) in (2, 4)
    stored = read(project.store, project.layout.run_meta(RUN), RunMeta)
    assert stored is not None
    commit(project.store, stored.key, msgspec.structs.replace(stored.record, deleted_at="2026-01-01"), stored)
    with pytest.raises(Missing):
        read_run(project, RUN)


def test_a_broken_record(project: Project) -> None:
    project.store.put(project.layout.run_meta("bad-1"), b"{")
    with pytest.raises(BrokenRecord):
        read_run(project, "bad-1")


class MergingStore(MemoryStore):
    """Lists and gets while a writer merges its fragments: what was listed is gone when it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.between: list[Callable[[], None]] = []

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Info]:
        found = list(super().list(prefix, after=after))
        if self.between and "/log/" in prefix:
            self.between.pop(0)()
        return iter(found)

    def get(self, key: str) -> Object:
        return super().get(key)


def merge(project: Project, parts: Sequence[tuple[int, int]]) -> None:
    put(project, "w", parts[0][0], parts[-1][1])
    for first, last in parts:
        project.store.delete(project.layout.fragment(RUN, "w", first, last))


def test_fragments_that_are_merged_while_they_are_read(project: Project) -> None:
    store = MergingStore()
    moved = Project(store, "demo", "tester", local=project.local)
    commit(store, moved.layout.run_meta(RUN), RunMeta(run=RUN, status="completed"), None)
    for first in range(1, 100, 10):
        put(moved, "w", first, first + 9)
    store.between = [
        lambda: merge(moved, [(first, first + 9) for first in range(1, 50, 10)]),
        lambda: merge(moved, [(1, 50), (51, 60), (61, 70)]),
    ]
    view = read_run(moved, RUN)
    assert view.gaps == []
    assert view.broken == []
    assert view.summary.metrics["x"].count == 100


def test_a_fragment_that_never_comes_back_is_a_gap(project: Project) -> None:
    class Losing(MergingStore):
        def get(self, key: str) -> Object:
            if key.endswith("0000000002-0000000002.jsonl"):
                self.delete("nothing")
                from tracecraft.errors import NotFound

                raise NotFound(key)
            return super().get(key)

    store = Losing()
    lost = Project(store, "demo", "tester", local=project.local)
    commit(store, lost.layout.run_meta(RUN), RunMeta(run=RUN, status="completed"), None)
    for number in (1, 2, 3):
        put(lost, "w", number, number)
    view = read_run(lost, RUN)
    assert view.gaps == [Gap("w", 2, 2)]
    assert len(view.broken) == 1


def test_reading_beside_a_writer_that_merges(world: World) -> None:
    """Whatever a reader sees beside the writer is whole: all lines that were there before it began, none twice."""
    project, reader = world.open("writer"), world.open("reader")
    made = make_run(1, points=1)
    put_run(project, made)
    run = made.meta.run
    written, done = [0], threading.Event()

    def write() -> None:
        parts: list[tuple[int, int]] = []
        for number in range(1, 61):
            key = project.layout.fragment(run, "w", number, number)
            project.store.put(key, log.encode(point(number)))
            parts.append((number, number))
            if number % 6 == 0:
                data = b"".join(log.encode(point(n)) for n in range(parts[0][0], number + 1))
                project.store.put(project.layout.fragment(run, "w", parts[0][0], number), data)
                for first, last in parts:
                    project.store.delete(project.layout.fragment(run, "w", first, last))
                parts = [(parts[0][0], number)] if number % 12 else []
            written[0] = number
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    looks = 0
    while not done.is_set() or not looks:
        before = written[0]
        found = [line.id for writer_, line in lines(reader, run) if writer_ == "w"]
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= before
        looks += 1
    writer.join(60)
    assert [line.id for writer_, line in lines(reader, run) if writer_ == "w"] == list(range(1, 61))
