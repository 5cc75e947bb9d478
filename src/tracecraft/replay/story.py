"""What happened in a run or a whole project as one stream, ordered, with the state before it and every change of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from tracecraft.records import read
from tracecraft.replay.facts import Fact
from tracecraft.replay.happening import Happening
from tracecraft.replay.history import History, Turn, read_history
from tracecraft.replay.logged import Logged
from tracecraft.replay.reducer import Gap
from tracecraft.replay.said import said
from tracecraft.replay.state import Change, State, apply, empty
from tracecraft.replay.telling import tell
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.reading import lines, read_meta
from tracecraft.runs.rows import read_rows
from tracecraft.runs.times import seconds_of

if TYPE_CHECKING:
    from tracecraft.project import Project

MOST_RUNS = 100
"""Runs whose logs are part of the story of a whole project: the newest."""
_CLOCK_IS_WRONG = 2.0
"""Seconds between a writer's clock and the store's from which on its lines are moved."""


class Story(msgspec.Struct, frozen=True):
    """What is played. `lanes` are the agents in the order in which they appear; an empty one is the run or project.

    `base` is the state before the first happening. `gaps` are what no event told, `notes` what else whoever looks
    should know.
    """

    title: str
    lanes: Sequence[str]
    happenings: Sequence[Happening]
    base: State
    gaps: Sequence[Gap]
    notes: Sequence[str]


def read_story(project: Project, run: str = "", *, since: float | None = None, until: float | None = None) -> Story:
    """The story of a run, or of the whole project, between two times. Raises Missing where there is no such run."""
    meta = read_meta(project, run).record if run else None
    history = read_history(project)
    shifts = _shifts(history.turns)
    logs, notes = _logs(project, [meta] if meta else _newest_runs(project))
    events, base = _events(history, run, since, until)
    others = [_moved(happening, shifts) for happening in [*logs, *said(project, run)]]
    chosen = sorted((item for item in others if _within(item.at, since, until)), key=lambda item: item.at)
    happenings = list(merge(events, chosen, key=lambda item: item.at))
    title = f"run {meta.name or meta.run}" if meta else f"project {project.name}"
    return Story(title, _lanes(happenings), happenings, base, history.all_gaps(), notes)


def _events(history: History, run: str, since: float | None, until: float | None) -> tuple[list[Happening], State]:
    """The events that are shown, with the changes of those that are not; and the state before the first of them."""
    shown: list[Happening] = []
    base = empty()
    hidden: dict[tuple[str, str], Change] = {}
    last = 0.0
    for turn in history.turns:
        fact = turn.fact
        last = max(last, _moment(fact))
        if (run and fact.run != run) or not _within(fact.at, since, until):
            if shown:
                hidden |= {(section, name): (section, name, value) for section, name, value in turn.changes}
            else:
                apply(base, turn.changes)
            continue
        changes = [*hidden.values(), *turn.changes]
        hidden.clear()
        shown.append(msgspec.structs.replace(tell(fact, last), changes=tuple(changes)))
        shown += [_gap(gap, last) for gap in turn.gaps]
    if not run and until is None:
        shown += [_gap(gap, last) for gap in history.gaps]
        if shown:
            whole = (*shown[-1].changes, *history.corrections)
            shown[-1] = msgspec.structs.replace(shown[-1], changes=whole)
    return _with_ends(shown), base


def _gap(gap: Gap, at: float) -> Happening:
    return Happening(at, "", "gap", f"{gap.subject}: {gap.why}", bad=True, details={"subject": gap.subject})


def _with_ends(shown: Sequence[Happening]) -> list[Happening]:
    """Claims with when they ended: at the next change that takes the step out of the hold."""
    found = list(shown)
    open_holds: dict[str, int] = {}
    for index, happening in enumerate(found):
        for section, step, claim in happening.changes:
            if section != "claims":
                continue
            hold = open_holds.get(step)
            goes_on = claim and claim["state"] == "in_progress"
            if hold is not None and not (goes_on and happening.details.get("event") == "renew"):
                found[hold] = msgspec.structs.replace(found[hold], until=happening.at)
                del open_holds[step]
            if goes_on and step not in open_holds and happening.kind == "claim":
                open_holds[step] = index
    return found


def _moment(fact: Fact) -> float:
    """When an event is shown: by the store's clock, and where that knows whole seconds only, by the writer's within
    the second."""
    writers = seconds_of(fact.by_writer)
    if fact.at % 1 == 0 and writers is not None and 0 <= writers - fact.at < 1:
        return writers
    return fact.at


def _within(at: float, since: float | None, until: float | None) -> bool:
    return (since is None or at >= since) and (until is None or at <= until)


# Runs


def _newest_runs(project: Project) -> list[RunMeta]:
    rows = sorted(read_rows(project).rows, key=lambda row: row.head.started_at, reverse=True)
    left_out = len(rows) - MOST_RUNS
    if left_out > 0:
        project.say(f"{left_out} older runs are not shown line by line: tracecraft replay ID shows one")
    found = [read(project.store, project.layout.run_meta(row.run), RunMeta) for row in rows[:MOST_RUNS]]
    return [stored.record for stored in found if stored is not None and not stored.record.deleted_at]


def _logs(project: Project, metas: Iterable[RunMeta]) -> tuple[list[Happening], list[str]]:
    found: list[Happening] = []
    notes = []
    for meta in metas:
        logged = Logged(meta.run)
        for _, line in lines(project, meta.run):
            logged.feed(line)
        happenings, left_out = logged.happenings()
        found += [*_bounds(meta), *happenings]
        if left_out:
            notes.append(f"{left_out} of the lines of {meta.run} are left out: tracecraft run export has them")
    return found, notes


def _bounds(meta: RunMeta) -> Iterable[Happening]:
    """The beginning and the end of a run."""
    began, ended = seconds_of(meta.started_at), seconds_of(meta.ended_at)
    name = f"run {meta.name or meta.run}"
    told = {"run": meta.run, "command": " ".join(meta.captured.command), "commit": meta.captured.commit}
    details = {name: text for name, text in told.items() if text}
    if began is not None:
        yield Happening(
            began, "", "run", f"run {meta.name or meta.run} begins", until=ended, run=meta.run, details=details
        )
    if ended is not None:
        bad = meta.status == "failed"
        why = f": {meta.error}" if meta.error else ""
        yield Happening(ended, "", "run", f"{name} {meta.status}{why}", bad=bad, run=meta.run)


# Clocks and lanes


def _shifts(turns: Sequence[Turn]) -> dict[str, float]:
    """By how much the clocks of agents are behind the store's, of those that are certainly wrong."""
    apart: dict[str, list[float]] = {}
    for turn in turns:
        writers = seconds_of(turn.fact.by_writer)
        if writers is not None:
            apart.setdefault(turn.fact.agent, []).append(turn.fact.at - writers)
    found = {agent: median(seconds) for agent, seconds in apart.items()}
    return {agent: seconds for agent, seconds in found.items() if abs(seconds) > _CLOCK_IS_WRONG}


def _moved(happening: Happening, shifts: dict[str, float]) -> Happening:
    """A happening that was told by its writer's clock, by the store's."""
    shift = shifts.get(happening.lane)
    if shift is None:
        return happening
    until = None if happening.until is None else happening.until + shift
    return msgspec.structs.replace(happening, at=happening.at + shift, until=until)


def _lanes(happenings: Iterable[Happening]) -> list[str]:
    """Who appears, in order; the run's own lane first, where it has anything."""
    names = dict.fromkeys(
        name for happening in happenings for name in (happening.lane, happening.to) if name not in ("", "*")
    )
    loose = [""] if any(not happening.lane for happening in happenings) else []
    return [*loose, *names]
