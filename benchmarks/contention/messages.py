"""Bursts of messages: many processes send at once while others read, until everybody has everything."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from benchmarks.contention.logs import Burst, Reader, Sender
from tests.races.jobs import open_project
from tests.support.fleet import Fleet
from tests.support.world import World
from tracecraft.errors import TracecraftError
from tracecraft.layout import BROADCAST
from tracecraft.project import Project

IDLE = 0.05
"""Seconds between two looks of a reader that found nothing new."""

PATIENCE = 90.0
"""Seconds without anything new after which a reader takes the rest for lost."""

TENTH = 0.1
ROUND_SECONDS = 3600.0


@dataclass(frozen=True)
class Plan:
    """A burst: `senders` send `each` messages to the first `addressees` of the readers in turn.

    Every so many-th message of a sender goes to all readers instead.
    """

    senders: int
    each: int
    readers: int
    addressees: int
    broadcast_every: int

    @property
    def messages(self) -> int:
        return self.senders * self.each

    def letters(self, sender: int) -> Iterator[tuple[str, str]]:
        """What a sender sends, in order: to whom, and the text, which names the message."""
        for n in range(self.each):
            last = n % self.broadcast_every == self.broadcast_every - 1
            to = BROADCAST if last else f"reader{(sender + n) % self.addressees + 1}"
            yield to, f"sender{sender + 1} {n}"

    def expected(self, reader: str) -> set[str]:
        """The texts that a reader is to be shown."""
        every = (letter for sender in range(self.senders) for letter in self.letters(sender))
        return {text for to, text in every if to in (reader, BROADCAST)}

    @property
    def broadcasts(self) -> int:
        return self.senders * (self.each // self.broadcast_every)


def burst(store: str, world: World, fleet: Fleet, plan: Plan) -> Burst:
    """Run one burst in a project of its own."""
    world = replace(world, project=f"burst-{plan.messages}")
    jobs = [(world, plan, "reader", number) for number in range(plan.readers)]
    jobs += [(world, plan, "sender", number) for number in range(plan.senders)]
    results = fleet.run(take_part, jobs, seconds=ROUND_SECONDS)
    senders = [result for result in results if isinstance(result, Sender)]
    readers = [result for result in results if isinstance(result, Reader)]
    _count_from(min(sender.began for sender in senders), senders, readers)
    return Burst(
        store=store,
        messages=plan.messages,
        broadcasts=plan.broadcasts,
        addressees=plan.addressees,
        senders=senders,
        readers=readers,
    )


def take_part(world: World, plan: Plan, role: str, number: int) -> Callable[[], Sender | Reader]:
    """The job of one process of the burst."""
    name = f"{role}{number + 1}"
    project = open_project(world, name)
    project.agents.register()
    project.mailbox.unread_count()
    if role == "reader":
        expected = plan.expected(name)
        return lambda: _read(project, name, expected)
    return lambda: _send(project, name, list(plan.letters(number)))


def _send(project: Project, name: str, letters: list[tuple[str, str]]) -> Sender:
    done = Sender(name=name, sent=0, errors=[], began=time.monotonic(), ended=0.0, curve=[])
    for to, text in letters:
        try:
            project.mailbox.send(to, text)
        except TracecraftError as error:
            done.errors.append(error.code)
            continue
        done.sent += 1
        place = int((time.monotonic() - done.began) / TENTH)
        done.curve += [0] * (place + 1 - len(done.curve))
        done.curve[place] += 1
    done.ended = time.monotonic()
    return done


def _read(project: Project, name: str, expected: set[str]) -> Reader:
    """Read until everything expected was shown and one more look shows nothing, or nothing comes for too long."""
    done = Reader(name=name, expected=len(expected), lost=0, repeated=0, unexpected=0, errors=[], batches=[])
    shown: Counter[str] = Counter()
    news = time.monotonic()
    while time.monotonic() - news < PATIENCE:
        found = 0
        try:
            for letters in project.mailbox.new():
                shown.update(str(letter.message.message) for letter in letters)
                found += len(letters)
                news = time.monotonic()
                done.batches.append((news, len(letters)))
        except TracecraftError as error:
            done.errors.append(error.code)
        if not found and not expected - shown.keys():
            break
        if not found:
            time.sleep(IDLE)
    done.lost = len(expected - shown.keys())
    done.repeated = sum(times - 1 for times in shown.values())
    done.unexpected = len(shown.keys() - expected)
    return done


def _count_from(origin: float, senders: list[Sender], readers: list[Reader]) -> None:
    """Turn the machine's clock into seconds since the first message was begun."""
    for sender in senders:
        sender.began, sender.ended = round(sender.began - origin, 3), round(sender.ended - origin, 3)
    for reader in readers:
        reader.batches = [(round(at - origin, 3), count) for at, count in reader.batches]
