"""The tables and sentences that both forms of the contention report show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from benchmarks.contention import figures
from benchmarks.contention.figures import Spread
from benchmarks.contention.logs import REFUSED, WON, Burst, Machine, Trial
from benchmarks.contention.plots import name_of

Row = tuple[str, ...]

_VARIES = {"when", "seconds", "load before", "trials", "lanes", "left to itself"}
"""Facts of a part that differ from part to part on one machine."""


class RaceRow(NamedTuple):
    """One kind of race as texts."""

    races: str
    one_winner: str
    violations: str
    errors: str
    winners: str
    refused: str
    rate: str


def race_row(trials: Sequence[Trial]) -> RaceRow:
    counted = figures.count(trials)
    return RaceRow(
        f"{counted.races:,}",
        f"{counted.one_winner:,}",
        f"{counted.violations:,}",
        f"{counted.errors:,}",
        show_spread(figures.spread(figures.latencies(trials, WON))),
        show_spread(figures.spread(figures.latencies(trials, REFUSED))),
        f"{figures.percentile([figures.claims_per_second(trial) for trial in trials], 50):,.0f}",
    )


def headline(trials: Iterable[Trial]) -> str:
    """What came out, in two sentences."""
    trials = list(trials)
    counted = figures.count([trial for trial in trials if figures.decides(trial.store)])
    control = figures.count([trial for trial in trials if not figures.decides(trial.store)])
    said = (
        f"{counted.races:,} races with {counted.claims:,} claims: {counted.one_winner:,} with exactly one winner, "
        f"{counted.violations:,} violations, {counted.undecided:,} undecided."
    )
    if not control.races:
        return f"{said} The control, a store without conditional writes, was not run."
    return (
        f"{said} On the control, a store without conditional writes (tracecraft refuses to claim there; this run made "
        f"it), the same harness saw a violation in {control.violations:,} of {control.races:,} races."
    )


def summary_rows(trials: Sequence[Trial]) -> list[Row]:
    rows: list[Row] = [("store", "races", "claims", "one winner", "violations", "undecided", "claims that erred")]
    for store in figures.stores_of(trials):
        c = figures.count(figures.pick(trials, store=store))
        numbers = (c.races, c.claims, c.one_winner, c.violations, c.undecided, c.errors)
        rows.append((name_of(store), *(f"{value:,}" for value in numbers)))
    return rows


def message_rows(bursts: Sequence[Burst]) -> list[Row]:
    counted = ("messages", "of them to all", "senders", "readers", "deliveries", "lost", "repeated")
    rows: list[Row] = [("store", *counted, "sent/s", "read/s", "sending s", "drained after s")]
    for burst in figures.in_order(bursts):
        told = figures.delivery(burst)
        processes = (len(burst.senders), len(burst.readers))
        counts = (told.sent, burst.broadcasts, *processes, told.delivered, told.lost, told.repeated)
        rates = (f"{told.sent_rate:,.0f}", f"{told.read_rate:,.0f}", f"{told.sending:.1f}", f"{told.draining:.1f}")
        rows.append((name_of(burst.store), *(f"{value:,}" for value in counts), *rates))
    return rows


def machine_rows(machine: Machine) -> list[Row]:
    """What all parts ran on, each fact once, then each part with its own."""
    rows: list[Row] = [("fact", "value")]
    names = {name: None for told in machine.values() for name in told if name not in _VARIES | {"skipped"}}
    for name in names:
        values = {told[name]: None for told in machine.values() if name in told}
        rows.append((name, " and ".join(values)))
    for part, told in sorted(machine.items()):
        own = [f"{name}: {value}" for name, value in told.items() if name in _VARIES or name == "skipped"]
        rows.append((part, ", ".join(own)))
    return rows


def show_spread(spread: Spread | None, *, longest: bool = True) -> str:
    """Milliseconds: p50 / p95, and the longest."""
    if spread is None:
        return "none"
    return " / ".join(_milliseconds(value) for value in (spread if longest else spread[:2]))


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
