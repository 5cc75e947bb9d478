"""What tokens cost by a model's list price, from the price list of the `prices` extra. Nothing is asked of a network.

A price is an estimate, for where nobody reports what was paid. It knows no discounts. Many calls are priced together,
so prices that depend on the size of one call are taken at their lowest, and what is written into a cache counts as kept
for the shortest time.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Protocol

_MANY = 1000
"""Tokens of which a price is asked, few enough for the lowest."""


class Tokens(Protocol):
    """Tokens that were used. `input` is without what came from or went into a cache; `output` is with reasoning."""

    @property
    def input(self) -> int: ...
    @property
    def output(self) -> int: ...
    @property
    def cache_read(self) -> int: ...
    @property
    def cache_write(self) -> int: ...


class _Rates(NamedTuple):
    """US dollars for a token."""

    input: float
    output: float
    cache_read: float
    cache_write: float


def source() -> str | None:
    """The price list and its version; None where it is not installed."""
    try:
        import genai_prices
    except ImportError:
        return None
    return f"genai-prices {genai_prices.__version__}"


def dollars(model: str, tokens: Tokens, at: datetime | None = None) -> float | None:
    """The price in US dollars, of that time or of today; None where the model is not known or there is no list."""
    rates = _rates(model, at)
    if rates is None:
        return None
    return (
        rates.input * tokens.input
        + rates.output * tokens.output
        + rates.cache_read * tokens.cache_read
        + rates.cache_write * tokens.cache_write
    )


@lru_cache(maxsize=1024)
def _rates(model: str, at: datetime | None) -> _Rates | None:
    """The rates of a model, which may be named with its provider before it."""
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    # The list counts what came from or went into a cache as input too.
    single = (
        Usage(input_tokens=_MANY),
        Usage(output_tokens=_MANY),
        Usage(input_tokens=_MANY, cache_read_tokens=_MANY),
        Usage(input_tokens=_MANY, cache_write_tokens=_MANY),
    )
    for name in dict.fromkeys((model, model.rpartition("/")[2])):
        try:
            prices = [calc_price(usage, name, genai_request_timestamp=at).total_price for usage in single]
        except (LookupError, ValueError):
            continue
        return _Rates(*(float(price) / _MANY for price in prices))
    return None
