"""A deleted run is gone at once for everybody, whenever its deleter dies; deleting it again removes the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.runs.bulk import Made, entries_of, make_run, put_folded, put_loose, put_run
from tests.sessions.killing import killed
from tests.support.faults import Moment
from tests.support.proxy import Proxy
from tests.support.s3 import make_bucket
from tests.support.servers import Endpoint
from tests.support.world import World
from tracecraft import clock
from tracecraft.errors import Missing, WrongState
from tracecraft.project import Project
from tracecraft.records import commit, read
from tracecraft.runs import blobs, index, log
from tracecraft.runs.compacting import compact
from tracecraft.runs.deleting import delete_run
from tracecraft.runs.finding import find
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.reading import read_run
from tracecraft.runs.reindexing import reindex
from tracecraft.runs.rows import read_rows

SUM = "ab" * 32
OTHER = "cd" * 32


def with_file(number: int, sha256: str = SUM) -> Made:
    """A run that kept a file."""
    made = make_run(number)
    [lines] = made.logs.values()
    lines.append(log.Artifact(id=len(lines) + 1, at=lines[-1].at, name="out.txt", sha256=sha256, size=4))
    return made


def put_file(project: Project, run: str, sha256: str = SUM) -> bool:
    return blobs.keep(project, sha256, run, lambda key: project.store.put(key, b"data"))


def objects(project: Project) -> set[str]:
    return {info.key for info in project.store.list(project.layout.runs())}


@pytest.fixture
def project(folder_world: World) -> Project:
    return folder_world.open()


def test_nothing_of_a_deleted_run_stays_but_that_it_was_there(project: Project) -> None:
    gone, stays = with_file(1), with_file(2)
    for made in (gone, stays):
        put_run(project, made)
        put_file(project, made.meta.run)
    put_loose(project, [gone, stays])
    put_folded(project, [gone])
    before = objects(project)
    done = delete_run(project, gone.meta.run)
    assert (done.objects, done.files, done.again) == (2, 1, False)
    layout, run = project.layout, gone.meta.run
    assert before - objects(project) == {
        layout.blob_user(SUM, run),
        *(key for key in before if key.startswith((layout.run_logs(run), layout.run_entries() + run))),
    }
    tombstone = read(project.store, layout.run_meta(run), RunMeta)
    assert tombstone is not None
    assert (tombstone.record.name, tombstone.record.captured.command) == ("", [])
    assert [row.run for row in read_rows(project).rows] == [stays.meta.run]
    with pytest.raises(Missing):
        read_run(project, run)
    with pytest.raises(Missing):
        find(project, run)
    assert read_run(project, stays.meta.run)


def test_a_running_run_is_deleted_with_force_only(project: Project) -> None:
    made = make_run(1, status="running")
    put_run(project, made)
    with pytest.raises(WrongState):
        delete_run(project, made.meta.run)
    assert read_run(project, made.meta.run).status == "running"
    assert delete_run(project, made.meta.run, force=True).objects == 1


def test_what_a_writer_leaves_in_a_deleted_run_goes_when_it_is_deleted_again(project: Project) -> None:
    made = with_file(1)
    put_run(project, made)
    delete_run(project, made.meta.run, force=True)
    again = with_file(1, OTHER)
    [(writer, lines)] = again.logs.items()
    key = project.layout.fragment(made.meta.run, writer, 1, lines[-1].id)
    project.store.put(key, b"".join(map(log.encode, lines)))
    put_file(project, made.meta.run, OTHER)
    put_loose(project, [again])
    assert read_rows(project).rows == []
    done = delete_run(project, made.meta.run)
    assert (done.objects, done.files, done.again) == (2, 1, True)
    assert read_rows(project).rows == []


def test_compaction_and_reindexing_bring_no_deleted_run_back(project: Project) -> None:
    made = [make_run(n) for n in range(40)]
    for one in made:
        put_run(project, one)
    put_loose(project, made[:20])
    put_folded(project, made[20:])
    for one in made[10:30]:
        delete_run(project, one.meta.run)
    expected = {one.meta.run for one in [*made[:10], *made[30:]]}
    for change in (compact, compact, reindex, compact):
        change(project)
        assert {row.run for row in read_rows(project).rows} == expected
    put_loose(project, made[10:12])
    assert {row.run for row in read_rows(project).rows} == expected


def test_a_record_that_changes_meanwhile_is_heard_first(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_run(1, status="failed")
    put_run(project, made)
    key = project.layout.run_meta(made.meta.run)

    def resume() -> None:
        stored = read(project.store, key, RunMeta)
        assert stored is not None
        changed = stored.record
        changed.status = "running"
        commit(project.store, key, changed, stored)

    real, calls = clock.now, iter([resume])

    def now() -> str:
        next(calls, lambda: None)()
        return real()

    monkeypatch.setattr(clock, "now", now)
    with pytest.raises(WrongState):
        delete_run(project, made.meta.run)
    assert read_run(project, made.meta.run)


@pytest.fixture
def proxy(ministack_endpoint: Endpoint) -> Iterator[Proxy]:
    with Proxy(ministack_endpoint.url) as proxy:
        yield proxy


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_request(tmp_path: Path, ministack_endpoint: Endpoint, proxy: Proxy, moment: Moment) -> None:
    bucket = f"delete-{moment}-{tmp_path.parent.name.lower()}"
    make_bucket(ministack_endpoint, bucket)
    world = World.in_bucket(tmp_path, ministack_endpoint, bucket, through=proxy.url)
    straight = World.in_bucket(tmp_path, ministack_endpoint, bucket)
    project = straight.open("looker")
    for n in count(1):
        made = with_file(n)
        run = made.meta.run
        put_run(project, made)
        put_file(project, run)
        put_loose(project, [made])
        died = killed(world, "a", proxy, n, moment, "run", "delete", run)
        check_not_half(project, made)
        if not died:
            break
        again = world.run("a", "run", "delete", run, "--json", exits=None)
        assert again.code == 0, again
        assert_gone(project, run)
        assert n < 60
    assert_gone(project, run)
    assert n > 8


def check_not_half(project: Project, made: Made) -> None:
    """The run is there as a whole, or not at all."""
    run = made.meta.run
    try:
        view = read_run(project, run)
    except Missing:
        return
    assert view.gaps == []
    assert view.summary.lines == len(next(iter(made.logs.values())))
    assert run in {row.run for row in read_rows(project).rows}
    assert list(project.store.list(project.layout.blob_users(SUM)))


def assert_gone(project: Project, run: str) -> None:
    assert run not in {row.run for row in read_rows(project).rows}
    left = {key for key in objects(project) if run in key}
    assert left == {project.layout.run_entry(run, index.OUTSIDE), project.layout.run_meta(run)}


def test_files_without_users_are_collected(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "YOUNG", -1.0)
    for number, sums in ((1, [SUM]), (2, [SUM, OTHER])):
        put_run(project, make_run(number))
        for sha256 in sums:
            put_file(project, f"run-{number:08x}", sha256)
    assert not blobs.survey(project).files
    layout = project.layout
    project.store.delete(layout.blob_user(OTHER, "run-00000002"))
    unused = blobs.survey(project)
    assert list(unused.files) == [OTHER]
    assert [info.key for info in blobs.collect(project, unused)] == [layout.blob(OTHER)]
    assert {info.key for info in project.store.list(layout.blobs())} == {
        layout.blob(SUM), layout.blob_user(SUM, "run-00000001"), layout.blob_user(SUM, "run-00000002")
    }  # fmt: skip


def test_uses_by_deleted_runs_do_not_count(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "YOUNG", -1.0)
    put_run(project, make_run(1))
    delete_run(project, "run-00000001")
    put_file(project, "run-00000001")
    unused = blobs.survey(project)
    assert (list(unused.files), list(unused.uses)) == ([SUM], [project.layout.blob_user(SUM, "run-00000001")])
    blobs.collect(project, unused)
    assert not list(project.store.list(project.layout.blobs()))


def test_young_files_stay(project: Project) -> None:
    project.store.put(project.layout.blob(SUM), b"data")
    assert not blobs.survey(project).files


def test_a_file_is_uploaded_once(project: Project) -> None:
    assert put_file(project, "a-1")
    assert not put_file(project, "b-1")
    assert not put_file(project, "a-1")


def test_a_file_that_is_taken_into_use_while_it_is_collected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs take files into use at the moment in which these are collected: no run ends up without its file."""
    monkeypatch.setattr(blobs, "YOUNG", -1.0)
    collector, user = world.open("collector"), world.open("user")
    for number in range(12):
        collector.store.put(collector.layout.blob(f"{number:064x}"), b"data")
    stop, patience = threading.Event(), clock.Deadline(120.0)
    went = 0

    def collect() -> None:
        nonlocal went
        while not stop.is_set():
            went += len(blobs.collect(collector, blobs.survey(collector)))

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        for round_ in count():
            for number in range(12):
                sha256, run = f"{number:064x}", f"r-{round_}"
                put_file(user, run, sha256)
                assert user.store.get(user.layout.blob(sha256)).data == b"data"
                assert user.store.get(user.layout.blob(sha256)).data == b"data"
                user.store.delete(user.layout.blob_user(sha256, run))
            if (round_ >= 3 and went > 12) or patience.passed:
                break
    finally:
        stop.set()
        thread.join(120)
    assert went > 12


def test_a_collector_that_died_is_waited_for_and_then_passed_over(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "SETTLED", 0.5)
    project.store.put(project.layout.blob(SUM), b"old")
    project.store.put(project.layout.blob_collector(SUM, "dead"), b"{}")
    assert put_file(project, "a-1")
    assert project.store.get(project.layout.blob(SUM)).data == b"data"
    monkeypatch.setattr(blobs, "YOUNG", -1.0)
    blobs.collect(project, blobs.survey(project))
    assert not list(project.store.list(project.layout.blob_collectors(SUM)))


def test_entries_of_the_bulk_generator_are_what_logs_come_to(project: Project) -> None:
    made = make_run(3, points=4)
    put_run(project, made)
    [entry] = entries_of(made)
    assert read_run(project, made.meta.run).summary == entry.summary
