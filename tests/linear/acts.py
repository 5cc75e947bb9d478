"""Does one action of a history by the public API, and says how it was answered in the words of the models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.linear.history import Reply
from tests.linear.models import DONE, REFUSED
from tests.support.steptable import Told, held, refusal, seen
from tracecraft import records
from tracecraft.errors import Missing, Refused, VersionMismatch
from tracecraft.memory import Entry, Memory
from tracecraft.project import Project
from tracecraft.steps import Steps

SHORT, LONG = 5.0, 3600.0
"""Seconds of the leases of steps that are to be taken over, and of all others."""


def act(project: Project, subject: str, action: Mapping[str, Any], version: str) -> Reply:
    """One call; `version` is for a swap. Raises StoreError where the outcome is unknown."""
    if subject.startswith("key-"):
        try:
            return _on_memory(project.memory, subject, action, version)
        except (VersionMismatch, Missing):
            return Reply(("is", None) if action["do"] == "get" else REFUSED)
    try:
        return Reply(_on_step(project.steps, subject, action))
    except Refused as refused:
        return Reply(refusal(refused))


def _on_step(steps: Steps, step: str, action: Mapping[str, Any]) -> Told:
    match action:
        case {"do": "claim", "steal": steal, "alive": alive}:
            ttl = SHORT if step.startswith("lease-") else LONG
            return held(steps.claim(step, ttl=ttl, steal=steal, alive=alive))
        case {"do": "complete", "outcome": outcome, "force": force, "fence": fence}:
            return seen(steps.complete(step, outcome=outcome, force=force, fence=fence))
        case {"do": "release", "fence": fence}:
            return seen(steps.release(step, fence=fence))
        case {"do": "reopen"}:
            return seen(steps.reopen(step))
        case {"do": "renew"}:
            return seen(steps.renew([step])[0])
        case {"do": "look"}:
            return seen(steps.view(step))
    raise ValueError(f"not about a step: {action}")


def _on_memory(memory: Memory, key: str, action: Mapping[str, Any], version: str) -> Reply:
    match action:
        case {"do": "get"}:
            found = memory.get(key)
            return Reply(("is", found.value["token"]), found.version, found.value)
        case {"do": "set", "token": token}:
            return _written(memory.set(key, _value(token)))
        case {"do": "create", "token": token}:
            return _written(memory.set(key, _value(token), if_absent=True))
        case {"do": "swap", "token": token}:
            return _written(memory.set(key, _value(token), if_version=version))
        case {"do": "update", "token": token}:
            written = memory.update(key, lambda before: _value(token, before))
            return _written(written)._replace(answer=("after", written.value["after"]))
        case {"do": "delete"}:
            memory.delete(key)
            return Reply(DONE)
    raise ValueError(f"not about memory: {action}")


def _value(token: str, before: Mapping[str, Any] | None = None) -> dict[str, str | None]:
    """A value that no other write has, and that tells which one it was made from."""
    return {"token": token, "after": before["token"] if before else None}


def _written(entry: Entry) -> Reply:
    """The version is unknown where others had replaced the value before its writer was answered."""
    return Reply(DONE, "" if entry.version == records.SUPERSEDED else entry.version)
