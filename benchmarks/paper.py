"""docs/at-scale.md: what 10,000 agents and 10 million events ask of a store, carried there on paper.

The requests of one agent are those that `waiters` counted, the growth with the size of a project is that of `scale`;
the rest is arithmetic, shown here. Limits are the providers' own words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import results, seed
from benchmarks.idling import ACTIVE_EVERY, DAY, active_in_seconds, in_seconds
from benchmarks.markdown import by_kind, table
from benchmarks.prices import AWS, R2, dollars
from tracecraft.segments import MOST_BYTES, make_line
from tracecraft.store import Info

AGENTS = 10_000
EVENTS = 10_000_000
PROJECTS = (1, 10, 100)
"""Over how many projects the agents are spread."""
STEPS_AN_AGENT = 10
"""Steps on the board of a project for each of its agents, finished ones included."""
OBJECTS_A_STEP = 4
"""spec.json, claim.json, status.json and handoff.json."""
EVENTS_A_STEP = 2
"""Its claim and its end."""
PAGE = 1000
"""Keys in one answer to LIST."""

_HEAD = """\
# At scale, on paper

Written by `make bench` out of [what was measured](performance.md): do not edit it. {agents:,} agents cannot be run
here. What follows multiplies what one agent was counted to ask, and says where that meets a limit.

Each of the {agents:,} agents takes a step with `next` and completes it, one every {every:g} minutes, and keeps
`inbox --watch` running, where little arrives. A board has {steps} steps for each agent, finished ones included, of
{objects} objects each. Every agent is on a machine of its own, which is the worst case: agents of one home share what
they have read.

## What it asks
"""

_ASKS = """\
`next` lists the whole board, {page:,} objects a request, and reads the claims that changed since this machine looked
last: each of the other agents has ended one step and begun another. So its cost grows with the board, and all of them
together with the square of the agents in a project. That, and not the claim itself, is why a large fleet is split into
projects. A day's requests:
"""

_LIMITS = """\
## Where limits are

Requests a second on average; a busy hour may be ten times that.
"""

_HOT = """\
The hottest prefix of a project is `events/`, whose keys begin with the time, so that they are written next to each
other: {events:.0f} writes a second for all {agents:,} agents. The hottest keys are those for which agents compete: a
claim that many want at once, a memory key that many set. A heartbeat is written once in 30 seconds and never twice
within a second; everything else has a key of its own. Where a provider allows one write a second and key, whoever is
refused waits longer than a second, at random, and tries again.
"""

_MANY = """\
## {count:,} events

The fleet above writes {count:,} events in {days:.1f} days. An event is an object of about {size:.0f} bytes until
`gc` has folded its day into segments.
"""

_GC = """\
`gc` folds whole days, by default older than 7: one GET and one DELETE for each event, and a PUT and a GET for each
segment of {segment} MiB. {count:,} events become {segments:,} segments, for ${dollars:.2f} on AWS, in
{hours:.1f} hours at 1,000 requests a second. What waits to be written is one segment at most, so its memory does not
grow with the history. It may be stopped at any time and goes on where it was.
"""

_ADVICE = """\
## What to do

- **Split the fleet.** A project is a piece of work, not an organisation: up to some hundred agents and some thousand
  steps. Projects share a bucket without touching each other's keys, and providers spread the load by prefix.
- **End projects.** Steps are the record of the work and never removed, so a board only grows. Begin the next piece of
  work in a project of its own (`init --project`).
- **Watch little.** An agent that works asks for its mail between steps (`inbox --new`) and needs no watcher. Watchers
  of one machine can be one: `log -f` shows what all the others would.
- **Run `gc --apply` daily**, with `--events-older` at a day where events are many.
- **Begin gently.** Buckets of AWS and Google take minutes to spread a new load; until then they answer 503 or 429,
  which every command waits out.
