"""What a collection counts, of one kind of things."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tracecraft.store import Info


@dataclass
class Tally:
    """What is removed, or would be.

    `oldest` and `newest` are times of the store, None where there is nothing. `requests` is how many it takes beside
    listings. `counts` tells what the objects are, or what was made of them; `kept` what was old enough and stays, by
    reason. `names` are the agents removed, `waiting_for` those whose unread broadcasts stay for them.
    """

    objects: int = 0
    bytes: int = 0
    requests: int = 0
    oldest: float | None = None
    newest: float | None = None
    counts: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)
    waiting_for: list[str] = field(default_factory=list)

    def add(self, info: Info) -> None:
        """Count an object that goes."""
        self.objects += 1
        self.bytes += info.size
        self.oldest = info.modified if self.oldest is None else min(self.oldest, info.modified)
        self.newest = info.modified if self.newest is None else max(self.newest, info.modified)
