"""OpenClaw until 2026.7: a file of Pi's events for each session. Later versions leave them behind when they migrate."""

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

DATABASE = Path("agent", "openclaw-agent.sqlite")
"""Where later versions keep all sessions of an agent, in the agent's folder."""

_LEGACY = (".clawdbot", ".moltbot", ".moldbot")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}\.jsonl")
_OTHERS = (".trajectory.jsonl", ".bak.jsonl")


def state_folders(machine: Machine) -> list[Path]:
    """Where OpenClaw keeps its state: the newest of its names first, each of its profiles, each place once."""
    if machine.environ.get("OPENCLAW_STATE_DIR", "").strip():
        return [common.folder(machine, "OPENCLAW_STATE_DIR")]
    home = common.folder(machine, "OPENCLAW_HOME")
    named = [home / ".openclaw", *sorted(home.glob(".openclaw-*")), *(home / name for name in _LEGACY)]
    return list({folder.resolve(): folder for folder in reversed(named)}.values())[::-1]


class OpenClawFiles(LineHarness):
    name = "openclaw"

    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        for state in state_folders(machine):
            for agent in sorted(state.glob("agents/*")):
                yield from self.sessions(agent, cwd)

    def sessions(self, agent: Path, cwd: Path | None) -> Iterator[Found]:
        """The sessions of one agent. Archives of deleted ones and logs beside them are none."""
        for path in sorted(agent.glob("sessions/*.jsonl")):
            if path.name.endswith(_OTHERS) or ".checkpoint." in path.name:
                continue
            try:
                first = header(path)
                modified = path.stat().st_mtime
            except OSError:
                continue
            folder = fields.text(first.get("cwd"))
            if first and common.same_folder(folder, cwd):
                yield Found(self.name, path.stem, path, folder, modified)

    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        return pi_events.normalise(record)

    def restored(self, machine: Machine, session_id: str, source_path: str, cwd: Path) -> Path | None:
        """None where a later version would not look for files any more."""
        source = PurePosixPath(source_path)
        agent = source.parts[-3] if len(source.parts) > 2 else ""
        if not (_NAME.fullmatch(source.name) and _FOLDER.fullmatch(agent)):
            return None
        folder = state_folders(machine)[0] / "agents" / agent
        return None if (folder / DATABASE).exists() else folder / "sessions" / source.name
