"""Pi: a file of events for each session, in a folder named for the working folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tracecraft.sessions import fields
from tracecraft.sessions.harness import Found, Machine
from tracecraft.sessions.harnesses import common, pi_events
from tracecraft.sessions.harnesses.pi_files import header
from tracecraft.sessions.lines import LineHarness
from tracecraft.sessions.message import Entry

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}\.jsonl")


class Pi(LineHarness):
    name = "pi"
    skimmed = pi_events.Skimmed

    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        for path in sorted(_home(machine).glob("sessions/*/*.jsonl")):
            try:
                first = header(path)
                modified = path.stat().st_mtime
            except OSError:
                continue
            folder = fields.text(first.get("cwd"))
            if first and common.same_folder(folder, cwd):
                session_id = fields.text(first.get("id")) or pi_events.session_in(path.name)
                yield Found(self.name, session_id, path, folder, modified)

    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        return pi_events.normalise(record)

    def restored(self, machine: Machine, session_id: str, source_path: str, cwd: Path) -> Path | None:
        names = (PurePosixPath(source_path).name, f"{session_id}.jsonl")
        name = next(filter(_NAME.fullmatch, names), None)
        folder = "--" + re.sub(r"[/\\:]", "-", str(cwd).lstrip("/")) + "--"
        return _home(machine) / "sessions" / folder / name if name else None


def _home(machine: Machine) -> Path:
    return common.folder(machine, "PI_CODING_AGENT_DIR", ".pi", "agent")
