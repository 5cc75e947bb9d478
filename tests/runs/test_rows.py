"""Lists of runs come from the index: newest entries, merged over writers, with a status that is told when read."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from tests.runs.bulk import entries_of, make_run, put_folded, put_loose, put_run
from tests.support.world import World
from tracecraft.agents import Agent
from tracecraft.project import Project
from tracecraft.records import encode as encode_record
from tracecraft.runs import compacting, index
from tracecraft.runs.compacting import compact
from tracecraft.runs.index import IndexEntry
from tracecraft.runs.meta import Head
from tracecraft.runs.reading import read_run
from tracecraft.runs.reindexing import reindex
from tracecraft.runs.rows import Row, read_rows
from tracecraft.runs.summary import Metric, Summary


@pytest.fixture
def project(folder_world: World) -> Project:
    return folder_world.open()


def rows(project: Project) -> dict[str, Row]:
    return {row.run: row for row in read_rows(project).rows}


def put_entry(project: Project, entry: IndexEntry, *, age: float = 0.0) -> None:
    """A loose entry that was last written so many seconds ago by the store's clock."""
    key = project.layout.run_entry(entry.run, entry.writer)
    project.store.put(key, index.encode(entry))
    make_old(project, key, age)


def make_old(project: Project, key: str, age: float) -> None:
    then = time.time() - age
    os.utime(Path(project.store.url.removeprefix("file://")) / key, (then, then))


def entry(writer: str, at: str, *, run: str = "r-1", value: float = 1.0, **head: object) -> IndexEntry:
    fields = msgspec.convert(head, Head)
    return IndexEntry(run, writer, 1, at, False, fields, Summary(metrics={"x": Metric(value, value, count=1)}, lines=1))


def test_writers_of_a_run_are_one_row(project: Project) -> None:
    put_entry(project, entry("a", "2026-01-01T10:00:00", value=1, name="n", status="running"))
    put_entry(project, entry("b", "2026-01-01T11:00:00", value=2, name="n", status="completed"))
    row = rows(project)["r-1"]
    assert row.status == "completed"
    assert row.summary.metrics["x"].last == 2
    assert row.summary.lines == 2


def test_an_entry_in_two_places_counts_once_and_the_newest_of_it(project: Project) -> None:
    old, new = entry("a", "2026-01-01T10:00:00", value=1), entry("a", "2026-01-01T10:00:05", value=2)
    new.rev = 2
    project.store.put(project.layout.run_index_segment(), index.encode(new) + index.encode(old))
    project.store.put(project.layout.run_index_segment(), index.encode(new))
    put_entry(project, old)
    row = rows(project)["r-1"]
    assert (row.summary.lines, row.summary.metrics["x"].last) == (1, 2)


def test_the_last_entry_of_a_writer_counts_though_it_was_counted_anew(project: Project) -> None:
    """Somebody else sent what a dead process left, a day after its entry had been folded."""
    silent, last = entry("a", "2026-01-01T10:00:00", value=1), entry("a", "2026-01-03T10:00:00", status="completed")
    silent.rev, last.ended = 40, True
    project.store.put(project.layout.run_index_segment(), index.encode(silent))
    put_entry(project, last)
    assert rows(project)["r-1"].status == "completed"


def test_a_run_without_a_sign_of_life_is_stale(project: Project) -> None:
    put_entry(project, entry("a", "2026-01-01T10:00:00", run="fresh-1"), age=30)
    put_entry(project, entry("a", "2026-01-01T10:00:00", run="silent-1"), age=90)
    put_entry(project, entry("a", "2026-01-01T10:00:00", run="two-1"), age=90)
    put_entry(project, entry("b", "2026-01-01T09:00:00", run="two-1"), age=3)
    put_entry(project, entry("a", "2026-01-01T10:00:00", run="done-1", status="failed"), age=9000)
    status = {run: row.status for run, row in rows(project).items()}
    assert status == {"fresh-1": "running", "silent-1": "stale", "two-1": "running", "done-1": "failed"}


def test_a_run_of_the_command_line_lives_as_long_as_its_agent(project: Project) -> None:
    for name, age, ttl in (("here", 1800.0, None), ("gone", 4000.0, None), ("brief", 300.0, 120.0)):
        key = project.layout.agent(name)
        project.store.put(key, encode_record(Agent(id=name, ttl=ttl)))
        make_old(project, key, age)
        alive = entry("a", "2026-01-01T10:00:00", run=f"{name}-1", alive="agent", agent=name)
        put_entry(project, alive, age=5000)
    put_entry(project, entry("a", "2026-01-01", run="nobody-1", alive="agent", agent="nobody"), age=1800)
    put_entry(project, entry("a", "2026-01-01", run="evil-1", alive="agent", agent="../x"), age=5000)
    status = {run: row.status for run, row in rows(project).items()}
    assert status == {
        "here-1": "running", "gone-1": "stale", "brief-1": "stale", "nobody-1": "running", "evil-1": "stale"
    }  # fmt: skip


