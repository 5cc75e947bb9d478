"""A session of Claude Code in the home and folder in which the examples run: a newcomer has one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

SESSION = "7505c804-0c1f-4b0e-9d3a-5f6b8a2e4d17"
LONG_AGO = 1_780_000_000
"""Whatever an example writes itself is younger."""


def write_transcript(home: Path, cwd: Path) -> None:
    """Write the session into the home, as one that was held in the folder `cwd`."""
    named_for_it = re.sub("[^A-Za-z0-9]", "-", str(cwd.resolve()))
    path = home / ".claude" / "projects" / named_for_it / f"{SESSION}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in _records(cwd)))
    os.utime(path, (LONG_AGO, LONG_AGO))


def _records(cwd: Path) -> list[dict[str, object]]:
    password = "".join(("Kestrel", "-", "4417", "-", "Umber"))
    listing = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}
    listed = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "parser.py\ntests"}
    return [
        {"type": "summary", "summary": "Write the parser", "leafUuid": "u4"},
        _said(cwd, 1, "user", f"write the parser; orders are in postgres://shop:{password}@db.test/orders"),
        _answered(cwd, 2, [listing], 12),
        _said(cwd, 3, "user", [listed]),
        _answered(cwd, 4, [{"type": "text", "text": "parser.py is there already, so I add the tests."}], 40),
    ]


def _said(cwd: Path, number: int, kind: str, content: object, **more: object) -> dict[str, object]:
    return {
        "type": kind,
        "uuid": f"u{number}",
        "timestamp": f"2026-05-28T10:00:0{number}.000Z",
        "sessionId": SESSION,
        "cwd": str(cwd),
        "gitBranch": "main",
        "version": "2.1.41",
        "message": {"role": kind, "content": content, **more},
    }


def _answered(cwd: Path, number: int, blocks: Sequence[Mapping[str, object]], tokens: int) -> dict[str, object]:
    usage = {"input_tokens": 900, "output_tokens": tokens}
    return _said(cwd, number, "assistant", blocks, id=f"msg_{number}", model="claude-sonnet-4-5", usage=usage)
