"""Real transcripts, where there are any (TRACECRAFT_TEST_SAMPLES): nothing in them is a secret, so nothing changes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tracecraft.sessions.redaction import Redactor

VARIABLE = "TRACECRAFT_TEST_SAMPLES"


def test_nothing_is_redacted_that_is_no_secret() -> None:
    if not (folder := os.environ.get(VARIABLE)):
        pytest.skip(f"{VARIABLE} names no folder of transcripts")
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.suffix in (".jsonl", ".json")]
    assert len(paths) > 10
    redactor = Redactor()
    for path in paths:
        counts: Counter[str] = Counter()
        data = path.read_bytes()
        assert b"".join(redactor.redact([data], counts)) == data, (path, counts)
