"""Codex: a file of lines ("rollout") for each session, in folders by the day it was begun.

    sessions/YYYY/MM/DD/rollout-<time>-<session>.jsonl     each session
    archived_sessions/rollout-<time>-<session>.jsonl       those that were archived
    *.jsonl.zst                                            either, compressed after some days without use

Subagents and forks have sessions of their own. What the lines mean is in `codex_records`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tracecraft.sessions.fields import record, text
from tracecraft.sessions.harness import Found, Machine
from tracecraft.sessions.harnesses import codex_records
from tracecraft.sessions.lines import LineHarness, first_lines, parse
from tracecraft.sessions.message import Entry

_ROLLOUT = re.compile(
    r"(?P<plain>rollout-(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)T[0-9-]+"
    r"-(?P<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl)(?P<packed>\.zst)?",
    re.ASCII,
)
# It holds the instructions and tools of the session: tens of kilobytes.
_LONGEST_FIRST_LINE = 1 << 20


class Codex(LineHarness):
    name = "codex"
    skimmed = codex_records.Skimmed

    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        """The sessions, those begun last first. A file that is there twice is the one that is not compressed."""
        seen: set[str] = set()
        for path in _rollouts(_root(machine)):
            session = _ROLLOUT.fullmatch(path.name)
            if session is None or session["id"] in seen:
                continue
            seen.add(session["id"])
            with suppress(OSError):
                begun_in = _cwd(path)
                if cwd is None or _is_same(begun_in, cwd):
                    yield Found(self.name, session["id"], path, begun_in, path.stat().st_mtime)

    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        return codex_records.normalise(record)

    def restored(self, machine: Machine, session_id: str, source_path: str, cwd: Path) -> Path | None:
        """None when the source was no rollout of this session: its name is how the harness finds it again."""
        rollout = _ROLLOUT.fullmatch(source_path.rpartition("/")[2])
        if rollout is None or rollout["id"] != session_id:
            return None
        return _root(machine).joinpath("sessions", *rollout.group("year", "month", "day", "plain"))


def _root(machine: Machine) -> Path:
    return Path(machine.environ.get("CODEX_HOME") or machine.home / ".codex")


def _rollouts(root: Path) -> Iterator[Path]:
    """Every rollout, the youngest first; of the same name the plain one first."""
    for year in _folders(root / "sessions"):
        for month in _folders(year):
            for day in _folders(month):
                yield from _files(day)
    yield from _files(root / "archived_sessions")


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.name.isdecimal() and _is_folder(entry)]


def _files(folder: Path) -> list[Path]:
    """Names tell their time. Sorting keeps the order of what is equal, so of twins the plain one comes first."""
    files = [entry.name for entry in _entries(folder) if _ROLLOUT.fullmatch(entry.name) and _is_file(entry)]
    plain_first = sorted(files, key=len)
    youngest_first = sorted(plain_first, key=lambda name: name.removesuffix(".zst"), reverse=True)
    return [folder / name for name in youngest_first]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name, reverse=True)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_dir(follow_symlinks=False)
    return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_file(follow_symlinks=False)
    return False


def _cwd(path: Path) -> str:
    """Where a session was begun: its first line says so, whatever later lines were copied from other sessions."""
    first = next(first_lines(path, _LONGEST_FIRST_LINE), b"")
    return text(record(parse(first), "payload").get("cwd"))


def _is_same(begun_in: str, cwd: Path) -> bool:
    return bool(begun_in) and os.path.realpath(begun_in) == os.path.realpath(cwd)
