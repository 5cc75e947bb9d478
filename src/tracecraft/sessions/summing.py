"""What sessions come to: from their manifests at once, or from a whole transcript; and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from tracecraft import pricing
from tracecraft.records import Stored
from tracecraft.sessions.harness import MAIN, Harness
from tracecraft.sessions.manifest import Manifest
from tracecraft.sessions.message import About, Usage
from tracecraft.sessions.reading import Stream, entries
from tracecraft.sessions.splitting import LongLine
from tracecraft.sessions.statistics import Fold, Statistics
from tracecraft.sessions.times import seconds_of

if TYPE_CHECKING:
    from tracecraft.project import Project

_AND = " and "
REPORTED = "reported"
"""The source of a cost that a harness or provider told."""


class Cost(msgspec.Struct, frozen=True):
    """What models cost in US dollars; None where no price is known at all.

    `source` is `reported`, the price list, or both. `unpriced` are the models that were used and are in no sum.
    """

    usd: float | None = None
    source: str = ""
    unpriced: Sequence[str] = ()


def of_streams(manifest: Manifest) -> Sequence[Statistics]:
    """The statistics of each stream as its mirrorer counted them, the main one's first. 0.2.x counted none."""
    found = []
    for stream in [MAIN, *(name for name in manifest.streams() if name != MAIN)]:
        parts, current = manifest.latest(stream), manifest.current(stream)
        counted = current and (not parts or parts[0].g == current.g)
        found.append(Fold.from_json(current.fold if current and counted else {}).statistics)
    return found


def of_transcript(project: Project, stored: Stored[Manifest], harness: Harness) -> Statistics:
    """The statistics of a whole session, read from the store. Raises Corrupt, Missing.

    What several streams tell of one call of a model counts once.
    """
    fold = Fold()
    for name in stored.record.streams():
        stream = Stream(project, stored, name)
        if stream.is_text:
            continue
        for line in stream.lines():
            if name == MAIN and not isinstance(line, LongLine):
                fold.feed_line(harness, line)
                continue
            for entry in entries(harness, line):
                if not isinstance(entry, About):
                    fold.feed(entry)
    return fold.statistics


def together(several: Sequence[Statistics]) -> Statistics:
    """The statistics of several streams as one; facts such as the title are the first one's."""
    first = several[0] if several else Statistics()
    times = sorted(
        (seconds, at)
        for one in several
        for at in (one.first, one.last)
        if (seconds := seconds_of(at) if at else None) is not None
    )
    reported = [one.cost for one in several if one.cost is not None]
    return Statistics(
        title=first.title,
        cwd=first.cwd,
        branch=first.branch,
        version=first.version,
        parent=first.parent,
        models=list(dict.fromkeys(model for one in several for model in one.models)),
        messages=counted(one.messages for one in several),
        tools=counted(one.tools for one in several),
        failed=sum(one.failed for one in several),
        unreadable=sum(one.unreadable for one in several),
        usage=_used(one.usage for one in several),
        cost=sum(reported) if reported else None,
        first=times[0][1] if times else "",
        last=times[-1][1] if times else "",
    )


def cost_of(several: Iterable[Statistics]) -> Cost:
    """What was reported, and of streams of which nothing was, what it costs by the price list."""
    return sum_of([_reported(one) if one.cost is not None else _by_list(one) for one in several])


def _reported(statistics: Statistics) -> Cost:
    return Cost(statistics.cost, REPORTED)


def _by_list(statistics: Statistics) -> Cost:
    day = pricing.day(seconds_of(statistics.last) if statistics.last else None)
    used = [model for model, usage in statistics.usage.items() if _total(usage)]
    prices = {model: pricing.price(model, statistics.usage[model], day) for model in used}
    return sum_of(
        [
            Cost(unpriced=[model]) if price is None else Cost(price.dollars, price.source)
            for model, price in prices.items()
        ]
    )


def sum_of(costs: Sequence[Cost]) -> Cost:
    """Several costs as one."""
    usd = [cost.usd for cost in costs if cost.usd is not None]
    sources = [source for cost in costs for source in cost.source.split(_AND) if source]
    unpriced = [model for cost in costs for model in cost.unpriced]
    return Cost(sum(usd) if usd else None, _AND.join(dict.fromkeys(sources)), tuple(dict.fromkeys(unpriced)))


def redactions(manifest: Manifest) -> dict[str, int]:
    """What redaction took out of the streams as they are now, by rule."""
    return counted(part.redactions for stream in manifest.streams() for part in manifest.latest(stream))


def size(manifest: Manifest) -> int:
    """Bytes of the streams as they are now."""
    return sum(part.uploaded_bytes for stream in manifest.streams() for part in manifest.latest(stream))


def counted(several: Iterable[dict[str, int]]) -> dict[str, int]:
    """Several counts as one."""
    total: Counter[str] = Counter()
    for one in several:
        total.update(one)
    return dict(total)


def _used(several: Iterable[dict[str, Usage]]) -> dict[str, Usage]:
    total: dict[str, Usage] = {}
    for one in several:
        for model, usage in one.items():
            before = total.get(model, Usage())
            sums = {name: getattr(before, name) + getattr(usage, name) for name in Usage.__struct_fields__}
            total[model] = Usage(**sums)
    return total


def _total(usage: Usage) -> int:
    return usage.input + usage.output + usage.cache_read + usage.cache_write
