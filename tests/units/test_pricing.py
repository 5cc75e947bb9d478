"""Prices: the price list by model, provider and day; the user's own first; what is not known stays unknown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tracecraft import pricing
from tracecraft.errors import UsageError

MILLION = 1_000_000


class Used(NamedTuple):
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


def write_prices(home: Path, models: dict[str, Any]) -> Path:
    path = home / ".tracecraft" / "prices.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"models": models}))
    return path


A_MILLION_IN = Used(input=MILLION)


def dollars(model: str, used: Used = A_MILLION_IN, at: datetime | None = None, provider: str = "") -> float:
    found = pricing.price(model, used, at, provider)
    assert found is not None
    return found.dollars


def test_a_model_of_the_price_list_with_the_lists_version() -> None:
    found = pricing.price("claude-sonnet-4-20250514", Used(MILLION, MILLION, MILLION, MILLION))
    assert found is not None
    assert found.dollars == pytest.approx(3 + 15 + 0.3 + 3.75)
    assert found.source.startswith("genai-prices ")
    assert dollars("anthropic/claude-sonnet-4-20250514") == pytest.approx(3)


def test_the_price_of_the_day_counts() -> None:
    """o3 became cheaper on 10 June 2025."""
    before, after = datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
    assert dollars("o3", at=before) > dollars("o3", at=after)


def test_an_unknown_provider_leaves_the_models_name() -> None:
    assert dollars("gpt-4o", provider="some-proxy") == dollars("gpt-4o", provider="openai") == pytest.approx(2.5)


@pytest.mark.parametrize("model", ["", "nobody-s-model", "llama3.1:8b", "/", "\x00", "a" * 5000])
def test_an_unknown_model_has_no_price(model: str) -> None:
    assert pricing.price(model, Used(input=1)) is None


def test_own_prices_go_first_and_name_themselves(home: Path) -> None:
    write_prices(home, {"gpt-4o": {"input": 1, "output": 2, "cache_read": 0.5}, "mine": {"input": 7, "output": 8}})
    assert pricing.price("gpt-4o", Used(MILLION, MILLION, MILLION)) == (3.5, "prices.json")
    assert dollars("mine", Used(cache_read=MILLION, cache_write=MILLION)) == pytest.approx(14)
    assert dollars("gpt-4o-mini") == pytest.approx(0.15)


def test_own_prices_by_provider_and_by_the_beginning_of_a_name(home: Path) -> None:
    write_prices(
        home,
        {
            "ollama/*": {"input": 0, "output": 0},
            "llama*": {"input": 1, "output": 1},
            "llama3.1*": {"input": 2, "output": 2},
            "groq/llama3.1:8b": {"input": 3, "output": 3},
        },
    )
    assert dollars("llama2") == 1
    assert dollars("llama3.1:8b") == 2
    assert dollars("llama3.1:8b", provider="groq") == 3
    assert dollars("qwen3", provider="ollama") == 0
    assert dollars("ollama/qwen3") == 0


def test_a_changed_file_counts_at_once(home: Path) -> None:
    write_prices(home, {"mine": {"input": 1, "output": 1}})
    assert dollars("mine") == 1
    write_prices(home, {"mine": {"input": 22.5, "output": 1}})
    assert dollars("mine") == 22.5


def test_the_variable_names_another_file(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prices(home, {"mine": {"input": 1, "output": 1}})
    elsewhere = tmp_path / "team.json"
    elsewhere.write_text('{"models": {"mine": {"input": 5, "output": 5}}}')
    monkeypatch.setenv("TRACECRAFT_PRICES", str(elsewhere))
    assert dollars("mine") == 5
    elsewhere.unlink()
    with pytest.raises(UsageError, match=r"team\.json"):
        pricing.price("mine", Used(input=1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "truncated"),
        ('{"mine": {"input": 1, "output": 2}}', "mine"),
        ('{"models": {"mine": {"input": 1}}}', "output"),
        ('{"models": {"mine": {"input": -1, "output": 2}}}', "input|models"),
        ('{"models": {"mine": {"input": 1, "output": 2, "cached": 3}}}', "cached"),
        ('{"models": {"mine": {"input": "1", "output": 2}}}', "float"),
        ('{"models": {"mine": {"input": 1e999, "output": 2}}}', "range"),
        ('{"models": ' + "[" * 5000, "models|array|recursion"),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_says_where(home: Path, text: str, told: str) -> None:
    path = write_prices(home, {})
    path.write_text(text)
    with pytest.raises(UsageError, match=told) as caught:
        pricing.price("claude-sonnet-4-5", Used(input=1))
    assert str(path) in caught.value.message
    assert "a million tokens" in caught.value.hint
