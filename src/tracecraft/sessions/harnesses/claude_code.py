"""Claude Code: a file of lines for each session, in a folder named after where it was begun.

    projects/<folder>/<session>.jsonl                       the conversation
    projects/<folder>/<session>/subagents/**/agent-*.jsonl  conversations of its subagents, with *.meta.json beside
    projects/<folder>/<session>/tool-results/*              results too long for the conversation
    projects/<folder>/<session>/workflows/*.json            runs of workflows
    projects/<folder>/agent-*.jsonl                         subagents, as older versions keep them
    sessions/<pid>.json                                     who is at work

What the lines mean is in `claude_records`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from tracecraft import layout
from tracecraft.sessions.fields import record, text
from tracecraft.sessions.harness import MAIN, Found, Machine, Source
from tracecraft.sessions.harnesses import claude_records
from tracecraft.sessions.lines import LineHarness, below, first_lines, parse
from tracecraft.sessions.message import Entry

_LONGEST_FOLDER = 200
_HEAD = 1 << 18
_REGISTERED = 1 << 16
_AGENT = "agent-"
_KEPT = (  # below a session's folder: where, which files, copied as a whole
    ("subagents", "**/*.jsonl", False),
    ("subagents", "**/*.meta.json", True),
    ("tool-results", "*", True),
    ("workflows", "*.json", True),
)
# Clocks that were set since are no reason to think a process dead.
_SLACK = 5.0


class ClaudeCode(LineHarness):
    name = "claude-code"
    skimmed = claude_records.Skimmed

    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        for folder in _folders(machine, cwd):
            agents = _agents(folder)
            for path in _listed(folder, "*.jsonl"):
                if path.name.startswith(_AGENT):
                    continue
                begun_in = _cwd(path)
                if cwd is None or _belongs(begun_in, folder, cwd):
                    sources = _sources(path, agents.get(path.stem, ()))
                    yield Found(self.name, path.stem, path, begun_in or str(cwd or ""), _modified(sources))

    def sources(self, found: Found) -> Sequence[Source]:
        return _sources(found.path, _agents(found.path.parent).get(found.session_id, ()))

    def process(self, machine: Machine, found: Found) -> int | None:
        for root in _roots(machine):
            for path in _listed(root / "sessions", "*.json"):
                if path.stem.isdecimal() and _registered(path) == found.session_id and _lives(path):
                    return int(path.stem)
        return None

    def restored(self, machine: Machine, session_id: str, source_path: str, cwd: Path) -> Path | None:
        root = _roots(machine)[0]
        folder = root / "projects" / (_chosen_name(machine) or _folder_name(_real(cwd)))
        if not folder.is_dir():
            folder = next(_named(root, machine, cwd), folder)
        return folder / f"{layout.segment('session', session_id)}.jsonl"

    def stream_path(self, main: Path, stream: str) -> Path:
        if stream.startswith(_AGENT) and "/" not in stream:
            return below(main.parent, stream)
        return super().stream_path(main, stream)

    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        return claude_records.normalise(record)


# Where sessions are.


def _roots(machine: Machine) -> Sequence[Path]:
    if chosen := machine.environ.get("CLAUDE_CONFIG_DIR"):
        return [Path(unicodedata.normalize("NFC", chosen))]
    settings = machine.environ.get("XDG_CONFIG_HOME") or machine.home / ".config"
    return [machine.home / ".claude", Path(settings) / "claude"]


def _folders(machine: Machine, cwd: Path | None) -> Iterator[Path]:
    for root in _roots(machine):
        yield from _listed(root / "projects", "*", folders=True) if cwd is None else _named(root, machine, cwd)


def _named(root: Path, machine: Machine, cwd: Path) -> Iterator[Path]:
    """The folders of this root that hold sessions begun in `cwd`."""
    name = _folder_name(_real(cwd))
    exact = [root / "projects" / known for known in (_chosen_name(machine), name) if known]
    yield from (path for path in exact if path.is_dir())
    if len(name) > _LONGEST_FOLDER:
        others = _listed(root / "projects", "*", folders=True)
        yield from (path for path in others if _are_alike(path.name, name) and path not in exact)


def _chosen_name(machine: Machine) -> str:
    """The name that the user gave to the folder of all sessions, whatever they work on."""
    chosen = machine.environ.get("CLAUDE_CODE_PROJECT_DIR_NAME", "")
    return chosen if machine.environ.get("CLAUDE_CONFIG_DIR") and layout.is_segment(chosen) else ""


def _folder_name(cwd: str) -> str:
    name = re.sub("[^A-Za-z0-9]", "-", cwd)
    return name if len(name) <= _LONGEST_FOLDER else f"{name[:_LONGEST_FOLDER]}-{_base36(_checksum(cwd))}"


def _are_alike(name: str, other: str) -> bool:
    """The end of a long name is a checksum that differs between versions, so what is before it has to do."""
    return name[: _LONGEST_FOLDER + 1] == other[: _LONGEST_FOLDER + 1]


def _checksum(cwd: str) -> int:
    """Times 31 plus the next unit of UTF-16, as 32 bits with a sign, without the sign."""
    units = cwd.encode("utf-16-le", "surrogatepass")
    total = 0
    for at in range(0, len(units), 2):
        total = (total * 31 + int.from_bytes(units[at : at + 2], "little")) & 0xFFFFFFFF
    return min(total, (1 << 32) - total)


def _base36(number: int) -> str:
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def _real(cwd: Path | str) -> str:
    return unicodedata.normalize("NFC", os.path.realpath(cwd))


def _belongs(begun_in: str, folder: Path, cwd: Path) -> bool:
    """Whether a session in a folder that may be the one of `cwd` is indeed of `cwd`.

    Several folders can come down to one name. A session that lies where its own folder's name would not have put it
    was put there by somebody, for the folder that it lies under.
    """
    begun_in, here = begun_in and _real(begun_in), _real(cwd)
    if not begun_in or begun_in == here:
        return True
    return _are_alike(folder.name, _folder_name(here)) and not _are_alike(folder.name, _folder_name(begun_in))


def _listed(folder: Path, pattern: str, *, folders: bool = False) -> Sequence[Path]:
    """What matches in a folder, by name; never a symbolic link, and nothing whose name cannot be written down."""
    try:
        found = sorted(folder.glob(pattern))
    except OSError:
        return []
    return [path for path in found if _is_plain(path, folders=folders) and layout.is_segment(path.name)]


def _is_plain(path: Path, *, folders: bool) -> bool:
    return not path.is_symlink() and (path.is_dir() if folders else path.is_file())


def _sources(main: Path, agents: Iterable[Path]) -> Sequence[Source]:
    home = main.with_suffix("")
    found = [Source(main, MAIN), *(Source(path, path.name) for path in agents)]
    if not home.is_symlink() and home.is_dir():
        for folder, pattern, whole in _KEPT:
            if (home / folder).is_symlink():
                continue
            for path in _listed(home / folder, pattern):
                stream = path.relative_to(home).as_posix()
                if all(map(layout.is_segment, stream.split("/"))):
                    found.append(Source(path, stream, whole))
    return found


def _agents(folder: Path) -> dict[str, list[Path]]:
    """The subagents beside the sessions of a folder, by session."""
    agents: dict[str, list[Path]] = {}
    for path in _listed(folder, f"{_AGENT}*.jsonl"):
        with suppress(OSError, LookupError):
            agents.setdefault(_session_of(path, path.stat().st_ino), []).append(path)
    return agents


@lru_cache(4096)
def _session_of(agent: Path, inode: int) -> str:
    """The session that a subagent's first record names; LookupError while there is none, which is not remembered.

    The inode makes it another question for another file.
    """
    first = next(first_lines(agent, _HEAD), b"")
    if session := text(record(parse(first)).get("sessionId")):
        return session
    raise LookupError(agent)


def _cwd(path: Path) -> str:
    """Where a session was begun; empty where its first records do not tell."""
    with suppress(OSError):
        for line in first_lines(path, _HEAD):
            if b'"cwd"' in line and (cwd := text(record(parse(line)).get("cwd"))):
                return cwd
    return ""


def _modified(sources: Iterable[Source]) -> float:
    latest = 0.0
    for source in sources:
        with suppress(OSError):
            latest = max(latest, source.path.stat().st_mtime)
    return latest


# Who is at work.


def _registered(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return text(record(parse(file.read(_REGISTERED))).get("sessionId"))
    except OSError:
        return ""


def _lives(path: Path) -> bool:
    """Whether the process that registered itself in this file is there, and not one that has its number since."""
    try:
        os.kill(int(path.stem), 0)
    except PermissionError:
        pass
    except (OSError, OverflowError):
        return False
    with suppress(OSError):
        started = _started(int(path.stem))
        return started is None or started <= path.stat().st_mtime + _SLACK
    return False


def _started(pid: int) -> float | None:
    """When a process started, in seconds since 1970; None where the system does not tell (proc(5))."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        booted = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    except (OSError, ValueError, IndexError):
        return None
    return int(booted[1]) + ticks / os.sysconf("SC_CLK_TCK") if booted else None
