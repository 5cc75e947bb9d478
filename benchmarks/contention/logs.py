"""The raw logs of the contention report: what a line of each holds, and how the files are read and written.

`races-<store>.jsonl.gz` has one `Trial` a line, `messages.jsonl.gz` one `Burst`, `machine.json` what each part ran on.
Everything in the report is computed from these.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")

WON = "won"
REFUSED = "refused"
"""The two expected outcomes of a claim; any other is an error's code."""

STAGGER_MS = 25
"""How long after the one before each agent of a staggered race starts."""

Machine = dict[str, dict[str, str]]
"""What each part of the run (`races-folder`, `messages-ceph`) ran on, or why it was skipped."""


class Trial(msgspec.Struct):
    """One race for one step. The lists have one place for each agent, in the order in which they were to start.

    Times are milliseconds; `start_ms` counts from the first call of the trial.
    """

    store: str
    mode: str
    schedule: str
    agents: int
    trial: int
    lane: int
    names: list[str]
    outcomes: list[str]
    start_ms: list[float]
    latency_ms: list[float]
    fences: list[int]
    """The fence that each winner was told; 0 for the others."""
    holders: list[str]
    """Whom each agent was told to hold the step."""
    stored_agent: str
    stored_fence: int
    stored_state: str
    verdict: str = ""


class Sender(msgspec.Struct):
    """What one process sent: `curve` counts messages in each tenth of a second since it began."""

    name: str
    sent: int
    errors: list[str]
    began: float
    ended: float
    curve: list[int]


class Reader(msgspec.Struct):
    """What one process read, in batches of [seconds from the start of the burst, messages]."""

    name: str
    expected: int
    lost: int
    repeated: int
    unexpected: int
    errors: list[str]
    batches: list[tuple[float, int]]


class Burst(msgspec.Struct):
    """One burst of messages on one store. Times are seconds since the first message was begun."""

    store: str
    messages: int
    broadcasts: int
    addressees: int
    senders: list[Sender]
    readers: list[Reader]


def write(path: Path, records: Iterable[msgspec.Struct]) -> None:
    """One JSON line for each record. Equal records make equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
    path.write_bytes(gzip.compress(text, mtime=0))


def read(path: Path, kind: type[T]) -> list[T]:
    """The records of a log; none where there is no log."""
    if not path.exists():
        return []
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def read_trials(folder: Path) -> list[Trial]:
    """The races of all stores."""
    return [trial for path in sorted(folder.glob("races-*.jsonl.gz")) for trial in read(path, Trial)]


def read_bursts(folder: Path) -> list[Burst]:
    return read(folder / "messages.jsonl.gz", Burst)


def read_machine(folder: Path) -> Machine:
    path = folder / "machine.json"
    return msgspec.json.decode(path.read_bytes(), type=Machine) if path.exists() else {}


def write_machine(folder: Path, machine: Machine) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine.json").write_text(json.dumps(machine, indent=2, sort_keys=True) + "\n")
