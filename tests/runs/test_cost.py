"""What runs cost: reported before computed, by agent and model, and what is unknown is never 0."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.units.test_pricing import write_prices
from tracecraft.runs.cost import Exclusive, Share, cost_of, cost_of_call, exclusive
from tracecraft.runs.log import Usage
from tracecraft.runs.summary import Summary, Summing, Tokens

SONNET = "claude-sonnet-4-20250514"
AT = 1_750_000_000.0


def summed(*lines: Usage) -> Summary:
    summing = Summing()
    for line in lines:
        summing.feed(line)
    return summing.summary


def test_a_run_without_usage_costs_neither_something_nor_nothing() -> None:
    cost = cost_of(summed())
    assert (cost.dollars, cost.unpriced, cost.source) == (None, [], None)


def test_inclusive_tokens_are_priced_once() -> None:
    """100,000 tokens sent of which 80,000 came from the cache and 10,000 went into it: 10,000 cost the full price."""
    line = Usage(at=AT, model=SONNET, input=100_000, output=1000, cache_read=80_000, cache_write=10_000)
    expected = (10_000 * 3 + 80_000 * 0.3 + 10_000 * 3.75 + 1000 * 15) / 1_000_000
    cost = cost_of(summed(line))
    assert cost.dollars == cost.computed == pytest.approx(expected)
    assert cost_of_call(line) == pytest.approx(expected)
    assert cost.source is not None
    assert cost.source.startswith("genai-prices ")


def test_more_from_the_cache_than_was_sent_leaves_no_input() -> None:
    assert exclusive(Tokens(input=10, output=1, cache_read=60)) == Exclusive(0, 1, 60, 0)


@given(st.builds(Tokens, *[st.integers(0, 10**9)] * 5))
def test_conversion_keeps_every_token_where_the_parts_fit(tokens: Tokens) -> None:
    left = exclusive(tokens)
    assert min(left) >= 0
    if tokens.cache_read + tokens.cache_write <= tokens.input:
        assert left.input + left.cache_read + left.cache_write == tokens.input


def test_what_was_reported_is_preferred_and_the_rest_is_priced() -> None:
    cost = cost_of(
        summed(
            Usage(at=AT, agent="a", model=SONNET, input=1_000_000, cost=0.5),
            Usage(at=AT, agent="a", model=SONNET, input=1_000_000),
            Usage(at=AT, agent="b", model="mystery", input=10),
        )
    )
    assert (cost.reported, cost.computed, cost.dollars) == pytest.approx((0.5, 3.0, 3.5))
    assert cost.unpriced == ["mystery"]
    assert cost.source is not None
    assert cost.source.startswith("reported and genai-prices ")
    assert cost.by_agent["a"].dollars == pytest.approx(3.5)
    assert cost.by_agent["b"].dollars is None
    assert cost.by_agent["b"].unpriced == ["mystery"]
    assert cost.by_model[SONNET].tokens.input == 2_000_000
    assert cost.calls == 3


def test_a_reported_cost_of_0_is_known_and_one_of_an_unknown_model_counts() -> None:
    assert cost_of(summed(Usage(model="mystery", input=5, cost=0.0))).dollars == 0
    assert cost_of(summed(Usage(model="mystery", input=5, cost=0.25))).unpriced == []


def test_a_model_that_used_no_tokens_is_not_unpriced() -> None:
    assert cost_of(summed(Usage(model="mystery"))).unpriced == []


def test_a_sum_that_is_reported_as_such_counts_once() -> None:
    lines = [Usage(at=AT + n, model=SONNET, input=10, cost=0.1 * n, call="s", running=True) for n in (1, 2, 3)]
    assert cost_of(summed(*lines)).dollars == pytest.approx(0.3)


def test_the_users_prices_count_for_runs_too(home: Path) -> None:
    write_prices(home, {"mystery": {"input": 2, "output": 4}})
    cost = cost_of(summed(Usage(model="mystery", input=1_000_000, output=500_000)))
    assert (cost.dollars, cost.source) == (4.0, "prices.json")
    assert cost_of_call(Usage(model="other", input=5)) is None


def test_parts_add_up_to_the_whole() -> None:
    models = [SONNET, "gpt-4o", "mystery"]
    lines = [
        Usage(
            at=AT,
            agent=f"a{n % 4}",
            model=models[n % 3],
            input=n * 100,
            output=n,
            cost=0.01 * n if n % 5 == 0 else None,
        )
        for n in range(1, 60)
    ]
    cost = cost_of(summed(*lines))

    def total(shares: dict[str, Share]) -> float:
        return sum(share.dollars or 0.0 for share in shares.values())

    assert total(cost.by_agent) == pytest.approx(cost.dollars)
    assert total(cost.by_model) == pytest.approx(cost.dollars)
    assert cost.dollars == pytest.approx(cost.reported + cost.computed)


def test_the_price_list_is_imported_only_when_something_is_priced() -> None:
    program = (
        "import sys; from tracecraft.runs import cost, log, summary; s = summary.Summing();"
        "s.feed(log.Usage(model='m', input=3, cost=1.0)); assert cost.cost_of(s.summary).dollars == 1.0;"
        "assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
