"""What providers and frameworks say of used tokens, brought into the one form in which a run keeps it.

Kept inclusive: `input` is all that was sent, also what came from or went into a cache. Anthropic and Bedrock count what
a cache held apart from their input; OpenAI, LangChain, pydantic-ai and OpenTelemetry within it. Which one speaks is
told by the names it uses. Whole responses are taken too: they name the model and the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tracecraft.errors import UsageError
from tracecraft.runs.log import Usage

_WHERE_USAGE_IS = ("usage", "usage_metadata", "usageMetadata", "usage_details", "models_usage")
_MODEL_NAMES = ("model", "model_name", "model_version", "modelVersion", "model_id", "response_model")
_CALL_NAMES = ("message_id", "response_id", "responseId", "id")
_COST_NAMES = ("cost", "total_cost_usd", "total_cost")
_GEN_AI = "gen_ai.usage."


def normalised(
    raw: Any, *, provider: str = "", model: str = "", call: str = "", cost: float | None = None
) -> list[Usage]:
    """What `raw` says was used: usually one entry, but one for each model where sums of a session are told by model.

    `raw` is a usage object or a whole response, as an object or as a mapping. What is given beside it goes before what
    it says itself. Sums that grow over a session come with `running`.
    Raises UsageError for what says nothing of tokens.
    """
    if (sums := _get(raw, "model_usage", "modelUsage")) and isinstance(sums, Mapping):
        session = call or _text(raw, "session_id", "sessionId")
        return [_session_sum(name, said, session, provider) for name, said in sums.items()]
    usage = _usage_within(raw)
    used = _counted(usage)
    if used is None:
        raise UsageError(
            f"nothing is said of tokens in this {type(raw).__name__}",
            hint="give a provider's usage or response, or the numbers: log_usage(model=..., input=..., output=...)",
        )
    used.provider = provider or used.provider or _text(raw, "provider", "provider_name")
    used.model = model or used.model or _model_of(raw)
    used.cost = cost if cost is not None else _dollars(raw, usage)
    if _get(raw, "total_cost_usd") is not None:
        # What a turn used, with what the whole session cost so far.
        used.running = True
        call = call or _text(raw, "session_id")
    used.call = call or used.call or _text(raw, *_CALL_NAMES)
    return [used]


def _usage_within(raw: Any) -> Any:
    """The part of a response that speaks of tokens; a usage object is that itself."""
    for name in _WHERE_USAGE_IS:
        found = _get(raw, name)
        if callable(found):
            found = found()
        if found is not None and _counted(found) is not None:
            return found
    return raw


def _counted(usage: Any) -> Usage | None:
    """The counts in a usage object, by the first shape that fits."""
    for shape in _SHAPES:
        found = shape(usage)
        if found is not None:
            return found
    return None


def _codex(usage: Any) -> Usage | None:
    """Codex tells the sum of a session; `cached_input_tokens` are part of its input."""
    total = _get(usage, "total_token_usage")
    said = total if total is not None else usage
    if not _has(said, "cached_input_tokens"):
        return None
    return Usage(
        input=_number(said, "input_tokens"),
        output=_number(said, "output_tokens"),
        cache_read=_number(said, "cached_input_tokens"),
        reasoning=_number(said, "reasoning_output_tokens"),
        running=total is not None,
    )


def _opentelemetry(usage: Any) -> Usage | None:
    """Attributes of a span; its input counts caches."""
    if not (_has(usage, _GEN_AI + "input_tokens") or _has(usage, _GEN_AI + "output_tokens")):
        return None
    return Usage(
        model=_text(usage, "gen_ai.response.model", "gen_ai.request.model"),
        provider=_text(usage, "gen_ai.provider.name", "gen_ai.system"),
        input=_number(usage, _GEN_AI + "input_tokens"),
        output=_number(usage, _GEN_AI + "output_tokens"),
        cache_read=_number(usage, _GEN_AI + "cache_read.input_tokens"),
        cache_write=_number(usage, _GEN_AI + "cache_creation.input_tokens"),
        reasoning=_number(usage, _GEN_AI + "reasoning.output_tokens"),
        call=_text(usage, "gen_ai.response.id"),
    )


def _google(usage: Any) -> Usage | None:
    """Gemini counts caches within its prompt, but thoughts and what tools were given apart."""
    if not (_has(usage, "prompt_token_count") or _has(usage, "promptTokenCount")):
        return None
    thoughts = _number(usage, "thoughts_token_count", "thoughtsTokenCount")
    return Usage(
        input=_number(usage, "prompt_token_count", "promptTokenCount")
        + _number(usage, "tool_use_prompt_token_count", "toolUsePromptTokenCount"),
        output=_number(usage, "candidates_token_count", "candidatesTokenCount") + thoughts,
        cache_read=_number(usage, "cached_content_token_count", "cachedContentTokenCount"),
        reasoning=thoughts,
    )


def _prompt_tokens(usage: Any) -> Usage | None:
    """OpenAI's chat and who speaks like it (CrewAI, LiteLLM, AutoGen). A prompt is all of it, whatever else
    is said.

    Hermes tells both: `prompt_tokens` with, and `input_tokens` without what a cache held.
    """
    if not _has(usage, "prompt_tokens"):
        return None
    sent, got = _get(usage, "prompt_tokens_details"), _get(usage, "completion_tokens_details")
    return Usage(
        input=_number(usage, "prompt_tokens"),
        output=_number(usage, "completion_tokens", "output_tokens"),
        cache_read=_number(sent, "cached_tokens")
        or _number(usage, "cached_prompt_tokens", "cache_read_tokens", "cache_read_input_tokens"),
        cache_write=_number(sent, "cache_write_tokens", "cache_creation_tokens")
        or _number(usage, "cache_write_tokens", "cache_creation_input_tokens"),
        reasoning=_number(got, "reasoning_tokens") or _number(usage, "reasoning_tokens"),
    )


def _exclusive(usage: Any) -> Usage | None:
    """Anthropic, Bedrock and the Claude SDK count what caches held apart."""
    names = {
        "cache_read_input_tokens": ("input_tokens", "output_tokens", "cache_creation_input_tokens"),
        "cache_creation_input_tokens": ("input_tokens", "output_tokens", "cache_creation_input_tokens"),
        "cacheReadInputTokens": ("inputTokens", "outputTokens", "cacheCreationInputTokens"),
        "inputTokens": ("inputTokens", "outputTokens", "cacheCreationInputTokens"),
    }
    shape = next((shape for name, shape in names.items() if _has(usage, name)), None)
    if shape is None:
        return None
    read = _number(usage, "cache_read_input_tokens", "cacheReadInputTokens")
    written = _number(usage, shape[2], "cacheWriteInputTokens")
    return Usage(
        input=_number(usage, shape[0]) + read + written,
        output=_number(usage, shape[1]),
        cache_read=read,
        cache_write=written,
    )


def _input_tokens(usage: Any) -> Usage | None:
    """OpenAI's responses, LangChain, pydantic-ai and genai-prices count caches within the input."""
    if not (_has(usage, "input_tokens") or _has(usage, "output_tokens")):
        return None
    sent = _get(usage, "input_tokens_details", "input_token_details")
    got = _get(usage, "output_tokens_details", "output_token_details")
    read = _number(sent, "cached_tokens", "cache_read") or _number(usage, "cache_read_tokens")
    written = _number(sent, "cache_write_tokens", "cache_creation") or _number(usage, "cache_write_tokens")
    used = Usage(
        input=_number(usage, "input_tokens"),
        output=_number(usage, "output_tokens"),
        cache_read=read,
        cache_write=written,
        reasoning=_number(got, "reasoning_tokens", "reasoning") or _number(usage, "reasoning_tokens"),
    )
    # The same names with caches apart, where a sum beside them says so.
    if (read or written) and _number(usage, "total_tokens") == used.input + used.output + read + written:
        used.input += read + written
    return used


