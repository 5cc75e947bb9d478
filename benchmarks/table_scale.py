"""The section about growing projects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.markdown import by_kind, mebibytes, seconds, table
from benchmarks.results import spread

_TEXT = """\
## Growing projects

Each command on a project that is full of what it reads: time, peak memory, requests and waves; a run with nothing
kept on the machine (cold) and the same again right after (warm), {rounds} of each. A wave is a set of requests that
are under way together, of any size (64 at a time); the pages of one LIST count once. Ceph is {delay:g} ms away: behind
a proxy that delays each request so much. A tenth of the steps are complete, the others declared and free.
"""

_RACE = """\
### Many agents, one queue

Agents, processes on one machine with one home, call `next` at once; no two got the same step. Seconds until the last
had ended; on Ceph without any delay, requests as its log counts them. A machine with fewer cores than this race needs
may leave some without an answer from the store in time: those ended with an error.
"""

WHY = {
    "status": "Lists the steps, a page for each thousand objects, and reads each spec and claim: a step's state is in "
    "the body of its claim. Read once, an object is not read again until it changes.",
    "next": "Reads as much as `status` to know what is ready, then claims with the same few requests at any size.",
    "step list": "Reads each step's spec and claim, as `status` does, without agents and mail.",
    "inbox": "Reads each message once; `inbox --new`, which lists from where it left off, grows with new ones only.",
    "agents": "Reads each agent's record, which changes with each heartbeat.",
    "log": "Lists every event, a page for each thousand, and reads the 50 bodies it shows; `gc` keeps the events "
    "of past days in few objects.",
}
"""What grows with the project, and why."""


def section(measured: Any) -> list[str]:
    return [
        _TEXT.format(rounds=measured["size"]["rounds"], delay=measured["delay"] * 1000),
        *table(
            ["command", "on", "Ceph cold, s", "Ceph warm, s", "folder cold, s", "folder warm, s", "most MiB"],
            _times(measured["rows"]),
        ),
        *table(["command", "on", "requests cold", "waves", "requests warm", "waves"], _requests(measured["rows"])),
        "What grows, and why:",
        "",
        *[f"- `{name}`: {why}" for name, why in WHY.items()],
        "",
        _RACE,
        *table(
            ["store", "agents", "steps", "agents with a step", "errors", "seconds", "requests"],
            map(_race, measured["races"]),
        ),
    ]


def _times(rows: Any) -> Iterator[list[str]]:
    on_folder = {(row["command"], row["count"]): row for row in rows if row["place"] == "folder"}
    for row in rows:
        if row["place"] != "Ceph":
            continue
        local = on_folder[row["command"], row["count"]]
        pairs = [row["cold"], row["warm"], local["cold"], local["warm"]]
        every = [run for runs in pairs for run in runs]
        yield [*_named(row), *[seconds(runs, 2) for runs in pairs], _most(every)]


def _requests(rows: Any) -> Iterator[list[str]]:
    """The last round's counts stand for all: they hardly differ."""
    for row in rows:
        if row["place"] == "Ceph":
            cold, warm = row["cold"][-1], row["warm"][-1]
            yield [
                *_named(row),
                by_kind(cold["requests"]),
                spread([run["waves"] for run in row["cold"]], 0),
                by_kind(warm["requests"]),
                spread([run["waves"] for run in row["warm"]], 0),
            ]


def _race(row: Any) -> list[str]:
    last = f"> {row['limit']:g}" if row["exceeded"] else f"{max(row['seconds']):.1f}"
    requests = by_kind(row["requests"]) if row["requests"] else "not counted"
    errors = ", ".join(f"{count} {code}" for code, count in row["errors"].items()) or "none"
    return [row["place"], f"{row['racers']:,}", f"{row['steps']:,}", f"{row['with_a_step']:,}", errors, last, requests]


def _named(row: Any) -> tuple[str, str]:
    return f"`{row['command']}`", f"{row['count']:,} {row['full_of']}"


def _most(runs: Any) -> str:
    return mebibytes([max(runs, key=lambda run: run["peak_kib"])])
