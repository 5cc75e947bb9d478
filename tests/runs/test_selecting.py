"""Runs are found by what people type, and selected and sorted by what lists show."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.runs.bulk import make_run, put_loose, put_run
from tests.support.world import World
from tracecraft.errors import Missing, UsageError
from tracecraft.project import Project
from tracecraft.runs.finding import find, find_all, meant
from tracecraft.runs.meta import Head
from tracecraft.runs.rows import Row
from tracecraft.runs.selecting import MetricIs, Order, ParamIs, Wanted, select
from tracecraft.runs.summary import Given, Metric, Summary

STARTED = Order.parse("started")


def row(
    run: str, name: str = "", status: str = "completed", started: str = "2026-01-01T10:00:00+00:00", **more: object
) -> Row:
    return Row(
        run, Head(name=name, started_at=started, ended_at="2026-01-01T12:00:00+00:00"), status, _summary(more), 0.0, ""
    )


def _summary(more: dict[str, object]) -> Summary:
    metrics = {
        name[2:]: Metric(value, 1.0) for name, value in more.items() if name[:2] == "m_" and isinstance(value, float)
    }
    params = {name[2:]: Given(1.0, value) for name, value in more.items() if name[:2] == "p_"}
    tags = {name[2:]: Given(1.0, bool(value)) for name, value in more.items() if name[:2] == "t_"}
    return Summary(metrics=metrics, params=params, tags=tags)


ROWS = [
    row("prompt-comparison-v2-3fa9c1d2", "prompt comparison v2"),
    row("prompt-comparison-v2-77b0e4aa", "prompt comparison v2"),
    row("prompt-4444aaaa", "prompt"),
    row("train-3fb00000", "train"),
    row("train-best-99999999", "train best"),
]


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ("prompt-comparison-v2-3fa9c1d2", "prompt-comparison-v2-3fa9c1d2"),
        ("prompt-comparison-v2-7", "prompt-comparison-v2-77b0e4aa"),
        ("3fa", "prompt-comparison-v2-3fa9c1d2"),
        ("77b0e4aa", "prompt-comparison-v2-77b0e4aa"),
        ("prompt", "prompt-4444aaaa"),
        ("train", "train-3fb00000"),
        ("train best", "train-best-99999999"),
        ("train-b", "train-best-99999999"),
    ],
)
def test_what_people_type(given: str, run: str) -> None:
    assert meant(given, ROWS).run == run


@pytest.mark.parametrize(("given", "count"), [("prompt comparison v2", 2), ("prompt-c", 2), ("3f", 2), ("trai", 2)])
def test_what_may_be_several_is_refused_with_the_candidates(given: str, count: int) -> None:
    with pytest.raises(UsageError) as caught:
        meant(given, ROWS)
    assert len(caught.value.fields["candidates"]) == count
    assert all(run in caught.value.message for run in caught.value.fields["candidates"])


@pytest.mark.parametrize("given", ["nothing", "../x", "a/b", "\x00", "*"])
def test_what_is_no_run(folder_world: World, given: str) -> None:
    with pytest.raises(Missing):
        find(folder_world.open(), given)
    with pytest.raises(UsageError):
        find(folder_world.open(), "")


def test_a_whole_id_needs_no_index(folder_world: World) -> None:
    project: Project = folder_world.open()
    put_run(project, make_run(1))
    put_loose(project, [make_run(2)])
    assert find_all(project, ["run-00000001", "00000002"]) == ["run-00000001", "run-00000002"]


NAMED = [
    row(
        "a-1", m_score=0.5, m_loss=3.0, p_lr=0.1, p_model="sonnet", t_nightly=True, started="2026-01-01T10:00:00+00:00"
    ),
    row("b-1", m_score=0.9, p_lr=0.01, p_model="opus", t_nightly=False, started="2026-01-02T10:00:00+00:00"),
    row("c-1", m_score=float("nan"), p_lr="0.1", status="failed", started="2026-01-03T10:00:00+00:00"),
    row("d-1", status="stale", t_nightly=True, t_big=True, started="broken"),
]


def chosen(wanted: Wanted, order: Order = STARTED, *, reverse: bool = False, limit: int = 0) -> str:
    return "".join(row.run[0] for row in select(NAMED, wanted, order, reverse=reverse, limit=limit))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("score>0.5", "b"), ("score>=0.5", "ba"), ("score < 0.9", "a"), ("score<=.9", "ba"), ("score==0.5", "a"),
        ("score!=0.5", "cb"), ("loss>-1e3", "a"), ("nothing>0", ""),
    ],
)  # fmt: skip
def test_conditions_on_metrics(condition: str, expected: str) -> None:
    assert chosen(Wanted(metrics=[MetricIs.parse(condition)])) == expected


@pytest.mark.parametrize(
    ("condition", "expected"), [("lr=0.1", "ca"), ("lr=0.10", "a"), ("model=opus", "b"), ("lr=", ""), ("x=1", "")]
)
def test_conditions_on_params(condition: str, expected: str) -> None:
    assert chosen(Wanted(params=[ParamIs.parse(condition)])) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(statuses=["failed", "stale"]), "cd"),
        (Wanted(tags=["nightly"]), "ad"),
        (Wanted(tags=["nightly", "big"]), "d"),
        (Wanted(since=1767319200.0), "cb"),
        (Wanted(group="g"), ""),
    ],
)
def test_other_conditions(wanted: Wanted, expected: str) -> None:
    assert chosen(wanted) == expected


@pytest.mark.parametrize(
    ("order", "expected", "turned"),
    [
        ("started", "cbad", "abcd"), ("metric:score", "bacd", "abcd"), ("metric:loss", "abcd", "abcd"),
        ("param:lr", "bacd", "cabd"), ("name", "abcd", "dcba"), ("cost", "abcd", "abcd"),
    ],
)  # fmt: skip
def test_orders(order: str, expected: str, turned: str) -> None:
    """What is not known, or no number, comes last either way."""
    assert chosen(Wanted(), Order.parse(order)) == expected
    assert chosen(Wanted(), Order.parse(order), reverse=True) == turned
    assert chosen(Wanted(), Order.parse(order), limit=2) == expected[:2]


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (MetricIs.parse, "score"), (MetricIs.parse, "score>"), (MetricIs.parse, ">1"), (MetricIs.parse, "score>high"),
        (MetricIs.parse, ""), (ParamIs.parse, "lr"), (ParamIs.parse, "=1"), (Order.parse, "size"),
        (Order.parse, "metric:"), (Order.parse, "other:x"),
    ],
)  # fmt: skip
def test_what_is_no_condition(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)