def test_what_is_broken_is_named_and_the_rest_is_listed(project: Project) -> None:
    made = [make_run(n) for n in range(4)]
    put_loose(project, made[:2])
    put_folded(project, made[2:])
    project.store.put(project.layout.run_entry("bad-1", "w"), b"{")
    project.store.put(project.layout.run_entry("other-1", "w"), index.encode(entry("w", "")))
    half = next(entries_of(make_run(9)))
    project.store.put(project.layout.run_index_segment(), b"\xff{}\n" + index.encode(half))
    project.store.put(project.layout.run_index() + "stray.txt", b"x")
    assert len(rows(project)) == 5
    assert len(project.broken) == 3
    assert len({error.fields["key"] for error in project.broken}) == 3


def test_compaction_changes_nothing_that_is_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "MANY_SEGMENTS", 3)
    made = [make_run(n) for n in range(120)]
    living = entry("w", "2026-01-01T10:00:00", run="living-1")
    for start in range(0, 120, 20):
        put_loose(project, made[start : start + 20])
        put_entry(project, living)
        before = rows(project)
        assert compact(project).entries == 20
        after = rows(project)
        assert {run: row.summary for run, row in after.items()} == {run: row.summary for run, row in before.items()}
        assert {run: row.status for run, row in after.items()} == {run: row.status for run, row in before.items()}
    loose, segments = index.split(project, project.store.list(project.layout.run_index()))
    assert [project.layout.run_entry_of(info.key) for info in loose] == [("living-1", "w")]
    assert len(segments) <= 4
    assert len(rows(project)) == 121


def test_entries_of_writers_that_fell_silent_are_folded_after_a_day(project: Project) -> None:
    for number in range(20):
        put_entry(project, entry("w", "2026-01-01T10:00:00", run=f"dead-{number}"), age=100_000)
    assert compact(project).entries == 0, "the store's clock is not known to have gone on"
    put_entry(project, entry("w", "2026-01-01T10:00:00", run="living-1"))
    assert compact(project).entries == 20
    status = {run: row.status for run, row in rows(project).items()}
    assert set(status.values()) == {"stale", "running"}
    assert status["living-1"] == "running"


def test_a_segment_with_something_broken_is_not_merged(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "MANY_SEGMENTS", 3)
    for number in range(5):
        put_folded(project, [make_run(number)])
    bad = project.layout.run_index_segment()
    project.store.put(bad, b"broken\n" + index.encode(next(entries_of(make_run(7)))))
    assert compact(project).segments == 5
    assert len(rows(project)) == 6
    assert project.store.get(bad)


def test_the_index_is_made_anew_from_the_runs(project: Project) -> None:
    made = [make_run(n, points=3) for n in range(40)]
    for one in made:
        put_run(project, one)
    put_folded(project, made)
    expected = {run: (row.summary, row.status) for run, row in rows(project).items()}
    for info in list(project.store.list(project.layout.run_index())):
        project.store.delete(info.key)
    assert rows(project) == {}
    assert reindex(project).runs == 40
    assert {run: (row.summary, row.status) for run, row in rows(project).items()} == expected
    assert reindex(project).runs == 40
    assert {run: (row.summary, row.status) for run, row in rows(project).items()} == expected


def test_reindexing_mends_what_is_wrong_and_leaves_living_writers_alone(project: Project) -> None:
    made = [make_run(n) for n in range(3)]
    for one in made:
        put_run(project, one)
    wrong = next(entries_of(made[0]))
    wrong.rev, wrong.summary = 99, Summary(metrics={"x": Metric(1, 1)})
    put_entry(project, wrong, age=120)
    project.store.put(project.layout.run_index_segment(), b"broken\n" + index.encode(entry("w", "", run="invented-1")))
    living = make_run(5, status="running")
    put_run(project, living)
    fresh = next(entries_of(living))
    fresh.ended, fresh.rev, fresh.summary.notes = False, 7, 42
    put_entry(project, fresh)
    reindex(project)
    project.broken.clear()
    found = rows(project)
    assert sorted(found) == sorted([*(one.meta.run for one in made), living.meta.run])
    assert project.broken == []
    for one in made:
        assert found[one.meta.run].summary == read_run(project, one.meta.run).summary
    assert found[living.meta.run].summary.notes == 42
    assert found[living.meta.run].status == "running"
