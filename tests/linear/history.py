"""Histories: what was called when, and what was answered when, written down so that a kill loses nothing.

Every operation leaves one line when it is called and one when it returns, each by one write(2) to a file opened with
O_APPEND. Whoever is killed in between leaves a call without a return: its outcome is unknown for ever. Times are of
CLOCK_MONOTONIC, which all processes of one machine share.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

Answer = tuple[Any, ...]


class Reply(NamedTuple):
    """What a call returned or was refused with; see `Operation` for the fields."""

    answer: Answer
    version: str = ""
    value: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Operation:
    """One call. Without an answer nobody knows whether it took effect, or will."""

    name: str
    agent: str
    subject: str
    action: Mapping[str, Any]
    """What was called under `do`, and its arguments."""
    called: float
    returned: float = math.inf
    """When an answer came; infinite without one."""
    answer: Answer | None = None
    version: str = ""
    """The version of a memory value that came with the answer."""
    value: Mapping[str, Any] | None = None
    """The memory value that was read: its writer's token, and the token of the value it was made from."""
    why: str = ""
    """What the caller was told instead of an answer."""
    repeats: bool = False
    """Whether it may take effect again later: a write without condition that was sent more than once."""

    @property
    def known(self) -> bool:
        return self.answer is not None


class Recorder:
    """Appends to the history of one agent."""

    def __init__(self, path: Path, agent: str, life: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._agent = agent
        self._life = life
        self._count = 0

    def called(self, subject: str, action: Mapping[str, Any]) -> str:
        """Write down a call that is about to be made; gives its name."""
        self._count += 1
        name = f"{self._agent}.{self._life}.{self._count}"
        self._write({"op": name, "agent": self._agent, "on": subject, "call": dict(action)})
        return name

    def returned(self, name: str, reply: Reply) -> None:
        self._write({"op": name, "answer": reply.answer, "version": reply.version, "value": reply.value})

    def in_doubt(self, name: str, why: str) -> None:
        """The call ended without saying whether it took effect."""
        self._write({"op": name, "unknown": why})

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps({"at": time.monotonic(), **line}).encode() + b"\n")


def read_history(paths: Iterable[Path]) -> list[Operation]:
    """All operations in files of recorders, in order of their calls."""
    operations = [operation for path in paths for operation in _operations(path)]
    return sorted(operations, key=lambda operation: operation.called)


def by_subject(history: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The history of each object. A history is linearizable if and only if that of every object is."""
    parts: dict[str, list[Operation]] = {}
    for operation in history:
        parts.setdefault(operation.subject, []).append(operation)
    return parts


def _operations(path: Path) -> Iterable[Operation]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    ends = {line["op"]: line for line in lines if "call" not in line}
    return [_operation(line, ends.get(line["op"], {})) for line in lines if "call" in line]


def _operation(call: Mapping[str, Any], end: Mapping[str, Any]) -> Operation:
    told = "answer" in end
    return Operation(
        name=call["op"],
        agent=call["agent"],
        subject=call["on"],
        action=call["call"],
        called=call["at"],
        returned=end["at"] if told else math.inf,
        answer=tuple(end["answer"]) if told else None,
        version=end.get("version", ""),
        value=end.get("value"),
        why=end.get("unknown", "" if told else "killed"),
    )
