"""What this machine remembers of a project between commands: the last heartbeat, what the store promises, which run
an agent began.

It may be deleted at any time: that costs requests, and a run that was current is so no longer. Failing to write it is
not an error, and no claim is ever decided by it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

OWN = ".tracecraft"
"""The folder in a home that holds this program's state, and the store of those who name no other."""


def make_own_folder(home: Path) -> None:
    """Make that folder if it is not there, for its owner alone: transcripts may come to lie in it. Raises OSError."""
    (home / OWN).mkdir(mode=0o700, parents=True, exist_ok=True)


class LocalState:
    """A folder of small JSON files for one project on one store."""

    def __init__(self, store_url: str, project: str, home: Path | None = None) -> None:
        self._home = home or Path.home()
        self.folder = self._home / OWN / "state" / _folder_name(store_url, project)

    def read(self, name: str) -> dict[str, Any]:
        try:
            return msgspec.json.decode((self.folder / f"{name}.json").read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return {}

    def write(self, name: str, content: dict[str, Any]) -> None:
        temporary = self.folder / f".{name}.{os.getpid()}.{os.urandom(3).hex()}"
        try:
            make_own_folder(self._home)
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(content))
            os.replace(temporary, self.folder / f"{name}.json")
        except OSError:
            with suppress(OSError):
                temporary.unlink()


def _folder_name(store_url: str, project: str) -> str:
    """A name that people recognise, told apart by a checksum."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{project}-{store_url}")[:80]
    whole = f"{store_url}\n{project}"
    return f"{readable}-{checksum(whole):016x}"


def checksum(text: str) -> int:
    """FNV-1a in 64 bits. Every command needs it, and to load zlib or hashlib for it would show in its memory."""
    value = 0xCBF29CE484222325
    for byte in text.encode(errors="replace"):
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value
