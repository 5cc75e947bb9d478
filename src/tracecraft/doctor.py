"""Looks a project over: does everything work, does anything hang, do the views tell what the claims say?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from tracecraft import clock
from tracecraft.agents import STALE_AFTER
from tracecraft.claims import TERMINAL, Claim, Handoff, Status, status_view
from tracecraft.errors import BrokenRecord, StoreError
from tracecraft.memory import PastValue
from tracecraft.overview import Overview, look
from tracecraft.records import R, Stored, encode, read
from tracecraft.store import put_many

if TYPE_CHECKING:
    from tracecraft.project import Project

Verdict = Literal["ok", "warning", "problem"]

_CLOCK_OFF = 5.0
_TRIES = 5


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. `next` is the command to run; empty when nothing is to be done."""

    check: str
    verdict: Verdict
    message: str
    next: str = ""


def examine(project: Project, *, agent: bool, repair: bool) -> Iterator[Finding]:
    """Look everything over, in the order in which one thing depends on another; stops where the store does not answer.

    With `agent` it acts for one, and the clocks are compared. With `repair` views are written anew.
    """
    mended: set[str] = set()
    try:
        yield _reach(project)
        yield _promises(project)
        if agent:
            yield from _own_agent(project)
        overview = look(project, with_mail=False)
        yield from _stuck(overview)
        yield from _views(project, overview, repair, mended)
        yield from _unrecorded_memory(project, repair)
        yield from _names(overview)
        yield from _broken(project, mended)
    except StoreError as error:
        yield Finding("store", "problem", error.message, error.hint)


def _reach(project: Project) -> Finding:
    began = time.perf_counter()
    next(iter(project.store.list(project.layout.root)), None)
    took = (time.perf_counter() - began) * 1000
    return Finding("store", "ok", f"{project.store.url} answers in {took:.0f} ms")


def _promises(project: Project) -> Finding:
    """Race the store anew; what it promised once it may have lost with an upgrade or a proxy in between."""
    before = project.stored_facts()
    facts = project.probe(before.origin if before else "")
    if facts.refuses:
        return Finding("promises", "problem", "the store says that it has no conditional writes", "use another store")
    if not (facts.atomic_create and facts.compare_and_swap):
        lost = "creates" if not facts.atomic_create else "swaps"
        return Finding(
            "promises", "problem", f"two of 16 racing {lost} won: claims are not safe here", "use another store"
        )
    if not facts.list_after_write:
        return Finding("promises", "warning", "a new object is not listed at once: mail may come late")
    quoting = (
        {True: ", etags quoted", False: ", etags unquoted"}.get(facts.quoted_etags, "")
        if facts.quoted_etags is not None
        else ""
    )
    return Finding("promises", "ok", f"one winner in every race of 16 creates and of 16 swaps{quoting}")


def _own_agent(project: Project) -> Iterator[Finding]:
    if project.agents.get(project.agent) is None:
        yield Finding("agent", "warning", f"{project.agent} is not registered", "tracecraft init")
        return
    yield Finding("agent", "ok", f"{project.agent} is registered")
    project.agents.beat_now()
    offset = project.store_time() - clock.now_ns() / 1e9
    if abs(offset) > _CLOCK_OFF:
        side = "behind" if offset > 0 else "ahead of"
        text = f"this machine's clock is {clock.show_duration(abs(offset))} {side} the store's"
        yield Finding(
            "clock",
            "warning",
            f"{text}; claims do not mind, buckets refuse more than 15 minutes",
            "set the clock (NTP)",
        )
    else:
        yield Finding("clock", "ok", "this machine's clock agrees with the store's")


def _stuck(overview: Overview) -> Iterator[Finding]:
    """Claims whose lease has run out, and claims of 0.2.x whose agent is silent."""
    silent = {presence.name for presence in overview.agents if presence.age > STALE_AFTER}
    found = False
    for step in overview.board.steps():
        view = overview.board.views[step]
        if view.state != "in_progress":
            continue
        if overview.has_run_out(view):
            found = True
            yield Finding(
                "claims", "warning", f"{step}: the lease of {view.agent} has run out", f"tracecraft claim {step}"
            )
        elif not view.fence and view.agent in silent:
            found = True
            text = f"{step}: {view.agent} claimed it with 0.2.x, which has no lease, and is silent"
            yield Finding("claims", "warning", text, f"tracecraft claim {step} --steal")
    ring = overview.board.cycle()
    if ring:
        found = True
        text = f"steps need each other: {' -> '.join(ring)}"
        yield Finding("claims", "problem", text, f"tracecraft step add {ring[0]} --replace")
    if not found:
        yield Finding("claims", "ok", "no claim is stuck")


