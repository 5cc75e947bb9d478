"""What the logs say: verdicts on races, counts, latencies, rates and deliveries. Everything shown is computed here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from benchmarks.contention.logs import REFUSED, WON, Burst, Trial
from benchmarks.contention.stores import CONTROL

ONE_WINNER = "one winner"
VIOLATION = "violation"
UNDECIDED = "undecided"
"""Nobody was told that it won, and somebody was told of an error: the store says who has the step, if anybody."""

Curve = list[tuple[float, float]]


def verdict(trial: Trial) -> str:
    """Whether a race ended as it must: one winner, whom the stored claim names under the same fence, and all know."""
    winners = [place for place, outcome in enumerate(trial.outcomes) if outcome == WON]
    errors = [outcome for outcome in trial.outcomes if outcome not in (WON, REFUSED)]
    if any(holder != trial.stored_agent for holder in trial.holders if holder):
        return VIOLATION
    if not winners and errors:
        return UNDECIDED
    if len(winners) != 1 or trial.names[winners[0]] != trial.stored_agent or trial.stored_state != "in_progress":
        return VIOLATION
    return ONE_WINNER if trial.fences[winners[0]] == trial.stored_fence == 1 else VIOLATION


@dataclass(frozen=True)
class Count:
    """How so many races ended."""

    races: int
    claims: int
    one_winner: int
    violations: int
    undecided: int
    errors: int
    """Claims that were neither won nor refused."""


def count(trials: Iterable[Trial]) -> Count:
    trials = list(trials)
    verdicts = Counter(verdict(trial) for trial in trials)
    return Count(
        races=len(trials),
        claims=sum(len(trial.outcomes) for trial in trials),
        one_winner=verdicts[ONE_WINNER],
        violations=verdicts[VIOLATION],
        undecided=verdicts[UNDECIDED],
        errors=sum(1 for trial in trials for outcome in trial.outcomes if outcome not in (WON, REFUSED)),
    )


class Spread(NamedTuple):
    """Latencies in milliseconds."""

    p50: float
    p95: float
    longest: float


def spread(values: Sequence[float]) -> Spread | None:
    """None where there are no values."""
    if not values:
        return None
    return Spread(percentile(values, 50), percentile(values, 95), max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def latencies(trials: Iterable[Trial], outcome: str) -> list[float]:
    """Of all claims that ended so."""
    return [
        latency
        for trial in trials
        for latency, said in zip(trial.latency_ms, trial.outcomes, strict=True)
        if said == outcome
    ]


def claims_per_second(trial: Trial) -> float:
    """All claims of a race, over the time from the first call to the last answer."""
    ended = max(start + took for start, took in zip(trial.start_ms, trial.latency_ms, strict=True))
    return 1000 * len(trial.outcomes) / max(ended, 0.01)


def winning_places(trials: Iterable[Trial]) -> Counter[int]:
    """How often the agent that started first (0), second (1) and so on won, among races with one winner."""
    return Counter(trial.outcomes.index(WON) for trial in trials if verdict(trial) == ONE_WINNER)


def decides(store: str) -> bool:
    """Whether a store is one that decides conditional writes; the control is not."""
    return store != CONTROL


def stores_of(trials: Iterable[Trial]) -> list[str]:
    """The stores of the log, the control last."""
    return sorted({trial.store for trial in trials}, key=lambda store: (not decides(store), _rank(store), store))


def pick(
    trials: Iterable[Trial],
    *,
    store: str | None = None,
    mode: str | None = None,
    schedule: str | None = None,
    agents: int | None = None,
) -> list[Trial]:
    """The trials of a kind; None takes any."""
    return [
        trial
        for trial in trials
        if store in (None, trial.store)
        and mode in (None, trial.mode)
        and schedule in (None, trial.schedule)
        and agents in (None, trial.agents)
    ]


def kinds(trials: Iterable[Trial]) -> list[tuple[tuple[str, str, int], list[Trial]]]:
    """Trials by mode, schedule and number of agents, in that order."""

    def kind(trial: Trial) -> tuple[str, str, int]:
        return trial.mode, trial.schedule, trial.agents

    return [(key, list(group)) for key, group in groupby(sorted(trials, key=kind), key=kind)]


# Messages


@dataclass(frozen=True)
class Delivery:
    """What became of a burst. Seconds are from the first message begun; rates are per second."""

    sent: int
    expected: int
    delivered: int
    lost: int
    repeated: int
    unexpected: int
    errors: int
    sending: float
    draining: float

    @property
    def exactly_once(self) -> bool:
        return not (self.lost or self.repeated or self.unexpected or self.errors)

    @property
    def sent_rate(self) -> float:
        return self.sent / max(self.sending, 0.001)

    @property
    def read_rate(self) -> float:
        return self.delivered / max(self.draining, 0.001)


def delivery(burst: Burst) -> Delivery:
    readers, senders = burst.readers, burst.senders
    return Delivery(
        sent=sum(sender.sent for sender in senders),
        expected=sum(reader.expected for reader in readers),
        delivered=sum(count for reader in readers for _, count in reader.batches),
        lost=sum(reader.lost for reader in readers),
        repeated=sum(reader.repeated for reader in readers),
        unexpected=sum(reader.unexpected for reader in readers),
        errors=sum(len(sender.errors) for sender in senders) + sum(len(reader.errors) for reader in readers),
        sending=max((sender.ended for sender in senders), default=0.0),
        draining=max((at for reader in readers for at, _ in reader.batches), default=0.0),
    )


def sent_curve(burst: Burst) -> Curve:
    """Seconds, and how many messages were stored by then."""
    return _summed(
        (sender.began + 0.1 * (tenth + 1), sent)
        for sender in burst.senders
        for tenth, sent in enumerate(sender.curve)
        if sent
    )


def read_curve(burst: Burst) -> Curve:
    """Seconds, and how many messages had been shown by then, a broadcast once for each of its readers."""
    return _summed(batch for reader in burst.readers for batch in reader.batches)


def _summed(steps: Iterable[tuple[float, int]]) -> Curve:
    total, curve = 0, [(0.0, 0.0)]
    for at, more in sorted(steps):
        total += more
        curve.append((at, float(total)))
    return curve


# What fails the run


def problems(trials: Sequence[Trial], bursts: Sequence[Burst]) -> list[str]:
    """What must not be: a violation where the store decides, a control not caught, a message lost or repeated."""
    found = []
    for store in stores_of(trials):
        counted = count(pick(trials, store=store))
        if decides(store) and counted.violations:
            found.append(f"{store}: {counted.violations} of {counted.races} races without exactly one winner")
        if not decides(store) and not counted.violations:
            found.append(f"{store}: {counted.races} races on a store without conditions, and no violation was seen")
    for burst in bursts:
        told = delivery(burst)
        if not told.exactly_once:
            found.append(
                f"{burst.store}: of {told.expected} deliveries {told.lost} lost, {told.repeated} repeated, "
                f"{told.unexpected} unexpected, {told.errors} errors"
            )
    return found


def in_order(bursts: Iterable[Burst]) -> list[Burst]:
    return sorted(bursts, key=lambda burst: (burst.messages > 1000, _rank(burst.store), burst.store))


def _rank(store: str) -> int:
    known: Callable[[str], int] = ("folder", "ministack", "ceph").index
    return known(store) if store in ("folder", "ministack", "ceph") else 99
