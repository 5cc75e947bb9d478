"""What a step and a memory key would do if calls came one after another: what a history is compared with.

A model gives, for a state and an action, every way it can go: what the state becomes, and what the caller is told. One
answer in one state never leads to two different states.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tests.linear.history import Answer, Operation
from tests.support.steptable import Step, Told

State = Hashable
Ways = Sequence[tuple[State, Answer]]

DONE: Answer = ("done",)
REFUSED: Answer = ("refused",)
_REFUSALS = ("refused", "held", "lost_lease", "wrong_state")


class Model(Protocol):
    """One kind of object."""

    @property
    def start(self) -> State:
        """What an object is before anybody touched it."""

    def ways(self, state: Any, action: Mapping[str, Any]) -> Ways:
        """Every way an action can go in a state."""


def only_looks(operation: Operation) -> bool:
    """Whether an operation, as it was answered, changes nothing in any state."""
    refused = operation.answer is not None and operation.answer[0] in _REFUSALS
    return refused or (operation.known and operation.action["do"] in ("get", "look", "renew"))


@dataclass(frozen=True)
class StepModel:
    """A step, by the table of states. Where leases are short, any claim may find the lease run out; whether it really
    could is a matter of time, which `leases.py` judges."""

    leases_run_out: bool = False
    start: Step = field(default_factory=Step)

    def ways(self, state: Step, action: Mapping[str, Any]) -> Sequence[tuple[Step, Told]]:
        match action:
            case {"do": "look"}:
                return [state.look()]
            case {"do": "claim", "agent": agent, "steal": steal, "alive": alive}:
                ways = [state.claim(agent, steal=steal, alive=alive)]
                if self.leases_run_out:
                    ways.append(state.claim(agent, steal=steal, alive=alive, expired=True))
                return list(dict.fromkeys(ways))
            case {"do": "complete", "agent": agent, "outcome": outcome, "force": force, "fence": fence}:
                return [state.complete(agent, outcome, force=force, fence=fence)]
            case {"do": "release", "agent": agent, "fence": fence}:
                return [state.release(agent, fence=fence)]
            case {"do": "reopen"}:
                return [state.reopen()]
            case {"do": "renew", "agent": agent}:
                return [state.renew(agent)]
        raise ValueError(f"not about a step: {action}")


@dataclass(frozen=True)
class MemoryModel:
    """A memory key. Every write has a token of its own as value, so the state is a token, or None without a value."""

    start: str | None = None

    def ways(self, state: str | None, action: Mapping[str, Any]) -> Ways:
        match action:
            case {"do": "get"}:
                return [(state, ("is", state))]
            case {"do": "set", "token": token}:
                return [(token, DONE)]
            case {"do": "create", "token": token}:
                return [(token, DONE) if state is None else (state, REFUSED)]
            case {"do": "swap", "token": token, "expected": expected}:
                return [(token, DONE) if state == expected else (state, REFUSED)]
            case {"do": "update", "token": token, "after": after}:
                return [(token, ("after", state))] if state == after else []
            case {"do": "update", "token": token}:
                return [(token, ("after", state))]
            case {"do": "delete"}:
                return [(state, REFUSED) if state is None else (None, DONE)]
        raise ValueError(f"not about memory: {action}")


def with_bases(history: Iterable[Operation]) -> list[Operation]:
    """Updates without an answer, with what they were based on where somebody saw it: values tell what they follow."""
    operations = list(history)
    bases = {value["token"]: value["after"] for operation in operations if (value := operation.value)}
    return [_with_base(operation, bases) for operation in operations]


def _with_base(operation: Operation, bases: Mapping[str, str | None]) -> Operation:
    action = operation.action
    if operation.known or action["do"] != "update" or action["token"] not in bases:
        return operation
    return replace(operation, action={**action, "after": bases[action["token"]]})


def two_versions(history: Iterable[Operation]) -> list[str]:
    """Values that were told under two versions, and versions told of two values."""
    versions: dict[str, str] = {}
    tokens: dict[str, str] = {}
    complaints = []
    for operation in history:
        if not operation.version or operation.answer is None:
            continue
        told = operation.answer[1] if operation.action["do"] == "get" else operation.action["token"]
        if versions.setdefault(told, operation.version) != operation.version:
            complaints.append(f"{operation.name}: {told} under version {operation.version}, not {versions[told]}")
        if tokens.setdefault(operation.version, told) != told:
            complaints.append(
                f"{operation.name}: version {operation.version} is {told}'s and {tokens[operation.version]}'s"
            )
    return complaints
