"""The section about whole commands beside 0.2.5."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import Runs, mebibytes, middle, seconds, table, verdict
from benchmarks.results import spread

_TEXT = """\
## Commands beside tracecraft-ai 0.2.5

Whole processes, from start to exit, both {install}, on one Ceph, each in a project of its own. They ran in turns
(ours, 0.2.5, ours, 0.2.5 ...): {warm_up} pairs that do not count, then {pairs} of each small command, and {large_pairs}
of each large one. The ratio is ours divided by theirs, of medians. The target for small commands on loopback is
{target_s} of the time and {target_m} of the memory, for large ones {target_large} of the time. The last column has our
requests and those of 0.2.5.

"30 ms away" is a proxy that delays each request by 30 ms. It is the same for both, and passes on about {rate:,.0f}
requests a second undelayed, {far:,.0f} when it delays them; 64 requests in flight, 30 ms each, could use 2,133. A
large run of ours finds nothing kept from an earlier one.

A program that does nothing takes {floor_s} s and {floor_m} MiB here, measured the same way. A put of 0.2.5 takes
{put:.3f} s on loopback: the server answers its `Expect: 100-continue` at once.
"""


def section(measured: Any) -> list[str]:
    rows = measured["rows"]
    lines = [_intro(measured)]
    for place in dict.fromkeys(row["place"] for row in rows):
        lines += [f"### {place[0].upper()}{place[1:]}", ""]
        lines += table(
            ["command", "ours, s", "0.2.5, s", "ratio", "target", "ours, MiB", "0.2.5, MiB", "ratio", "target"]
            + (["requests"] if place != "loopback" else []),
            [_cells(row, measured["targets"]) for row in rows if row["place"] == place],
        )
    return lines


def _intro(measured: Any) -> str:
    size, targets, install, ground = (measured[name] for name in ("size", "targets", "install", "floor"))
    kinds = set(install.values())
    return _TEXT.format(
        install=kinds.pop() if len(kinds) == 1 else f"{install['ours']} (ours) and {install['theirs']} (0.2.5)",
        warm_up=size["warm_up"],
        pairs=size["pairs"],
        large_pairs=size["large_pairs"],
        target_s=targets["small"]["seconds"],
        target_m=targets["small"]["peak_kib"],
        target_large=targets["large"]["seconds"],
        rate=measured["proxy_requests_per_second"]["no delay"],
        far=measured["proxy_requests_per_second"]["30 ms delay"],
        floor_s=spread([run["seconds"] for run in ground], 4),
        floor_m=mebibytes(ground),
        put=measured["peer_put_seconds"],
    )


def _cells(row: Any, targets: Any) -> list[str]:
    ours, theirs = row["ours"], row["theirs"]
    goal = targets[row["size"]] if row["place"] == "loopback" or row["size"] == "large" else {}
    cells = [row["command"], seconds(ours), seconds(theirs), *_ratio(ours, theirs, "seconds", goal)]
    cells += [mebibytes(ours), mebibytes(theirs), *_ratio(ours, theirs, "peak_kib", goal)]
    return [*cells, *_requests(ours, theirs)]


def _ratio(ours: Runs, theirs: Runs, name: str, goal: Any) -> tuple[str, str]:
    """The ratio of medians, and whether it is as wanted. A run that was stopped took longer than it says."""
    divisor = middle(theirs, name)
    if not divisor:
        return "not known", "none"
    ratio = middle(ours, name) / divisor
    below = "< " if any(run["exceeded"] for run in theirs) else ""
    return f"{below}{ratio:.3f}", verdict(ratio, goal[name]) if name in goal else "none"


def _requests(ours: Runs, theirs: Runs) -> list[str]:
    if "requests" not in ours[0]:
        return []
    return [f"{middle(ours, 'requests'):,.0f} and {middle(theirs, 'requests'):,.0f}"]
