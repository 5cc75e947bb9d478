"""What the values of a metric come to, whatever they are and in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracecraft.runs.log import Metrics
from tracecraft.runs.summary import Summing

VALUES = st.lists(st.tuples(st.floats(allow_infinity=True, allow_nan=True), st.floats(0, 100)), min_size=1)


@given(VALUES)
def test_a_metric_knows_its_extremes_its_last_value_and_its_shape(given_: list[tuple[float, float]]) -> None:
    summing = Summing()
    for number, (value, at) in enumerate(given_):
        summing.feed(Metrics(at=at, values={"m": value}, step=number))
    finite = [(at, number, value) for number, (value, at) in enumerate(given_) if abs(value) < float("inf")]
    metric = summing.summary.metrics.get("m")
    if not finite:
        assert metric is None
        return
    assert metric is not None
    values = [value for *_, value in finite]
    assert (metric.min, metric.max, metric.count) == (min(values), max(values), len(values))
    at, number, last = max(finite)
    assert (metric.last, metric.at, metric.step) == (last, at, number)
    assert metric.points == values[:: metric.stride]
    assert len(metric.points) <= 16
    times = [at for _, at in given_ if at]
    assert (summing.summary.first, summing.summary.last) == ((min(times), max(times)) if times else (0.0, 0.0))
