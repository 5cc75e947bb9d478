"""`meta.json` of a run: what it is, how it began, and what became of it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tracecraft.records import Record, Versioned

Status = Literal["running", "completed", "failed", "cancelled"]
ENDED: tuple[Status, ...] = ("completed", "failed", "cancelled")
STALE = "stale"
"""How a run reads that says it is running while nobody shows a sign of life. It is never written."""

STALE_AFTER = 60.0
"""Seconds without a sign of life, by the store's clock, after which a run of a living process reads as stale."""
BEAT_EVERY = 15.0
"""Seconds between two signs of life of a process that has a run open."""


class Captured(Record):
    """What a run was started with and on. `command` and `packages` are as they were when it began."""

    command: list[str] = msgspec.field(default_factory=list)
    cwd: str = ""
    host: str = ""
    user: str = ""
    pid: int = 0
    python: str = ""
    platform: str = ""
    packages: dict[str, str] = msgspec.field(default_factory=dict)
    commit: str = ""
    branch: str = ""
    dirty: bool = False
    origin: str = ""


class Resumed(Record):
    """A further start of a run that had ended or was left."""

    at: str = ""
    writer: str = ""
    host: str = ""


class RunMeta(Versioned):
    """`meta.json`. It changes by conditional writes only.

    A run with `alive` of `self` lives while one of its writers does; one of `agent`, which the command line started,
    while that agent's heartbeat does. `exit` is the status of the command that `run exec` ran. A deleted run leaves
    this record behind with `deleted_at`.
    """

    run: str
    name: str = ""
    status: Status = "running"
    started_at: str = ""
    ended_at: str = ""
    agent: str = ""
    group: str = ""
    parent: str = ""
    alive: Literal["self", "agent"] = "self"
    error: str = ""
    exit: int | None = None
    resumed: list[Resumed] = msgspec.field(default_factory=list)
    captured: Captured = msgspec.field(default_factory=Captured)
    deleted_at: str = ""


class Head(msgspec.Struct, omit_defaults=True):
    """The fields of a run's meta that lists show; every index entry repeats them."""

    name: str = ""
    status: Status = "running"
    started_at: str = ""
    ended_at: str = ""
    agent: str = ""
    group: str = ""
    parent: str = ""
    alive: Literal["self", "agent"] = "self"
    error: str = ""
    deleted: bool = False


def head_of(meta: RunMeta) -> Head:
    fields: dict[str, Any] = {name: getattr(meta, name) for name in Head.__struct_fields__ if name != "deleted"}
    return Head(**fields, deleted=bool(meta.deleted_at))
