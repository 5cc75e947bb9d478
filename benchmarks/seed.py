"""Fills a project with many objects at once, in the format that both programs read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tracecraft import clock, layout
from tracecraft.agents import Agent
from tracecraft.claims import Claim, Outcome, status_view
from tracecraft.events import Event
from tracecraft.mailbox import Message
from tracecraft.records import encode, successor
from tracecraft.specs import Spec
from tracecraft.store import Items, Store, put_many

_AT_ONCE = 20_000
"""Objects that are encoded before they are written, so that memory stays small."""

Objects = Iterator[tuple[str, bytes]]


def fill(store: Store, objects: Objects) -> None:
    """Write them all, as many side by side as the store takes."""
    while some := list(islice(objects, _AT_ONCE)):
        put_many(store, some)


def fill_folder(root: Path, objects: Objects) -> None:
    """The same for a folder, whose objects are plain files: its own writes wait for the disk twice each."""
    for key, data in objects:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def agents(project: str, count: int) -> Objects:
    """Agents that were at work a moment ago."""
    names = layout.Layout(project)
    for number in range(count):
        record = Agent(id=agent(number), started_at=clock.now(), heartbeat=clock.now(), place=f"host:/srv/{number}")
        yield names.agent(record.id), encode(record)


def agent(number: int) -> str:
    return f"agent-{number:05}"


def declared_steps(project: str, count: int) -> Objects:
    """Steps with a title and a tag, every tenth complete."""
    names = layout.Layout(project)
    for number in range(count):
        step = f"step-{number:05}"
        spec = Spec(title=f"Part {number}", tags=["bench"], order=number, added_by="ann", added_at=clock.now())
        yield names.spec(step), encode(successor(spec, None))
        if number % 10 == 0:
            yield from _worked_on(names, step, agent(0), "complete")


def worked_steps(project: str, count: int, workers: int) -> Objects:
    """Steps that nobody declared, held by so many agents; every second complete."""
    names = layout.Layout(project)
    for number in range(count):
        outcome: Outcome | None = "complete" if number % 2 else None
        yield from _worked_on(names, f"step-{number:05}", agent(number % workers), outcome)


def messages(project: str, to: str, count: int) -> Objects:
    """Messages of ten senders to one agent."""
    names = layout.Layout(project)
    for number in range(count):
        sender = agent(number % 10)
        leaf = layout.now_leaf(sender, layout.new_short_id())
        record = Message(sender=sender, to=to, message=f"message {number}", sent_at=clock.now())
        yield names.message(to, leaf), encode(record)


def events(project: str, count: int) -> Objects:
    """What a hundred agents did."""
    names = layout.Layout(project)
    for number in range(count):
        who, step = agent(number % 100), f"step-{number:06}"
        body = Event(type="claim", agent=who, subject=step, at=clock.now(), about=names.claim(step), fence=1, rev=1)
        yield names.event("claim", who, step), encode(body)


def _worked_on(names: layout.Layout, step: str, who: str, outcome: Outcome | None) -> Items:
    record = Claim(
        agent=who,
        claimed_at=clock.now(),
        started_at=clock.now(),
        state=outcome or "in_progress",
        completed_at=clock.now() if outcome else "",
        fence=1,
        rev=1,
        alive="agent",
        ttl=3600.0,
        max_hold=86400.0,
    )
    claim = successor(record, None)
    return [(names.claim(step), encode(claim)), (names.status(step), encode(status_view(claim)))]
