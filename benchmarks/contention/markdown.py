"""The contention report as Markdown: docs/contention.md, and the section of the README between its two markers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.contention import figures
from benchmarks.contention.logs import REFUSED, WON, Burst, Machine, Trial
from benchmarks.contention.plots import name_of
from benchmarks.contention.tables import (
    Row,
    headline,
    machine_rows,
    message_rows,
    race_row,
    show_spread,
    summary_rows,
)

README_MARKS = ("<!-- contention -->", "<!-- /contention -->")

_RUN_AGAIN = """\
## Run it again

```sh
python -m benchmarks.contention.run            # everything, into benchmarks/results/contention and this page
python -m benchmarks.contention.run --quick    # a minute, into a scratch folder
python -m benchmarks.contention.run --only report
```

The servers are those of the tests ([Contributing](../CONTRIBUTING.md#servers-and-hosts-for-the-tests)). One that is
not there is left out, and named. The exit status is not 0 when a store that decides conditional writes showed a
violation, when the control was not caught, or when a message was lost or repeated.
"""


def page(trials: Sequence[Trial], bursts: Sequence[Burst], machine: Machine) -> str:
    """docs/contention.md."""
    parts = [
        "# Under contention",
        "",
        "Written by `python -m benchmarks.contention.run` from the logs in `benchmarks/results/contention`.",
        "With plots: [contention.html](contention.html).",
        "",
        headline(trials),
        "",
        "## Races for one step",
        "",
        "A race has one winner when one agent was told that it won, the stored claim names it under the same fence,",
        "and all others were told of it.",
        "",
        *_table(summary_rows(trials)),
        "",
        "## Latency of a claim",
        "",
        "Milliseconds as p50 / p95 / longest; agents are processes.",
        "",
        *_table(_latency_rows(trials)),
        "",
        "## Messages",
        "",
        *_table(message_rows(bursts)),
        "",
        "## What it ran on",
        "",
        *_table(machine_rows(machine)),
        "",
        _RUN_AGAIN,
    ]
    return "\n".join(parts)


def readme_section(trials: Sequence[Trial], bursts: Sequence[Burst]) -> str:
    """The short table of the README: the largest races at one moment, one line for each store."""
    largest = max((trial.agents for trial in trials), default=0)
    rows: list[Row] = [("store", "races", "one winner", f"winner of {largest}, p50 / p95 ms", "refused, p50 / p95 ms")]
    for store in figures.stores_of(trials):
        cell = figures.pick(trials, store=store, mode="processes", schedule="simultaneous", agents=largest)
        counted = figures.count(figures.pick(trials, store=store))
        rows.append(
            (
                name_of(store),
                f"{counted.races:,}",
                f"{counted.one_winner:,}",
                show_spread(figures.spread(figures.latencies(cell, WON)), longest=False),
                show_spread(figures.spread(figures.latencies(cell, REFUSED)), longest=False),
            )
        )
    delivered = [figures.delivery(burst) for burst in bursts]
    sent = sum(told.sent for told in delivered)
    wrong = sum(told.lost + told.repeated + told.unexpected for told in delivered)
    messages = f"{sent:,} messages sent in bursts while others read: {wrong} lost or repeated."
    return "\n".join([headline(trials), "", *_table(rows), "", *([messages, ""] if bursts else [])])


def with_section(readme: str, section: str) -> str:
    """The README with what is between its markers replaced; one without markers stays as it is."""
    between = re.compile(f"(?<={README_MARKS[0]}\n).*?(?={README_MARKS[1]})", re.DOTALL)
    return between.sub(lambda _: section, readme, count=1)


def _latency_rows(trials: Sequence[Trial]) -> list[Row]:
    rows: list[Row] = [("store", "schedule", "agents", "races", "winners", "refused")]
    for store in figures.stores_of(trials):
        for (_, schedule, agents), cell in figures.kinds(figures.pick(trials, store=store, mode="processes")):
            told = race_row(cell)
            rows.append((name_of(store), schedule, str(agents), told.races, told.winners, told.refused))
    return rows


def _table(rows: Sequence[Row]) -> list[str]:
    head, *body = [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return [head, "|" + "---|" * len(rows[0]), *body]


def _cell(value: str) -> str:
    """Text that cannot end a cell or begin markup."""
    printable = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in value)
    return re.sub(r"([\\|<>`*\[\]])", r"\\\1", printable)
