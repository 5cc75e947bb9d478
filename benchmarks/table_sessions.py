"""The section about mirroring sessions."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.markdown import Runs, by_kind, mebibytes, middle, seconds, table, verdict
from benchmarks.results import spread

_FLUSH = """\
## Sessions

Mirroring a coding agent's sessions with `session mirror`. Transcripts are generated, as Claude Code writes them, unless
a table says otherwise. MB are millions of bytes. Secrets are taken out, but for `--no-redact`. The machine's load was
{load_before:.1f} before and {load_after:.1f} after.

### A flush beside tracecraft-ai 0.2.5

Whole processes that mirror 10 KB of new lines of a session, ours ({ours}) and 0.2.5 ({theirs}) on one Ceph, in turns:
{warm_up} pairs that do not count, then {pairs}. The ratio is ours divided by theirs, of medians; the target on loopback
is {flush_ratio} of the time. "30 ms away" is a proxy that delays each request by 30 ms.
"""
_THROUGHPUT = """\
### Throughput

Whole processes, each on one core, that mirror one session into an empty folder, {bulk_runs} of each. The target is
{mb_per_second:g} MB/s, redacted. Samples are transcripts that harnesses wrote, those of one harness repeated to one
session. Hyperscan is one of the two engines that find where secrets may be.
"""
_LEFT_OUT = """\
Not measured, as it is not installed beside the program: {}.
"""
_MEMORY = """\
### Memory

The peak of the whole process, redacted. The target is {peak_mb:g} MB, whatever is mirrored.
"""
_FOLLOW = """\
### Following

One process follows (`session mirror --all --follow`). Seconds from a line's being written, at a random moment, until
the store has it, in {trials} trials. Each session is flushed at most once in a second. Where "the others" grow, each of
nine in ten sessions gets a line every 10 s. The target is {latency:g} s.
"""
_IDLE = """\
Requests on Ceph in {seconds:g} s in which nothing is written: those for sessions, of which there should be
{idle_requests}, and the heartbeats of the agent, which go on for a minute after the last growth.
"""
_STEPS = """\
### Many small flushes

Parts of a session on Ceph after so many flushes of one line, by one mirrorer: small parts are merged as they become
many. What was written of parts, divided by what they hold, is how often each byte was uploaded; 1 would be without
merging. The manifest is written whole with each flush.
"""


def section(measured: Any) -> list[str]:
    facts = {**measured, **measured["size"], **measured["targets"], **measured["install"]}
    lines = [_FLUSH.format(**facts), *_flush(measured), _THROUGHPUT.format(**facts), *_throughput(measured)]
    if measured["left_out"]:
        lines.append(_LEFT_OUT.format(", ".join(measured["left_out"])))
    lines += [_MEMORY.format(**facts), *_memory(measured), _FOLLOW.format(**facts), *_follow(measured)]
    lines += [_IDLE.format(seconds=measured["size"]["idle"], **measured["targets"]), *_idle(measured)]
    return [*lines, _STEPS, *_steps(measured)]


def _flush(measured: Any) -> list[str]:
    heads = ["place", "ours, s", "0.2.5, s", "ratio", "target", "ours, MiB", "0.2.5, MiB", "ratio", "requests"]
    return table(heads, [_flush_cells(row, measured["targets"]["flush_ratio"]) for row in measured["flush"]])


def _flush_cells(row: Any, target: float) -> list[str]:
    ours, theirs = row["ours"], row["theirs"]
    ratio = _ratio(ours, theirs, "seconds")
    return [
        row["place"],
        seconds(ours),
        seconds(theirs),
        f"{ratio:.3f}",
        verdict(ratio, target) if row["place"] == "loopback" else "none",
        mebibytes(ours),
        mebibytes(theirs),
        f"{_ratio(ours, theirs, 'peak_kib'):.3f}",
        _requests(ours, theirs),
    ]


def _ratio(ours: Runs, theirs: Runs, name: str) -> float:
    return middle(ours, name) / middle(theirs, name)


def _requests(ours: Runs, theirs: Runs) -> str:
    if "requests" not in ours[0]:
        return "not counted"
    return f"{middle(ours, 'requests'):,.0f} and {middle(theirs, 'requests'):,.0f}"


def _throughput(measured: Any) -> list[str]:
    target = measured["targets"]["mb_per_second"]
    rows = []
    for row in measured["throughput"]:
        rates = [row["bytes"] / 1e6 / run["seconds"] for run in row["runs"]]
        goal = _at_least(median(rates), target) if row["mode"] != "--no-redact" else "none"
        rows.append([row["session"], _megabytes(row), row["mode"], spread(rates, 1), goal, mebibytes(row["runs"])])
    return table(["session", "MB", "mode", "MB/s", "target", "MiB"], rows)


def _memory(measured: Any) -> list[str]:
    target = measured["targets"]["peak_mb"]
    rows = []
    for row in measured["memory"]:
        peaks = [run["peak_kib"] * 1024 / 1e6 for run in row["runs"]]
        rows.append(
            [row["session"], _megabytes(row), spread(peaks, 1), verdict(max(peaks), target), seconds(row["runs"], 1)]
        )
    return table(["mirrored", "MB", "peak, MB", "target", "s"], rows)


def _follow(measured: Any) -> list[str]:
    target = measured["targets"]["latency"]
    rows = [
        [
            row["store"],
            f"{row['followed']:,}",
            "grow" if row["busy"] else "are quiet",
            f"{median(row['seconds']):.2f}",
            verdict(median(row["seconds"]), target),
            f"{max(row['seconds']):.2f}",
            verdict(max(row["seconds"]), target),
        ]
        for row in measured["follow"]
    ]
    return table(["store", "sessions", "the others", "median, s", "target", "worst, s", "target"], rows)


def _idle(measured: Any) -> list[str]:
    target = measured["targets"]["idle_requests"]
    rows = [
        [
            f"{row['followed']:,}",
            by_kind(row["sessions"]),
            verdict(sum(row["sessions"].values()), target),
            by_kind(row["heartbeats"]),
        ]
        for row in measured["idle"]
    ]
    return table(["sessions", "requests for sessions", "target", "heartbeats"], rows)


def _steps(measured: Any) -> list[str]:
    heads = ["flushes", "bytes a line", "parts", "most parts", "parts written / held", "manifests written, MB"]
    return table(heads, map(_steps_cells, measured["steps"]))


def _steps_cells(row: Any) -> Sequence[str]:
    return [
        f"{row['flushes']:,}",
        f"{row['source_bytes'] / row['flushes']:,.0f}",
        f"{row['parts']:,}",
        f"{row['most_parts']:,}",
        f"{row['written']['parts'] / row['uploaded_bytes']:.2f}",
        f"{row['written']['manifests'] / 1e6:.1f}",
    ]


def _megabytes(row: Any) -> str:
    return f"{row['bytes'] / 1e6:,.1f}"


def _at_least(value: float, target: float) -> str:
    return "met" if value >= target else "not met"
