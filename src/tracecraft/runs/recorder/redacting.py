"""Secrets leave lines and records of runs as they leave mirrored sessions: before anything leaves this machine."""

from __future__ import annotations

import os
from collections import Counter
from functools import cached_property
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

    def lines(self, data: bytes) -> bytes:
        """Whole lines of JSON, as many as before."""
        return b"".join(self._redactor.redact([data], Counter())) if self._on and data else data

    def meta(self, meta: RunMeta) -> RunMeta:
        """A run's record: its command line, folder, error and whatever else is text."""
        if not self._on:
            return meta
        return msgspec.json.decode(self.lines(msgspec.json.encode(meta) + b"\n"), type=RunMeta)

    @cached_property
    def _redactor(self) -> Redactor:
        from tracecraft.sessions.redaction import Redactor as Engine
        from tracecraft.sessions.redaction import known_secrets

        return Engine(known_secrets(Path.home(), os.environ))