"""


@dataclass(frozen=True)
class Limit:
    """What a provider says it takes."""

    provider: str
    writes: str
    reads: str
    of_what: str
    a_key: str
    source: str


LIMITS = (
    Limit(
        "AWS S3",
        "3,500",
        "5,500",
        "each prefix that S3 has split off; it splits as load lasts",
        "the same",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html",
    ),
    Limit(
        "Google Cloud Storage",
        "1,000 at first",
        "5,000 at first",
        "bucket; it grows as load lasts",
        "1 write a second",
        "https://cloud.google.com/storage/docs/request-rate",
    ),
    Limit(
        "Azure Blob Storage",
        "20,000 with reads",
        "20,000 with writes",
        "storage account",
        "500 requests a second",
        "https://learn.microsoft.com/azure/storage/common/scalability-targets-standard-account",
    ),
    Limit(
        "Cloudflare R2",
        "not told",
        "not told",
        "bucket",
        "1 write a second",
        "https://developers.cloudflare.com/r2/platform/limits/",
    ),
)


def page(folder: Path) -> str:
    """The page; empty as long as `waiters` or `scale` never ran."""
    waiters, scale = results.read(folder, "waiters"), results.read(folder, "scale")
    if waiters is None or scale is None:
        return ""
    lines = [
        _HEAD.format(agents=AGENTS, every=ACTIVE_EVERY / 60, steps=STEPS_AN_AGENT, objects=OBJECTS_A_STEP),
        _ASKS.format(page=PAGE),
        *_days(waiters),
        _LIMITS,
        *_rates(waiters),
        *_limits(),
        _HOT.format(events=_events_a_day() / DAY, agents=AGENTS),
        *_history(scale),
        _ADVICE,
    ]
    return "\n".join(lines)


def parts_of_a_day(waiters: Any, projects: int) -> dict[str, dict[str, float]]:
    """The requests of all agents in a day by what they are for, spread over so many projects."""
    watcher = next(row for row in waiters["idle_requests"] if row["name"].startswith("inbox"))
    choices = AGENTS * DAY / ACTIVE_EVERY
    return {
        "steps claimed and completed": _times(active_in_seconds(waiters["active_requests"], DAY), AGENTS),
        "`next` looking at the board": _times(_choice(AGENTS // projects), choices),
        "`inbox --watch`, idle": _times(in_seconds(watcher, DAY), AGENTS),
    }


def _choice(agents: int) -> dict[str, float]:
    """What `next` reads of a board of so many agents, when all of them worked since it looked last."""
    objects = agents * STEPS_AN_AGENT * OBJECTS_A_STEP
    return {"LIST": math.ceil(objects / PAGE), "GET 200": 2 * (agents - 1)}


def _times(requests: Mapping[str, float], factor: float) -> dict[str, float]:
    return {kind: count * factor for kind, count in requests.items()}


def _together(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for kind, count in part.items():
            total[kind] = total.get(kind, 0.0) + count
    return total


def _days(waiters: Any) -> list[str]:
    """The bill: one row for each use, and for all of them, by number of projects."""
    rows = []
    for projects in PROJECTS:
        parts = parts_of_a_day(waiters, projects)
        for name, requests in {**parts, "**together**": _together(parts.values())}.items():
            prices = [f"${dollars(price, requests):,.0f}" for price in (AWS, R2)]
            rows.append([f"{projects} of {AGENTS // projects:,} agents", name, by_kind(requests), *prices])
    return table(["projects", "for", "requests a day", AWS.provider, R2.provider], rows)


def _rates(waiters: Any) -> list[str]:
    """Average rates over all projects, and for one of them."""
    rows = []
    for projects in PROJECTS:
        total = _together(parts_of_a_day(waiters, projects).values())
        writes = total.get("PUT", 0.0) / DAY
        reads = sum(count for kind, count in total.items() if kind != "PUT") / DAY
        rows.append(
            [
                f"{projects} of {AGENTS // projects:,} agents",
                *[f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}" for rate in _each(writes, reads, projects)],
            ]
        )
    return table(["projects", "writes, all", "reads and lists, all", "writes, each", "reads and lists, each"], rows)


def _each(writes: float, reads: float, projects: int) -> tuple[float, ...]:
    return writes, reads, writes / projects, reads / projects


def _limits() -> list[str]:
    rows = [[limit.provider, limit.writes, limit.reads, limit.of_what, limit.a_key, limit.source] for limit in LIMITS]
    return table(["provider", "writes a second", "reads a second", "for each", "one key", "source"], rows)


def _events_a_day() -> float:
    return AGENTS * DAY / ACTIVE_EVERY * EVENTS_A_STEP


def _history(scale: Any) -> Iterator[str]:
    size, line = _bytes()
    segments = math.ceil(EVENTS * line / MOST_BYTES)
    asked = {"LIST": EVENTS / PAGE, "GET 200": EVENTS + segments, "PUT": float(segments)}
    yield _MANY.format(count=EVENTS, days=EVENTS / _events_a_day(), size=round(size, -1))
    yield from table(
        ["`log` of the newest 50", "events not folded", "LIST requests", "seconds", "peak MiB", "a run on AWS"],
        [_log_row(scale, name, count) for name, count in _histories()],
    )
    yield _GC.format(
        segment=MOST_BYTES >> 20,
        count=EVENTS,
        segments=segments,
        dollars=dollars(AWS, asked),
        hours=2 * EVENTS / 1000 / 3600,
    )


def _histories() -> Iterator[tuple[str, int]]:
    for projects in PROJECTS:
        yield f"{projects} of {AGENTS // projects:,} agents, nothing folded", EVENTS // projects
    for projects in PROJECTS:
        yield f"{projects} of {AGENTS // projects:,} agents, folded daily", int(2 * _events_a_day() / projects)


def _log_row(scale: Any, name: str, count: int) -> list[str]:
    """One LIST after the other, as long and as large for each page as in the largest project that was measured."""
    rows = [row for row in scale["rows"] if row["command"] == "log" and row["place"] == "Ceph"]
    small, large = (pick(rows, key=lambda row: row["count"]) for pick in (min, max))
    per_event = {
        what: (median(run[what] for run in large["cold"]) - median(run[what] for run in small["cold"]))
        / (large["count"] - small["count"])
        for what in ("seconds", "peak_kib")
    }
    least = {what: median(run[what] for run in small["cold"]) for what in per_event}
    pages = math.ceil(count / PAGE)
    return [
        name,
        f"{count:,}",
        f"{pages:,}",
        f"{least['seconds'] + count * per_event['seconds']:,.0f}",
        f"{(least['peak_kib'] + count * per_event['peak_kib']) / 1024:,.0f}",
        f"${dollars(AWS, {'LIST': pages, 'GET 200': 50}):.4f}",
    ]


def _bytes() -> tuple[float, float]:
    """The size of an event as the benchmarks write them, as an object and as a line of a segment."""
    some = list(seed.events("paper", 100))
    lines = [make_line(key, Info(key, "", len(data), 1.8e9), data) for key, data in some]
    return sum(len(data) for _, data in some) / len(some), sum(map(len, lines)) / len(lines)
