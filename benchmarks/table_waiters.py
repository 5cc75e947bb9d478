"""The section about those who wait: how late they wake, and what they cost."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.idling import DAY, active_in_seconds, in_seconds
from benchmarks.markdown import by_kind, table, verdict
from benchmarks.prices import PRICES, dollars
from benchmarks.results import spread

_WAKING = """\
## Waking up

Seconds from when the deciding command (`complete`, `send`, `memory set`) has returned until the waiter has printed
it, or for `wait-for` exited: {trials} trials each. A figure below 0 says that the waiter knew before that command had
ended. The write came at a random moment up to {pause:g} s after the waiter was ready. In an active project another
agent sets a memory key every second meanwhile. The target is {target_folder} s on a folder, and {target_bucket} s on a
bucket while the project is active.
"""

_IDLE = """\
### After {idle:g} s without any event

A watcher looks less and less often while nothing happens. {trials} trials each.
"""

_REQUESTS = """\
## What waiting costs

Requests that a proxy counted while nothing happened: the first {first:g} s after a watcher's first request, then
{looks} looks or more, when its pace has settled. That pace is by design 1 s for a minute, then half as much again after
each look in vain, at most 30 s. An hour and a day here are the first {first:g} s as counted, and from then on the
settled looks as they were counted, at the time between them that was measured.
"""

_ACTIVE = "The agent that works was counted over {steps} steps, heartbeats included."


def section(measured: Any) -> list[str]:
    size, targets = measured["size"], measured["targets"]
    intro = _WAKING.format(
        trials=size["trials"],
        pause=size["longest_pause"],
        target_folder=targets["folder"],
        target_bucket=targets["Ceph"],
    )
    return [
        intro,
        *_wakeups(measured),
        _IDLE.format(idle=size["idle"], trials=size["idle_trials"]),
        *_idle_wakeups(measured),
        _REQUESTS.format(first=size["first"], looks=size["looks"]),
        *_looks(measured),
        _ACTIVE.format(steps=size["active_steps"]) + "\n",
        *_bill(measured),
        *_sources(),
    ]


def _wakeups(measured: Any) -> list[str]:
    return table(
        ["waiter", "store", "project", "seconds", "target, median", "target, maximum"],
        [
            [
                f"`{row['waiter']}`",
                row["place"],
                "active" if row["active"] else "quiet",
                spread(row["seconds"], 3),
                *_verdicts(row, measured["targets"]),
            ]
            for row in measured["wakeups"]
        ],
    )


def _verdicts(row: Any, targets: Any) -> tuple[str, str]:
    """For the median and the maximum. On a bucket only an active project has a target."""
    if row["place"] != "folder" and not row["active"]:
        return "none", "none"
    target = targets[row["place"]]
    return verdict(median(row["seconds"]), target), verdict(max(row["seconds"]), target)


def _idle_wakeups(measured: Any) -> list[str]:
    rows = [[f"`{row['waiter']}`", row["place"], spread(row["seconds"], 3)] for row in measured["idle_wakeups"]]
    return table(["waiter", "store", "seconds"], rows)


def _looks(measured: Any) -> list[str]:
    heads = [
        "watcher",
        "first {:g} s".format(measured["size"]["first"]),
        "one look",
        "seconds between looks",
        "an hour",
    ]
    rows = []
    for row in measured["idle_requests"]:
        one = {kind: count / row["looks"] for kind, count in row["in_looks"].items()}
        hour = in_seconds(row, 3600.0)
        between = spread(row["seconds_between_looks"], 1)
        rows.append([f"`{row['name']}`", by_kind(row["first"]), by_kind(one), between, by_kind(hour)])
    return table(heads, rows)


def _bill(measured: Any) -> list[str]:
    days = {f"`{row['name']}`, idle": in_seconds(row, DAY) for row in measured["idle_requests"]}
    active = measured["active_requests"]
    days[active["name"]] = active_in_seconds(active, DAY)
    rows = [[name, by_kind(day), *[f"${dollars(price, day):.4f}" for price in PRICES]] for name, day in days.items()]
    return table(["agent", "requests a day", *[f"a day on {price.provider}" for price in PRICES]], rows)


def _sources() -> list[str]:
    """What the bill is made from."""
    return [
        *[
            f"- {p.provider}: ${p.write:g} a million PUT and LIST, ${p.read:g} a million GET and HEAD ({p.source}); "
            f"{p.note}."
            for p in PRICES
        ],
        "",
    ]
