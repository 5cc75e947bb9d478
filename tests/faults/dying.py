"""The command line, killed at its n-th write to a folder store.

    python -m tests.faults.dying write|call N before|after COMMAND...

`write` counts whole writes of the store (an object made, replaced or deleted); `call` counts the system calls that make
them up, so that it also dies between a complete temporary file and its name.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from tests.faults.later import run_later
from tracecraft.store import folder

CALLS = ("open", "write", "fsync", "utime", "link", "replace", "mkdir", "unlink")


class Countdown:
    """Kills this process before or after the n-th of the calls it wraps, whichever thread makes it."""

    def __init__(self, n: int, moment: str) -> None:
        self._n = n
        self._moment = moment
        self._calls = itertools.count(1)

    def wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def counted(*arguments: Any, **named: Any) -> Any:
            due = next(self._calls) == self._n
            if due and self._moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return call(*arguments, **named)
            finally:
                if due:
                    os.kill(os.getpid(), signal.SIGKILL)

        return counted


class CountedOs:
    """The os module, with the calls that change something counted."""

    def __init__(self, countdown: Countdown) -> None:
        for name in CALLS:
            setattr(self, name, countdown.wrapped(getattr(os, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def main(unit: str, n: str, moment: str, *arguments: str) -> int:
    countdown = Countdown(int(n), moment)
    if unit == "call":
        folder.__dict__["os"] = CountedOs(countdown)
    else:
        for name in ("put", "delete", "upload"):
            setattr(folder.FolderStore, name, countdown.wrapped(getattr(folder.FolderStore, name)))
    return run_later(arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
