"""Runs side by side: what differs, and which did best."""

from __future__ import annotations

import pytest

from tests.runs.bulk import make_run, put_loose, put_run
from tests.support.world import World
from tracecraft.errors import Missing
from tracecraft.runs import comparing
from tracecraft.runs.comparing import Comparison, Line, compare, goal_of


def line(found: Comparison, section: str, name: str) -> Line:
    [one] = [line for line in found.lines if (line.section, line.name) == (section, name)]
    return one


def test_side_by_side(folder_world: World) -> None:
    project = folder_world.open()
    made = [make_run(n, points=3) for n in (1, 2, 3)]
    for one in made:
        put_run(project, one)
    found = compare(project, [one.meta.run for one in made])
    assert [run.run for run in found.runs] == [one.meta.run for one in made]
    seeds = line(found, "params", "seed")
    assert (seeds.values, seeds.differs, seeds.best) == ([1, 2, 3], True, [])
    assert not line(found, "params", "model").differs
    scores = line(found, "metrics", "metric_0")
    assert scores.best == [scores.values.index(max(scores.values))]
    assert [len(points) for points in scores.points] == [3, 3, 3]
    tokens = line(found, "usage", "input tokens")
    assert (tokens.values, tokens.best) == ([1001, 1002, 1003], [0])


def test_many_are_read_from_the_index_and_are_the_same(folder_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    project = folder_world.open()
    made = [make_run(n) for n in range(5)]
    for one in made:
        put_run(project, one)
    put_loose(project, made)
    ids = [one.meta.run for one in made]
    from_logs = compare(project, ids)
    monkeypatch.setattr(comparing, "FROM_LOGS", 2)
    from_index = compare(project, [*ids[:4], "00000004"])
    assert (from_logs.from_logs, from_index.from_logs) == (True, False)
    assert from_index.runs == from_logs.runs
    assert from_index.lines == from_logs.lines
    with pytest.raises(Missing):
        compare(project, [*ids, "nothing"])


def test_what_only_some_have(folder_world: World) -> None:
    project = folder_world.open()
    put_run(project, make_run(1, metrics=1))
    put_run(project, make_run(2, metrics=2))
    found = compare(project, ["run-00000001", "run-00000002"])
    only = line(found, "metrics", "metric_1")
    assert only.values[0] is None
    assert only.differs
    assert only.best == []


@pytest.mark.parametrize(
    ("name", "goal"),
    [
        ("quality_score", "highest"), ("loss", "lowest"), ("val/loss", "lowest"), ("eval.error-rate", "lowest"),
        ("latency_p99", "lowest"), ("accuracy", "highest"), ("timeliness", "highest"),
    ],
)  # fmt: skip
def test_which_way_is_better(name: str, goal: str) -> None:
    assert goal_of(name) == goal
