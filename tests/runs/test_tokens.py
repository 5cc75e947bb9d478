"""Tokens as providers and frameworks tell them, one test for each way in which they are easily counted wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tracecraft.errors import UsageError
from tracecraft.runs.log import Usage
from tracecraft.runs.summary import Summing
from tracecraft.runs.tokens import normalised


def counts(raw: Any) -> tuple[int, int, int, int, int]:
    (used,) = normalised(raw)
    return used.input, used.output, used.cache_read, used.cache_write, used.reasoning


def summed(*raw: Any) -> Summing:
    """What a run comes to that logged all of these."""
    summing = Summing()
    for at, said in enumerate(raw, 1):
        for used in normalised(said):
            used.at = at
            summing.feed(used)
    return summing


INCLUSIVE = {
    "openai chat": {
        "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens_details": {"reasoning_tokens": 5},
    },
    "openai responses": {
        "input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
        "input_tokens_details": {"cached_tokens": 40}, "output_tokens_details": {"reasoning_tokens": 5},
    },
    "langchain": {
        "input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
        "input_token_details": {"cache_read": 40}, "output_token_details": {"reasoning": 5},
    },
    "hermes": {
        "input_tokens": 60, "prompt_tokens": 100, "output_tokens": 20, "completion_tokens": 20,
        "cache_read_tokens": 40, "reasoning_tokens": 5, "total_tokens": 120,
    },
    "opentelemetry": {
        "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.reasoning.output_tokens": 5,
    },
    "gemini": {
        "promptTokenCount": 100, "candidatesTokenCount": 15, "thoughtsTokenCount": 5, "cachedContentTokenCount": 40,
        "totalTokenCount": 120,
    },
    "codex, one turn": {
        "input_tokens": 100, "cached_input_tokens": 40, "output_tokens": 20, "reasoning_output_tokens": 5,
    },
    "caches apart, as the sum shows": {
        "input_tokens": 60, "output_tokens": 20, "cache_read_tokens": 40, "reasoning_tokens": 5, "total_tokens": 120,
    },
}  # fmt: skip


@pytest.mark.parametrize("raw", INCLUSIVE.values(), ids=INCLUSIVE)
def test_a_prompt_of_100_with_40_cached_is_100(raw: dict[str, Any]) -> None:
    assert counts(raw) == (100, 20, 40, 0, 5)


@pytest.mark.parametrize("raw", INCLUSIVE.values(), ids=INCLUSIVE)
def test_objects_count_as_mappings_do(raw: dict[str, Any]) -> None:
    thing = SimpleNamespace(
        **{name: SimpleNamespace(**value) if isinstance(value, dict) else value for name, value in raw.items()}
    )
    assert counts(thing) == (100, 20, 40, 0, 5)


def test_anthropic_counts_its_caches_apart() -> None:
    raw = {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_input_tokens": 40,
        "cache_creation_input_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20},
    }
    assert counts(raw) == (100, 20, 40, 50, 0)


def test_anthropic_without_a_cache() -> None:
    raw = {"input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 0, "cache_creation_input_tokens": None}
    assert counts(raw) == (10, 20, 0, 0, 0)


def test_bedrock_counts_its_caches_apart() -> None:
    raw = {"inputTokens": 10, "outputTokens": 20, "cacheReadInputTokens": 40, "cacheWriteInputTokens": 50}
    assert counts(raw) == (100, 20, 40, 50, 0)


def test_a_prompt_of_litellm_is_whole_though_it_names_the_caches_of_anthropic() -> None:
    raw = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "cache_read_input_tokens": 40,
        "cache_creation_input_tokens": 50,
    }
    assert counts(raw) == (100, 20, 40, 50, 0)


def test_pydantic_ai_and_genai_prices_count_caches_within_their_input() -> None:
    raw = SimpleNamespace(input_tokens=100, output_tokens=20, cache_read_tokens=40, cache_write_tokens=50)
    assert counts(raw) == (100, 20, 40, 50, 0)


def test_the_usage_of_genai_prices_itself() -> None:
    prices = pytest.importorskip("genai_prices")
    assert counts(prices.Usage(input_tokens=100, output_tokens=20, cache_read_tokens=40)) == (100, 20, 40, 0, 0)


def test_the_blocks_of_one_claude_message_are_one_call() -> None:
    """Each block repeats the same usage, and only what comes last has the true output."""
    usage = {"input_tokens": 10, "cache_read_input_tokens": 40, "output_tokens": 1}
    block = SimpleNamespace(message_id="msg_1", model="claude-sonnet-4-5", usage=usage)
    final = SimpleNamespace(message_id="msg_1", model="claude-sonnet-4-5", usage={**usage, "output_tokens": 20})
    (spent,) = summed(block, block, final, block).summary.spent()
    assert (spent.calls, spent.tokens.input, spent.tokens.output) == (1, 50, 20)
    assert spent.model == "claude-sonnet-4-5"


def result(cost: float, tokens: int) -> SimpleNamespace:
    """What the Claude SDK says at the end of a turn; sums of the session, subagents with it."""
    by_model = {
        "claude-sonnet-4-5": {"inputTokens": tokens, "cacheReadInputTokens": 40, "outputTokens": 20, "costUSD": cost},
        "claude-haiku-4-5": {"inputTokens": 5, "outputTokens": 2, "costUSD": 0.001},
    }
    return SimpleNamespace(
        session_id="s1",
        total_cost_usd=cost + 0.001,
        usage={"input_tokens": 7, "output_tokens": 3},
        model_usage=by_model,
    )


def test_sums_of_a_claude_session_are_never_added_up() -> None:
    spent = summed(result(0.01, 100), result(0.02, 200), result(0.03, 300)).summary.spent()
    assert {one.model: (one.tokens.input, one.cost) for one in spent} == {
        "claude-sonnet-4-5": (340, 0.03),
        "claude-haiku-4-5": (5, 0.001),
    }


def test_a_sum_of_cost_without_models_is_running_too() -> None:
    raw = SimpleNamespace(session_id="s1", total_cost_usd=0.5, usage={"input_tokens": 7, "output_tokens": 3})
    assert summed(raw, raw).summary.spent()[0].cost == 0.5
    assert normalised(raw)[0].running


def test_sums_of_codex_are_never_added_up() -> None:
    def event(tokens: int) -> dict[str, Any]:
        total = {"input_tokens": tokens, "cached_input_tokens": 40, "output_tokens": 20, "reasoning_output_tokens": 5}
        return {"total_token_usage": total, "last_token_usage": {"input_tokens": 1, "cached_input_tokens": 0}}

    (spent,) = summed(event(100), event(300)).summary.spent()
    assert spent.tokens.input == 300


def test_a_response_names_its_model_and_call() -> None:
    raw = {"id": "resp_1", "model": "gpt-5.2", "usage": {"input_tokens": 3, "output_tokens": 4}}
    (used,) = normalised(raw)
    assert (used.model, used.call, used.input) == ("gpt-5.2", "resp_1", 3)


def test_a_message_of_langchain_names_its_model_in_its_metadata() -> None:
    raw = SimpleNamespace(
        id="lc_1", usage_metadata={"input_tokens": 3, "output_tokens": 4}, response_metadata={"model_name": "m"}
    )
    (used,) = normalised(raw)
    assert (used.model, used.call) == ("m", "lc_1")


def test_what_the_caller_says_goes_first() -> None:
    raw = {"id": "resp_1", "model": "gpt-5.2", "usage": {"input_tokens": 3, "output_tokens": 4}}
    (used,) = normalised(raw, provider="azure", model="mine", call="c", cost=0.25)
    assert used == Usage(model="mine", provider="azure", input=3, output=4, call="c", cost=0.25)


def test_a_cost_that_a_provider_reports_is_kept() -> None:
    assert normalised({"usage": {"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.002}})[0].cost == 0.002


@pytest.mark.parametrize("raw", [None, {}, "text", 7, {"usage": None}, SimpleNamespace(usage={"tokens": 3})])
def test_what_says_nothing_of_tokens_is_refused(raw: Any) -> None:
    with pytest.raises(UsageError):
        normalised(raw)


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), "7", True, None, 1 << 70])
def test_what_is_no_count_is_none(bad: Any) -> None:
    assert counts({"input_tokens": 5, "output_tokens": bad}) == (5, 0, 0, 0, 0)
