"""Reads sessions as a mirrorer would, and holds every batch to what it promises."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tracecraft.sessions.harness import Cursor, Found, Harness, Machine
from tracecraft.sessions.message import About, Entry, Message, Spent, Usage

_SAMPLES = os.environ.get("TRACECRAFT_TEST_SAMPLES", "")
needs_samples = pytest.mark.skipif(not _SAMPLES, reason="TRACECRAFT_TEST_SAMPLES names no folder")


def sample(name: str, to: Path) -> Path:
    """A copy of a sample transcript, or of a folder of them."""
    to.parent.mkdir(parents=True, exist_ok=True)
    source = Path(_SAMPLES) / name
    if source.is_dir():
        shutil.copytree(source, to)
    else:
        shutil.copyfile(source, to)
    return to


def found(harness: Harness, machine: Machine, cwd: Path | None = None) -> dict[str, Found]:
    """The sessions that are discovered, by id; each must be found once."""
    sessions = list(harness.discover(machine, cwd))
    by_id = {session.session_id: session for session in sessions}
    assert len(by_id) == len(sessions)
    return by_id


def drain(harness: Harness, session: Found, cursor: Cursor | None = None) -> tuple[list[bytes], Cursor | None]:
    """All new lines, and the cursor behind them as it comes back from where it is stored."""
    (source,) = harness.sources(session)
    lines: list[bytes] = []
    for _ in range(10_000):
        batch = harness.read_new(session, source, cursor)
        if batch is None:
            return lines, cursor
        data = b"".join(batch.chunks)
        assert len(data) == batch.size > 0
        assert data.endswith(b"\n")
        lines += data.splitlines(keepends=True)
        cursor = json.loads(json.dumps(batch.cursor))
        assert harness.recognises(source, batch.cursor, harness.bookmark(source, batch.cursor))
        if not batch.more:
            assert harness.read_new(session, source, cursor) is None
    raise AssertionError("no end of batches")


def records(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def entries(harness: Harness, lines: Iterable[bytes]) -> list[Entry]:
    return [entry for record in records(lines) for entry in harness.normalise(record)]


def messages(told: Iterable[Entry]) -> list[Message]:
    return [entry for entry in told if isinstance(entry, Message)]


def abouts(told: Iterable[Entry]) -> list[About]:
    return [entry for entry in told if isinstance(entry, About)]


def spent(told: Iterable[Entry]) -> tuple[Usage, float | None]:
    """Tokens and costs of all calls, each counted as its `Spent` asks."""
    calls: dict[str, Spent] = {}
    for entry in told:
        if isinstance(entry, Spent) and (
            entry.key not in calls or calls[entry.key].usage.output <= entry.usage.output or entry.running
        ):
            calls[entry.key] = entry
    used = [call.usage for call in calls.values()]
    costs = [call.cost for call in calls.values() if call.cost is not None]
    total = Usage(
        input=sum(usage.input for usage in used),
        output=sum(usage.output for usage in used),
        cache_read=sum(usage.cache_read for usage in used),
        cache_write=sum(usage.cache_write for usage in used),
        reasoning=sum(usage.reasoning for usage in used),
    )
    return total, sum(costs) if costs else None


def photograph(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Every file below a folder: what is in it, when that was written, and with which rights."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns,
            path.stat().st_mode,
        )
        for path in sorted(folder.rglob("*"))
    }
