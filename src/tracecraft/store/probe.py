"""Finds out by racing what a store really promises. Many servers keep conditions for one writer and not for many."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import msgspec

from tracecraft.errors import Conflict, NotFound, Unknown, Unreachable, UnsafeStore
from tracecraft.store.base import Store
from tracecraft.store.waves import pause, run_wave

RACERS = 16
ROUNDS = 3

_ATTEMPTS = 5
"""How often a store that is asked too much is asked again."""


class Findings(msgspec.Struct, frozen=True):
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
    if not _takes_effect(lambda: store.put(key, b"alone", if_match=store.head(key).etag)):
        return False
    etag = store.head(key).etag
    bodies = [b"swap %d" % racer for racer in range(RACERS)]
    won = _one_wins(store, key, bodies, [partial(store.put, key, body, if_match=etag) for body in bodies])
    with suppress(Unknown, Unreachable):
        _takes_effect(partial(store.put, key, b"stale", if_match=etag))
    return won and store.get(key).data != b"stale"


def _takes_effect(write: Callable[[], str]) -> bool:
    """Whether a write without rivals is not refused. It waits for a store that allows one write a second and key."""
    for attempt in range(_ATTEMPTS):
        try:
            write()
        except Conflict:
            return False
        except Unknown as error:
            if not error.throttled or attempt + 1 == _ATTEMPTS:
                raise
            time.sleep(pause(attempt, throttled=True))
        else:
            return True
    raise AssertionError("unreachable")


def _one_wins(store: Store, key: str, bodies: list[bytes], writes: list[partial[str]]) -> bool:
    """Whether at most one racer was told that it won, and what is stored is what it wrote.

    A racer that got no clear answer may be the winner; then nobody else may be. A race in which a store that was asked
    too much let nobody through is no race, and run again.
    """
    for attempt in range(_ATTEMPTS):
        outcomes = _race(writes)
        there = _content(store, key)
        if there in bodies or "won" in outcomes or "throttled" not in outcomes:
            break
        time.sleep(pause(attempt, throttled=True))
    winners = [body for body, outcome in zip(bodies, outcomes, strict=True) if outcome == "won"]
    if winners:
        return winners == [there]
    return there in [body for body, outcome in zip(bodies, outcomes, strict=True) if outcome != "lost"]


def _race(writes: list[partial[str]]) -> list[str]:
    """What each of these writes, which begin together, was told: won, lost, throttled or unknown."""
    barrier = threading.Barrier(len(writes))

    def run(write: partial[str]) -> str:
        barrier.wait(timeout=30)
        try:
            write()
        except Conflict:
            return "lost"
        except Unknown as error:
            return "throttled" if error.throttled else "unknown"
        except Unreachable:
            return "unknown"
        return "won"

    # Not store.together: a folder runs its waves in order, and this must race on every store.
    return run_wave([partial(run, write) for write in writes])


def _content(store: Store, key: str) -> bytes | None:
    try:
        return store.get(key).data
    except NotFound:
        return None
