"""What the benchmarks make of the requests they saw."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks.counting import by_kind, waves
from benchmarks.idling import in_seconds
from benchmarks.prices import AWS, R2, dollars
from tests.support.proxy import Request


def request(method: str, path: str, started: float, ended: float, status: int = 200) -> Request:
    return Request(method, path, {}, b"", started=started, ended=ended, status=status)


GET = request("GET", "/bucket/key", 0.0, 1.0)


def test_requests_are_told_apart_as_a_bill_does() -> None:
    requests = [
        GET,
        replace(GET, status=304),
        replace(GET, status=404),
        replace(GET, path="/bucket?list-type=2&prefix=p%2F"),
        replace(GET, method="HEAD"),
        replace(GET, method="PUT"),
    ]
    assert by_kind(requests) == {"LIST": 1, "PUT": 1, "GET 200": 1, "GET 304/404": 2, "HEAD": 1}


def test_a_wave_is_whatever_is_under_way_together() -> None:
    at_once = [replace(GET, started=0.1 * n, ended=0.1 * n + 0.15) for n in range(100)]
    after = replace(GET, started=11.0, ended=12.0)
    assert waves([]) == 0
    assert waves(at_once) == 1
    assert waves([*at_once, after]) == 2


def test_pages_of_a_list_are_one_wave() -> None:
    first = request("GET", "/bucket?list-type=2&prefix=p%2F", 0.0, 1.0)
    pages = [
        replace(first, path=f"{first.path}&continuation-token=t{n}", started=n + 0.5 + 1, ended=n + 0.9 + 1)
        for n in range(3)
    ]
    assert waves([first, *pages]) == 1


def test_a_client_that_was_never_answered_is_in_one_wave() -> None:
    assert waves([replace(GET, ended=math.inf), replace(GET, started=5.0, ended=6.0)]) == 1


def test_a_day_is_the_beginning_and_then_the_settled_pace() -> None:
    row = {
        "first_seconds": 120.0,
        "first": {"LIST": 2, "GET 200": 5},
        "looks": 4,
        "seconds_between_looks": [29.0, 31.0],
        "in_looks": {"LIST": 8},
    }
    assert in_seconds(row, 3720.0) == {"LIST": 2 + 120 * 2, "GET 200": 5}


def test_writes_cost_more_and_deletes_nothing() -> None:
    requests = {"LIST": 1e6, "PUT": 1e6, "GET 200": 1e6, "GET 304/404": 1e6, "HEAD": 1e6, "DELETE": 1e6}
    assert dollars(AWS, requests) == pytest.approx(5 + 5 + 0.4 * 3)
    assert dollars(R2, requests) == pytest.approx(4.5 + 4.5 + 0.36 * 3)
