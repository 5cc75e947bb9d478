"""What a run is started with and on. Takes some milliseconds, imports nothing that is found, never raises."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tracecraft.git import checkout
from tracecraft.runs.meta import Captured

MOST_PACKAGES = 2000
_INSTALLED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>[^-]+)(?:-py[0-9.]+)?\.(?:dist|egg)-info")
_SECRET_OPTION = re.compile(
    r"-{1,2}[\w.-]*(?:token|secret|password|passwd|passphrase|credentials?|api[_-]?key|access[_-]?key)", re.IGNORECASE
)
_HIDDEN = "[REDACTED:argument]"


def capture(folder: Path | None = None, command: Sequence[str] | None = None) -> Captured:
    """This process, this machine, and the repository that `folder` (by default the current one) is in.

    `command` is by default the command line of this process. What follows an option named like a secret is hidden;
    other secrets go when the record does (`redacting.py`).
    """
    folder = folder or _here()
    return Captured(
        command=hidden(sys.orig_argv if command is None else command),
        cwd=str(folder),
        host=platform.node(),
        user=_user(),
        pid=os.getpid(),
        python=platform.python_version(),
        platform=f"{sys.platform}-{platform.machine()}",
        packages=dict(sorted(_packages())[:MOST_PACKAGES]),
        **_git(folder),
    )


def hidden(command: Sequence[str]) -> list[str]:
    """A command line without the values of options that are named like secrets."""
    shown: list[str] = []
    is_secret = False
    for word in (str(word).encode(errors="replace").decode() for word in command):
        option, equals, _ = word.partition("=")
        names_one = _SECRET_OPTION.fullmatch(option) is not None
        if is_secret and not word.startswith("-"):
            shown.append(_HIDDEN)
        else:
            shown.append(f"{option}={_HIDDEN}" if names_one and equals else word)
        is_secret = names_one and not equals
    return shown


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:  # the folder was deleted
        return Path("/")


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _packages() -> Iterator[tuple[str, str]]:
    """Installed packages, as the folders that installers leave are named. To read what is in them takes far longer."""
    for place in reversed([path for path in sys.path if path]):
        with suppress(OSError):
            for name in os.listdir(place):
                if name.endswith("-info") and (found := _INSTALLED.fullmatch(name)):
                    yield found["name"].lower().replace("_", "-"), found["version"]


def _git(folder: Path) -> dict[str, Any]:
    found = checkout(folder)
    return found._asdict() if found else {}
