"""Runs calls that wait on a network side by side, and says how long to wait between attempts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from tracecraft.clock import jitter

T = TypeVar("T")

IN_FLIGHT = 64


def run_wave(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run all calls, at most 64 at a time, one of these in the thread of the caller, and return their results in order.

    Every call is finished when this returns; the first failure in order is raised then.
    """
    results: dict[int, T] = {}
    failures: dict[int, BaseException] = {}
    waiting = iter(range(len(calls)))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                index = next(waiting, None)
            if index is None:
                return
            try:
                results[index] = calls[index]()
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                failures[index] = error

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(IN_FLIGHT, len(calls)) - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[min(failures)]
    return [results[index] for index in range(len(calls))]


def run_in_order(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The same contract for a store where threads would cost more than they save."""
    results: list[T] = []
    failure: BaseException | None = None
    for call in calls:
        try:
            results.append(call())
        except Exception as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return results


def pause(attempt: int, *, throttled: bool = False) -> float:
    """Seconds to wait before attempt number `attempt` + 2. R2 and GCS allow one write a second and key."""
    backoff: float = 0.1 * 2**attempt * jitter(0.5, 1.0)
    return backoff + jitter(1.1, 2.2) if throttled else backoff
