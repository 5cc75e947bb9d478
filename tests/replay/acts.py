"""Random things that agents do, over every primitive, to be folded afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis.strategies as st

from tracecraft.claims import Outcome
from tracecraft.errors import TracecraftError
from tracecraft.gc import Limits
from tracecraft.layout import BROADCAST
from tracecraft.lease import LeaseKeeper
from tracecraft.project import Project

AGENTS = ("ann", "bob", "cid")
STEPS = ("a", "b", "c")
KEYS = ("k", "deep.key")
OUTCOMES: tuple[Outcome, ...] = ("complete", "blocked", "needs_review")


class Act(NamedTuple):
    """What one agent does; `first` and `second` choose among what it may be done to or with."""

    agent: str
    name: str
    first: int
    second: int


def do(act: Act, project: Project, folder: Path) -> None:
    """Do it as well as it can be done; being refused is something that happens too."""
    with suppress(TracecraftError):
        ACTS[act.name](project, act, folder)


def _declare(project: Project, act: Act, _folder: Path) -> None:
    needs = [STEPS[act.second % 3]] if act.second % 2 and act.first % 3 > act.second % 3 else []
    project.steps.add(STEPS[act.first % 3], title=f"title {act.second}", needs=needs, replace=bool(act.second % 4))


def _claim(project: Project, act: Act, _folder: Path) -> None:
    project.steps.claim(
        STEPS[act.first % 3], steal=act.second % 3 == 0, alive="self" if act.second % 5 == 0 else "agent"
    )


def _claim_quietly_kept(project: Project, act: Act, _folder: Path) -> None:
    """Its process renews the claim, which no event tells."""
    hold = project.steps.claim(STEPS[act.first % 3], steal=True, alive="self", process="elsewhere:1:1")
    keeper = LeaseKeeper(project, hold, process="elsewhere:1:1")
    keeper.start()
    time.sleep(0.06)
    keeper.stop()


def _complete(project: Project, act: Act, _folder: Path) -> None:
    project.steps.complete(
        STEPS[act.first % 3],
        outcome=OUTCOMES[act.second % 3],
        note=f"note {act.second}" if act.second % 2 else "",
        to=AGENTS[act.second % 3] if act.second % 5 == 0 else None,
        next_action="go on" if act.second % 7 == 0 else None,
        force=act.second % 6 == 0,
    )


def _set(project: Project, act: Act, _folder: Path) -> None:
    values: list[Any] = [None, "", act.second, {"list": [1, 2.5, None]}, "long " * 400, "ünï\u2028code"]
    project.memory.set(KEYS[act.first % 2], values[act.second % len(values)])


def _swap(project: Project, act: Act, _folder: Path) -> None:
    key = KEYS[act.first % 2]
    if act.second % 3 == 0:
        project.memory.set(key, act.second, if_absent=True)
    elif act.second % 3 == 1:
        project.memory.set(key, act.second, if_version=project.memory.get(key).version)
    else:
        project.memory.update(key, lambda value: [value, act.second] if act.second % 2 else act.second)


def _send(project: Project, act: Act, _folder: Path) -> None:
    to = [*AGENTS, BROADCAST, "stranger"][act.first % 5]
    step = STEPS[act.second % 3] if act.second % 2 else None
    project.mailbox.send(to, f"text {act.second}", step=step, ack=act.second % 4 == 0)


def _read(project: Project, act: Act, _folder: Path) -> None:
    for _ in project.mailbox.new(limit=act.second % 3 or None, batch=2):
        pass


def _ack(project: Project, act: Act, _folder: Path) -> None:
    letters = project.mailbox.read()
    if letters:
        project.mailbox.ack([letters[act.second % len(letters)].id])


def _delete_mail(project: Project, act: Act, _folder: Path) -> None:
    project.mailbox.delete(project.mailbox.read()[: act.second % 3])


def _upload(project: Project, act: Act, folder: Path) -> None:
    path = folder / f"file-{act.first % 2}"
    path.write_text("x" * act.second)
    project.artifacts.upload(path, step=STEPS[act.second % 3] if act.second % 2 else None)


def _collect(project: Project, act: Act, _folder: Path) -> None:
    """As if a month had passed."""
    limits = Limits(events=0, messages=0, agents=300)
    project.gc.collect(limits, only=("events", "messages"), now=time.time() + 5 * 86400)


ACTS: dict[str, Callable[[Project, Act, Path], object]] = {
    "declare": _declare,
    "claim": _claim,
    "claim again": _claim,
    "keep": _claim_quietly_kept,
    "next": lambda project, act, _: project.steps.next(another=bool(act.second % 2)),
    "renew": lambda project, act, _: project.steps.renew([STEPS[act.first % 3]]),
    "complete": _complete,
    "end": _complete,
    "release": lambda project, act, _: project.steps.release(STEPS[act.first % 3], note=f"left {act.second}"),
    "reopen": lambda project, act, _: project.steps.reopen(STEPS[act.first % 3], note="again"),
    "set": _set,
    "swap": _swap,
    "forget": lambda project, act, _: project.memory.delete(KEYS[act.first % 2]),
    "send": _send,
    "write": _send,
    "read": _read,
    "ack": _ack,
    "delete mail": _delete_mail,
    "upload": _upload,
    "collect": _collect,
}

numbers = st.integers(0, 30)
acts = st.builds(Act, st.sampled_from(AGENTS), st.sampled_from(sorted(ACTS)), numbers, numbers)
histories = st.lists(acts, min_size=15, max_size=50)
