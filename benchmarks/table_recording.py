"""The section about what it costs to record a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.markdown import Runs, mebibytes, middle, table, verdict
from benchmarks.results import spread

_TEXT = """\
## Recording runs

One process logs records with one metric each, as fast as it can, into a folder, or into a bucket that is away: then all
of it waits on disk. {turns} times after one that does not count. A call is what `log` takes; stored is when the store
has everything, secrets taken out. Memory is the peak of the whole process, with 8 bytes a record for the times of the
calls. Targets: a call in {median_us:g} us, {peak_mib:g} MiB.
"""


def section(measured: Any) -> list[str]:
    heads = ["records", "store", "call, us", "of 100 the slowest, us", "logged, s", "stored, s", "MiB", "targets"]
    targets = measured["targets"]
    return [
        _TEXT.format(turns=measured["size"]["turns"], **targets),
        *table(heads, _rows(measured["measured"], targets)),
    ]


def _rows(measured: Any, targets: Any) -> Iterator[list[str]]:
    for part in measured:
        runs: Runs = part["runs"]
        within = {verdict(middle(runs, "median_us"), targets["median_us"])}
        within.add(verdict(middle(runs, "peak_kib") / 1024, targets["peak_mib"]))
        yield [
            f"{part['records']:,}",
            "away" if part["away"] else "folder",
            spread([run["median_us"] for run in runs], 2),
            spread([run["p99_us"] for run in runs], 2),
            spread([run["logged_s"] for run in runs], 3),
            "not" if part["away"] else spread([run["stored_s"] for run in runs], 2),
            mebibytes(runs),
            "met" if within == {"met"} else "not met",
        ]
