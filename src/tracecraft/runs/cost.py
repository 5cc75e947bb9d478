"""What runs cost: computed when it is read, from the usage that was stored, so that a better price list mends the past.

What a provider reported is taken as it is. The rest is priced by the user's own prices or the price list, of the day
on which the run was last heard of. A model without a price is `unpriced`, which is never the same as free.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import msgspec

from tracecraft import pricing
from tracecraft.runs.log import Usage
from tracecraft.runs.summary import Spent, Summary, Tokens

_AND = " and "
REPORTED = "reported"
"""The source of a cost that a provider told."""


class Exclusive(NamedTuple):
    """Tokens as `pricing` counts them: `input` without what came from or went into a cache."""

    input: int
    output: int
    cache_read: int
    cache_write: int


class Share(msgspec.Struct):
    """What an agent, a model, or a whole run used and cost.

    `dollars` is None where no price is known at all, else `reported` and `computed` together; `unpriced` are the models
    that were used and are in no sum. `calls` counts calls of models, sums that are reported as such as one.
    """

    dollars: float | None = None
    reported: float = 0.0
    computed: float = 0.0
    unpriced: list[str] = msgspec.field(default_factory=list)
    calls: int = 0
    tokens: Tokens = msgspec.field(default_factory=Tokens)

    def add(self, part: _Part) -> None:
        self.calls += part.spent.calls
        self.tokens.add(part.spent.tokens)
        if part.reported is not None:
            self.reported += part.reported
        if part.computed is not None:
            self.computed += part.computed.dollars
        if part.reported is not None or part.computed is not None:
            self.dollars = self.reported + self.computed
        if part.unpriced and part.spent.model not in self.unpriced:
            self.unpriced.append(part.spent.model)


class Cost(Share):
    """What a run cost in US dollars. `source` tells who says so: `reported`, prices.json, the price list's version, or
    several of them; None where nothing is priced. An agent "" is the run itself, a model "" is one that is not told."""

    source: str | None = None
    by_agent: dict[str, Share] = msgspec.field(default_factory=dict)
    by_model: dict[str, Share] = msgspec.field(default_factory=dict)


class _Part(NamedTuple):
    """What one agent's calls of one model cost; `unpriced` where some of it is not known."""

    spent: Spent
    reported: float | None
    computed: pricing.Price | None
    unpriced: bool


def cost_of(summary: Summary) -> Cost:
    """What a run cost, by agent and by model too. Raises UsageError where the user's prices cannot be read."""
    day = pricing.day(summary.last or None)
    parts = [_part(spent, day) for spent in summary.spent()]
    cost = Cost()
    for part in parts:
        cost.add(part)
        cost.by_agent.setdefault(part.spent.agent, Share()).add(part)
        cost.by_model.setdefault(part.spent.model, Share()).add(part)
    cost.source = _AND.join(_sources(parts)) or None
    return cost


def cost_of_call(usage: Usage) -> float | None:
    """What one line of usage cost in US dollars: as reported, else by the price of its day; None where unknown."""
    if usage.cost is not None:
        return usage.cost
    tokens = exclusive(Tokens(usage.input, usage.output, usage.cache_read, usage.cache_write))
    found = pricing.price(usage.model, tokens, pricing.day(usage.at or None), usage.provider)
    return found.dollars if found else None


def exclusive(tokens: Tokens) -> Exclusive:
    """The tokens of a run, whose `input` holds everything that was sent, as prices are asked for them.

    Where a cache is said to have held more than was sent, nothing is left of the input.
    """
    fresh = max(0, tokens.input - tokens.cache_read - tokens.cache_write)
    return Exclusive(fresh, tokens.output, tokens.cache_read, tokens.cache_write)


def _part(spent: Spent, day: datetime | None) -> _Part:
    reported = spent.cost if spent.calls > spent.calls_unreported else None
    left = exclusive(spent.unreported)
    if not any(left):
        return _Part(spent, reported, None, False)
    computed = pricing.price(spent.model, left, day, spent.provider)
    return _Part(spent, reported, computed, computed is None)


def _sources(parts: Iterable[_Part]) -> Iterable[str]:
    """Who tells the parts of a cost, each once: what was reported first."""
    if any(part.reported is not None for part in parts):
        yield REPORTED
    yield from dict.fromkeys(part.computed.source for part in parts if part.computed)
