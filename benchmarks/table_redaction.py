"""The section about redaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.markdown import table
from benchmarks.results import spread

_TEXT = """\
## Redaction of transcripts

{rules} kinds of secrets (rules {ruleset}) and {known} known values, on {source}:
{files} files, {lines:,} lines, {megabytes:.1f} MB, repeated to {repeated:.0f} MB. One core, one process, {runs} runs
after one that does not count.
"""

_NEW = """\
### A new process that flushes 10 KB

What redaction adds to it, in milliseconds: its import, the look for known values (in an empty home), and the lines
themselves, with all that is set up for the first of them.
"""

_CORPUS = """\
### What is found

The labelled corpus, drawn {times} times: each kind of secret in several surroundings, near misses of each kind, and
lines of what harnesses write that looks random. Every kind counts the same; real transcripts have their own mixture.
"""

_HOSTILE = """\
### Long and hostile lines

A line of 64 MB adds {kib} MiB to the peak memory of a process. Lines of {length:.2g} MB that are made to be
slow, as JSON and as plain text, the slowest five of {count}:
"""


def section(measured: Any) -> list[str]:
    return [
        _intro(measured),
        *table(["engine", "seconds", "MB/s"], map(_speed, measured["speed"])),
        _NEW,
        *table(["engine", "import", "known values", "lines", "together"], map(_flush, measured["flushes"])),
        _CORPUS.format(times=measured["size"]["corpora"]),
        *table(["", "lines", "wrong"], _found(measured["corpus"])),
        _findings(measured),
        _hostile_text(measured),
        *table(["line", "seconds", "MB/s"], _hostile(measured["hostile"])),
    ]


def _intro(measured: Any) -> str:
    facts, first = measured["transcripts"], measured["speed"][0]
    return _TEXT.format(
        rules=measured["rules"],
        ruleset=f"`{measured['ruleset']}`",
        known=20,
        source="transcripts of several harnesses" if facts["real"] else "made up transcripts",
        files=facts["files"],
        lines=facts["lines"],
        megabytes=facts["bytes"] / 1e6,
        repeated=first["bytes"] / 1e6,
        runs=len(first["seconds"]),
    )


def _speed(row: Any) -> list[str]:
    rates = [row["bytes"] / seconds / 1e6 for seconds in row["seconds"]]
    return [row["engine"], spread(row["seconds"], 2), spread(rates, 0)]


def _flush(row: Any) -> list[str]:
    parts = [row["imports"], row["known"], row["lines"]]
    together = [sum(run) for run in zip(*parts, strict=True)]
    return [row["engine"], *[spread([1000 * value for value in part], 1) for part in (*parts, together)]]


def _found(counts: Any) -> Iterator[list[str]]:
    yield ["secrets, not found", f"{counts['secrets']:,}", f"{counts.get('missed', 0):,}"]
    yield ["near misses, redacted", f"{counts['near misses']:,}", f"{counts.get('redacted', 0):,}"]
    yield ["other lines, redacted", f"{counts['other lines']:,}", f"{counts.get('other lines redacted', 0):,}"]


def _findings(measured: Any) -> str:
    found = measured["findings"]
    if not found:
        return "In the transcripts above nothing is redacted; they have no secrets.\n"
    rows = [f"- {row['file']}: {row['count']} {row['rule']}" for row in found]
    return "\n".join(["Redacted in the transcripts above:", "", *rows, ""])


def _hostile_text(measured: Any) -> str:
    return _HOSTILE.format(
        kib=spread([kib / 1024 for kib in measured["long_line_kib"]], 1),
        length=measured["size"]["hostile"] / 1e6,
        count=len(measured["hostile"]),
    )


def _hostile(rows: Any) -> Iterator[list[str]]:
    for row in sorted(rows, key=lambda row: -row["seconds"])[:5]:
        yield [row["line"], f"{row['seconds']:.1f}", f"{row['bytes'] / row['seconds'] / 1e6:.1f}"]