def _views(project: Project, overview: Overview, repair: bool, mended: set[str]) -> Iterator[Finding]:
    """status.json and handoff.json against the claims they show. Keys that are written go into `mended`."""
    claims = {
        step: view.claim
        for step, view in overview.board.views.items()
        if view.claim is not None and view.claim.record.fence and view.by_02 is None
    }
    stale_items = project.store.together(
        [partial(_stale_items, project, step, claim) for step, claim in claims.items()]
    )
    stale = [step for step, items in zip(claims, stale_items, strict=True) if items]
    if not stale:
        yield Finding("views", "ok", "status.json and handoff.json tell what the claims say")
    elif repair:
        for step in stale:
            mended |= _rewrite(project, step)
        yield Finding("views", "ok", f"written anew: {', '.join(sorted(stale))}")
    else:
        text = f"out of step with their claims: {', '.join(sorted(stale))}"
        yield Finding("views", "warning", text, "tracecraft doctor --repair")


def _stale_items(project: Project, step: str, claim: Stored[Claim]) -> list[tuple[str, bytes]]:
    """The views of a claim that are missing or tell something else, as they should be."""
    record, names = claim.record, project.layout
    items = []
    wanted = status_view(record)
    there = _shown(project, names.status(step), Status)
    if there is None or (there.record.status, there.record.agent, there.record.fence) != (
        wanted.status,
        wanted.agent,
        wanted.fence,
    ):
        items.append((names.status(step), encode(wanted)))
    if record.state in TERMINAL and record.handoff is not None:
        told = _shown(project, names.handoff(step), Handoff)
        if told is None or (told.record.fence, told.record.state) != (record.handoff.fence, record.handoff.state):
            items.append((names.handoff(step), encode(record.handoff)))
    return items


def _shown(project: Project, key: str, kind: type[R]) -> Stored[R] | None:
    """A view, or None where it is missing or broken: the claim has all that it should say."""
    try:
        return read(project.store, key, kind)
    except BrokenRecord:
        return None


def _rewrite(project: Project, step: str) -> set[str]:
    """Write a step's views, again if the claim changed meanwhile; returns their keys."""
    written: set[str] = set()
    for _ in range(_TRIES):
        claim = read(project.store, project.layout.claim(step), Claim)
        if claim is None:
            break
        items = _stale_items(project, step, claim)
        put_many(project.store, items)
        written |= {key for key, _ in items}
        after = read(project.store, project.layout.claim(step), Claim)
        if after is not None and after.etag == claim.etag:
            break
    return written


def _unrecorded_memory(project: Project, repair: bool) -> Iterator[Finding]:
    """Values whose writer was stopped before it could add them to the history."""
    keys = project.memory.keys()
    found: Sequence[PastValue | None] = project.store.together(
        [partial(project.memory.unrecorded, key) for key in keys]
    )
    missing = {key: past for key, past in zip(keys, found, strict=True) if past is not None}
    if missing and repair:
        put_many(project.store, [project.memory.history_item(key, past) for key, past in missing.items()])
        yield Finding("history", "ok", f"added to the history: {', '.join(missing)}")
    elif missing:
        yield Finding(
            "history", "warning", f"not in the history yet: {', '.join(missing)}", "tracecraft doctor --repair"
        )
    else:
        yield Finding("history", "ok", "every memory value is in its history")


def _names(overview: Overview) -> Iterator[Finding]:
    folded: dict[str, list[str]] = {}
    for presence in overview.agents:
        folded.setdefault(presence.name.casefold(), []).append(presence.name)
    for names in folded.values():
        if len(names) > 1:
            yield Finding("names", "warning", f"agents that differ only in case: {', '.join(names)}", "rename one")


def _broken(project: Project, mended: set[str]) -> Iterator[Finding]:
    still = [error for error in project.broken if error.fields["key"] not in mended]
    for error in still:
        yield Finding("records", "problem", error.message, error.hint)
    if not still:
        yield Finding("records", "ok", "every record read is whole")
