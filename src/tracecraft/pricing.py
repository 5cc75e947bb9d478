"""What tokens cost: by the user's own prices, else by the price list of the `prices` extra. No network is asked.

A price is an estimate, for where nobody reports what was paid. It knows no discounts. Many calls are priced together,
so prices that depend on the size of one call are taken at their lowest, and what is written into a cache counts as kept
for the shortest time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, Protocol

from tracecraft import ownprices

_MANY = 1000
"""Tokens of which a price is asked, few enough for the lowest."""
_MILLION = 1_000_000


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


class Price(NamedTuple):
    """US dollars, and whose prices they were made with: `prices.json`, or the price list and its version."""

    dollars: float
    source: str


class _Rates(NamedTuple):
    """US dollars for a token."""

    input: float
    output: float
    cache_read: float
    cache_write: float


def price(model: str, tokens: Tokens, at: datetime | None = None, provider: str = "") -> Price | None:
    """What the tokens cost, by the prices of that time or of today; None where nothing is known of the model.

    Raises UsageError where the user's prices cannot be read.
    """
    own = _own_rates(model, provider)
    rates = own or _listed_rates(model, provider, at)
    if rates is None:
        return None
    source = ownprices.SOURCE if own else _list_name()
    dollars = (
        rates.input * tokens.input
        + rates.output * tokens.output
        + rates.cache_read * tokens.cache_read
        + rates.cache_write * tokens.cache_write
    )
    return Price(dollars, source)


def day(seconds: float | None) -> datetime | None:
    """The day of a time in seconds since 1970, for prices are of a day."""
    try:
        moment = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # years that no calendar has
        return None
    return moment and moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _own_rates(model: str, provider: str) -> _Rates | None:
    own = ownprices.rates(model, provider)
    if own is None:
        return None
    cache_read = own.input if own.cache_read is None else own.cache_read
    cache_write = own.input if own.cache_write is None else own.cache_write
    return _Rates(*(dollars / _MILLION for dollars in (own.input, own.output, cache_read, cache_write)))


def _list_name() -> str:
    """The price list, which is installed, and its version."""
    import genai_prices

    return f"genai-prices {genai_prices.__version__}"


@lru_cache(maxsize=1024)
def _listed_rates(model: str, provider: str, at: datetime | None) -> _Rates | None:
    """The rates of a model, which may be named with its provider before it.

    The list has names of its own for providers. Where it knows none of that name, or not this model of it, the model's
    name alone counts.
    """
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
    names = (model, model.rpartition("/")[2])
    asked = [(name, known) for known in (provider or None, None) for name in names]
    for name, known in dict.fromkeys(asked):
        try:
            prices = [calc_price(use, name, provider_id=known, genai_request_timestamp=at) for use in single]
        except (LookupError, ValueError):
            continue
        return _Rates(*(float(found.total_price) / _MANY for found in prices))
    return None
