"""Secrets leave lines and records of runs as they leave mirrored sessions: before anything leaves this machine."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tracecraft.runs.meta import RunMeta

if TYPE_CHECKING:
    from tracecraft.sessions.redactor import Redactor


class Redaction:
    """Takes secrets out, unless it is off. Rules and known secrets are loaded when the first bytes come."""

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._engine: Redactor | None = None

    def lines(self, data: bytes) -> bytes:
        """Whole lines of JSON, as many as before."""
        if not self._on or not data:
            return data
        with _no_fork:
            self._engine = self._engine or _load()
            return b"".join(self._engine.redact([data], Counter()))

    def meta(self, meta: RunMeta) -> RunMeta:
        """A run's record: its command line, folder, error and whatever else is text."""
        if not self._on:
            return meta
        return msgspec.json.decode(self.lines(msgspec.json.encode(meta) + b"\n"), type=RunMeta)


def _load() -> Redactor:
    from tracecraft.sessions.redaction import Redactor as Engine
    from tracecraft.sessions.redaction import known_secrets

    return Engine(known_secrets(Path.home(), os.environ))


_no_fork = threading.Lock()
"""Held while the engine works: a child forked then would wait for ever for what the engine and imports have locked."""

os.register_at_fork(before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_no_fork.release)
