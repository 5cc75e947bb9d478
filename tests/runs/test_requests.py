"""Thousands of runs are listed, filtered and compared with few requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runs.bulk import make_run, put_folded, put_loose, put_run
from tests.support.proxy import Answer, Match, Proxy
from tests.support.s3 import make_bucket
from tests.support.scale import measured, size
from tests.support.servers import Endpoint
from tests.support.world import World
from tracecraft.project import Project
from tracecraft.runs.compacting import MANY_LOOSE, MANY_SEGMENTS, compact, compact_if_many
from tracecraft.runs.comparing import compare
from tracecraft.runs.rows import read_rows


@pytest.fixture(scope="module")
def proxy(ceph_endpoint: Endpoint) -> Iterator[Proxy]:
    with Proxy(ceph_endpoint.url) as proxy:
        yield proxy


@pytest.fixture
def behind(tmp_path: Path, ceph_endpoint: Endpoint, proxy: Proxy) -> World:
    """A project on a real server, behind the proxy that counts."""
    name = f"many-{tmp_path.parent.name.lower()}-{tmp_path.name.lower().strip('_')}".replace("_", "-")[:60]
    make_bucket(ceph_endpoint, name)
    return World.in_bucket(tmp_path, ceph_endpoint, name, through=proxy.url)


def kinds(proxy: Proxy) -> Counter[str]:
    """How many requests of each kind there were."""
    return Counter("LIST" if not request.key else request.method for request in proxy.requests)


def fill(project: Project, runs: int, metrics: int = 5) -> int:
    """Runs as their writers and compaction leave them: the last ones loose. Returns the number of segments."""
    segments = put_folded(project, (make_run(n, metrics=metrics) for n in range(runs - 100)))
    put_loose(project, [make_run(n, metrics=metrics) for n in range(runs - 100, runs)])
    return segments


def test_thousands_of_runs_are_listed_and_filtered(behind: World, proxy: Proxy) -> None:
    runs = size(10_000, 10_000)
    segments = fill(behind.open(), runs)
    with measured("10,000 runs are listed", "ceph") as figures:
        proxy.clear()
        all_of_them = behind.run("a", "runs", "--limit", "0", "--json").json
        first = kinds(proxy)
        assert all_of_them["total"] == len(all_of_them["runs"]) == runs
        assert first == {"LIST": 2, "GET": 100 + segments}
        proxy.clear()
        found = behind.run("a", "runs", "--metric", "metric_0>0.99", "--tag", "nightly", "--json").json
        assert 0 < found["total"] < runs / 50
        assert all(run["metrics"]["metric_0"] > 0.99 and "nightly" in run["tags"] for run in found["runs"])
        assert kinds(proxy)["LIST"] == 2
        assert kinds(proxy).total() <= first.total()
        figures.update(requests=first.total(), segments=segments, requests_again=kinds(proxy).total())


def test_a_thousand_runs_of_a_hundred_metrics_are_compared(behind: World, proxy: Proxy) -> None:
    project = behind.open()
    segments = fill(project, 1000, metrics=100)
    proxy.clear()
    found = compare(project, [f"run-{n:08x}" for n in range(1000)])
    assert len(found.runs) == 1000
    assert sum(line.section == "metrics" for line in found.lines) == 100
    assert not found.from_logs
    assert kinds(proxy).total() <= 2 + 100 + segments


def test_few_runs_are_compared_from_their_logs(behind: World, proxy: Proxy) -> None:
    project = behind.open()
    for number in range(20):
        put_run(project, make_run(number))
    proxy.clear()
    found = compare(project, [f"run-{n:08x}" for n in range(20)])
    assert found.from_logs
    assert kinds(proxy) == {"GET": 60, "LIST": 20}


def test_readers_keep_the_index_small(behind: World, proxy: Proxy) -> None:
    project = behind.open()
    put_loose(project, [make_run(n) for n in range(MANY_LOOSE + 44)])
    listing = read_rows(project)
    assert listing.uncollected == MANY_LOOSE + 44
    compact_if_many(project, listing.uncollected)
    proxy.clear()
    again = read_rows(project)
    assert again.rows == listing.rows
    assert again.uncollected == 0
    assert kinds(proxy) == {"LIST": 2, "GET": 1}


def test_a_reader_that_may_not_write_lists_all_the_same(behind: World, proxy: Proxy) -> None:
    project = behind.open()
    put_loose(project, [make_run(n) for n in range(MANY_LOOSE + 10)])
    rule = proxy.fault(Match("PUT"), Answer(403), times=None)
    done = behind.run("a", "runs", "--json")
    assert done.json["total"] == MANY_LOOSE + 10
    assert done.err == ""
    assert rule.fired
    rule.times = 0


def test_many_small_segments_become_few(behind: World) -> None:
    project = behind.open()
    for number in range(MANY_SEGMENTS + 4):
        put_folded(project, [make_run(number)])
    before = read_rows(project).rows
    assert compact(project).segments == MANY_SEGMENTS + 4
    assert read_rows(project).rows == before
    assert len(list(project.store.list(project.layout.run_index()))) == 1
