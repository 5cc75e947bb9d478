"""Selects and sorts runs by what lists show of them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from tracecraft.errors import UsageError
from tracecraft.runs.cost import cost_of
from tracecraft.runs.rows import Row
from tracecraft.runs.times import duration_of, seconds_of

_CONDITION = re.compile(r"(?P<name>.+?)\s*(?P<sign>>=|<=|==|!=|>|<)\s*(?P<value>[^<>=!]+)")
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


class MetricIs(NamedTuple):
    """A condition on the last value of a metric. A run without that metric never fulfils it."""

    name: str
    sign: str
    value: float

    @classmethod
    def parse(cls, text: str) -> MetricIs:
        """`quality_score>0.9`. Raises UsageError."""
        found = _CONDITION.fullmatch(text.strip())
        try:
            return cls(found["name"], found["sign"], float(found["value"])) if found else cls._refuse(text)
        except ValueError:
            return cls._refuse(text)

    @staticmethod
    def _refuse(text: str) -> MetricIs:
        raise UsageError(
            f"not a condition on a metric: {text!r}", hint="write NAME>0.9, with one of > >= < <= == !=, in quotes"
        )

    def holds(self, row: Row) -> bool:
        metric = row.summary.metrics.get(self.name)
        return metric is not None and _SIGNS[self.sign](metric.last, self.value)


class ParamIs(NamedTuple):
    """A condition on a param: it is this text, or JSON of the same value."""

    name: str
    value: str

    @classmethod
    def parse(cls, text: str) -> ParamIs:
        """`lr=0.1`. Raises UsageError."""
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"not a condition on a param: {text!r}", hint="write NAME=VALUE")
        return cls(name, value)

    def holds(self, row: Row) -> bool:
        given = row.summary.params.get(self.name)
        return given is not None and (given.value == self.value or _same_json(given.value, self.value))


class Wanted(NamedTuple):
    """Which runs are asked for; every condition given must hold. Of `statuses` any one will do.

    `since` is when they began at the earliest, in seconds since 1970.
    """

    statuses: Sequence[str] = ()
    tags: Sequence[str] = ()
    group: str | None = None
    agent: str | None = None
    name: str | None = None
    since: float | None = None
    metrics: Sequence[MetricIs] = ()
    params: Sequence[ParamIs] = ()

    def fits(self, row: Row) -> bool:
        head = row.head
        return (
            (not self.statuses or row.status in self.statuses)
            and self.group in (None, head.group)
            and self.name in (None, head.name)
            and (self.since is None or (seconds_of(head.started_at) or 0.0) >= self.since)
            and (self.agent is None or self.agent == head.agent or self.agent in row.summary.agents)
            and set(self.tags) <= set(row.summary.tag_names if self.tags else ())
            and all(condition.holds(row) for condition in self.metrics)
            and all(condition.holds(row) for condition in self.params)
        )


class Order(NamedTuple):
    """What runs are sorted by. `begins` says what comes first without `--reverse`: the highest, or the lowest."""

    key: Callable[[Row], Any]
    highest_first: bool = True

    @classmethod
    def parse(cls, text: str) -> Order:
        """`started`, `duration`, `cost`, `name`, `metric:NAME` or `param:NAME`. Raises UsageError."""
        kind, colon, name = text.partition(":")
        if colon and name and kind == "metric":
            return cls(lambda row: _last(row, name))
        if colon and name and kind == "param":
            return cls(lambda row: _param(row, name), highest_first=False)
        if text in _ORDERS:
            return _ORDERS[text]
        raise UsageError(
            f"runs cannot be sorted by {text!r}", hint=f"one of {', '.join(_ORDERS)}, metric:NAME, param:NAME"
        )


def select(rows: Iterable[Row], wanted: Wanted, order: Order, *, reverse: bool = False, limit: int = 0) -> list[Row]:
    """The runs asked for in order, the first `limit` of them (0: all). Those without what is sorted by come last."""
    fitting = [(order.key(row), row) for row in rows if wanted.fits(row)]
    known = [(key, row) for key, row in fitting if key is not None and key == key]
    known.sort(key=lambda pair: pair[0], reverse=order.highest_first != reverse)
    unknown = [row for key, row in fitting if key is None or key != key]
    return [*(row for _, row in known), *unknown][: limit or None]


def _same_json(value: Any, text: str) -> bool:
    try:
        return bool(msgspec.json.decode(text) == value) and not isinstance(value, str)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return False


def _last(row: Row, name: str) -> float | None:
    metric = row.summary.metrics.get(name)
    return metric.last if metric else None


def _param(row: Row, name: str) -> tuple[int, Any] | None:
    """Numbers before everything else, which is sorted as text."""
    given = row.summary.params.get(name)
    if given is None:
        return None
    if isinstance(given.value, int | float):
        return (0, given.value)
    return (1, given.value if isinstance(given.value, str) else msgspec.json.encode(given.value).decode())


_ORDERS = {
    "started": Order(lambda row: seconds_of(row.head.started_at)),
    "duration": Order(duration_of),
    "cost": Order(lambda row: cost_of(row.summary).dollars),
    "name": Order(lambda row: (row.head.name, row.run), highest_first=False),
}