def _token_counts(usage: Any) -> Usage | None:
    """Microsoft's Agent Framework."""
    if not _has(usage, "input_token_count"):
        return None
    return Usage(input=_number(usage, "input_token_count"), output=_number(usage, "output_token_count"))


_SHAPES: tuple[Callable[[Any], Usage | None], ...] = (
    _codex, _opentelemetry, _google, _prompt_tokens, _exclusive, _input_tokens, _token_counts,
)  # fmt: skip


def _session_sum(model: str, said: Any, session: str, provider: str) -> Usage:
    """What one model used over a session of Claude Code, its subagents with it."""
    used = _exclusive(said) or Usage()
    used.model, used.provider = str(model), provider or "anthropic"
    used.cost = _dollar(_get(said, "costUSD", "cost_usd"))
    used.call, used.running = f"{session}:{model}", True
    return used


def _model_of(raw: Any) -> str:
    return _text(raw, *_MODEL_NAMES) or _text(_get(raw, "response_metadata"), *_MODEL_NAMES)


def _dollars(raw: Any, usage: Any) -> float | None:
    for said in (raw, usage):
        for name in _COST_NAMES:
            if (cost := _dollar(_get(said, name))) is not None:
                return cost
    return None


def _dollar(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _get(raw: Any, *names: str) -> Any:
    """The first of these that is there, in a mapping or as an attribute."""
    for name in names:
        found = raw.get(name) if isinstance(raw, Mapping) else getattr(raw, name, None)
        if found is not None:
            return found
    return None


def _has(raw: Any, name: str) -> bool:
    found = _get(raw, name)
    return isinstance(found, int | float) and not isinstance(found, bool)


def _number(raw: Any, *names: str) -> int:
    for found in _all(raw, names):
        if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < 1 << 62:
            return int(found)
    return 0


def _text(raw: Any, *names: str) -> str:
    return next((found for found in _all(raw, names) if isinstance(found, str)), "")


def _all(raw: Any, names: tuple[str, ...]) -> Iterator[Any]:
    return (found for name in names if (found := _get(raw, name)) is not None)
