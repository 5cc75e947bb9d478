"""Finds out by racing what a store really promises. Many servers keep conditions for one writer and not for many."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from tracecraft.errors import Conflict, NotFound, Unknown, Unreachable, UnsafeStore
from tracecraft.store.base import Store
from tracecraft.store.waves import run_wave

RACERS = 16
ROUNDS = 3


@dataclass(frozen=True)
class Findings:
    """What the probe saw. `refuses` means the store openly says that it has no conditional writes."""

    atomic_create: bool
    compare_and_swap: bool
    refuses: bool
    not_modified: bool
    list_after_write: bool


def probe(store: Store, folder: str) -> Findings:
    """Race creates and swaps on keys of their own below `folder` (ending in `/`), which are removed again."""
    mine = f"{folder}{os.urandom(6).hex()}-"
    creates = [f"{mine}create-{round_}" for round_ in range(ROUNDS)]
    swaps = [f"{mine}swap-{round_}" for round_ in range(ROUNDS)]
    seen = f"{mine}seen"
    try:
        created = [_one_create_wins(store, key) for key in creates]
        swapped = [_one_swap_wins(store, key) for key in swaps]
        refuses = False
    except UnsafeStore:
        created, swapped, refuses = [False], [False], True
    store.put(seen, b"seen")
    findings = Findings(
        atomic_create=all(created),
        compare_and_swap=all(swapped),
        refuses=refuses,
        not_modified=store.get_if_changed(seen, store.head(seen).etag) is None,
        list_after_write=any(info.key == seen for info in store.list(folder)),
    )
    store.together([partial(store.delete, key) for key in (*creates, *swaps, seen)])
    return findings


def _one_create_wins(store: Store, key: str) -> bool:
    bodies = [b"create %d" % racer for racer in range(RACERS)]
    return _one_wins(store, key, bodies, [partial(store.put, key, body, if_absent=True) for body in bodies])


def _one_swap_wins(store: Store, key: str) -> bool:
    store.put(key, b"before")
    # One swap alone first, so that a store's quoting of etags is known before the race.
    try:
        store.put(key, b"alone", if_match=store.head(key).etag)
    except Conflict:
        return False
    etag = store.head(key).etag
    bodies = [b"swap %d" % racer for racer in range(RACERS)]
    won = _one_wins(store, key, bodies, [partial(store.put, key, body, if_match=etag) for body in bodies])
    with suppress(Conflict, Unknown, Unreachable):
        store.put(key, b"stale", if_match=etag)
    return won and store.get(key).data != b"stale"


def _one_wins(store: Store, key: str, bodies: list[bytes], writes: list[partial[str]]) -> bool:
    """Whether at most one racer was told that it won, and what is stored is what it wrote.

    A racer that got no clear answer may be the winner; then nobody else may be.
    """
    barrier = threading.Barrier(len(writes))

    def race(write: partial[str]) -> str:
        barrier.wait(timeout=30)
        try:
            write()
        except Conflict:
            return "lost"
        except (Unknown, Unreachable):
            return "unknown"
        return "won"

    # Not store.together: a folder runs its waves in order, and this must race on every store.
    outcomes = run_wave([partial(race, write) for write in writes])
    try:
        there = store.get(key).data
    except NotFound:
        return False
    winners = [body for body, outcome in zip(bodies, outcomes, strict=True) if outcome == "won"]
    if winners:
        return winners == [there]
    maybe = [body for body, outcome in zip(bodies, outcomes, strict=True) if outcome == "unknown"]
    return there in maybe
