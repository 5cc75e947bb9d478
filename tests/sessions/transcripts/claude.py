"""Writes transcripts as Claude Code does, of any length: the same for the same seed, and the longer the further on.

With `count` + n lines a transcript begins with the one of `count` lines, so it can be made to grow.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count as counting
from itertools import islice
from pathlib import Path
from typing import Any

SESSION = "7d3c1f52-9a0e-4c61-8f7b-2e5a90b1c364"
AGENT = "a51d20cf3b9e7704"
CWD = "/srv/shop"
MODELS = ("claude-opus-4-6", "claude-haiku-4-5")
_SENTENCE = """the build fails when cache keys contain a slash so read it first then change how names are escaped
and run all tests again before the branch is pushed größer 日本語 🙂"""
WORDS = _SENTENCE.split()
TOOLS = ("Read", "Bash", "Grep", "Edit", "Write")


def claude_lines(
    count: int, seed: int = 0, *, session_id: str = SESSION, cwd: str = CWD, agent: str = "", words: int = 40
) -> Iterator[bytes]:
    """So many lines of a session, or of its subagent. `words` is about how many a text has."""
    teller = _Teller(random.Random(seed), session_id, cwd, agent, words)
    for record in islice(teller.records(), count):
        yield json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def folder_name(cwd: str) -> str:
    return re.sub("[^A-Za-z0-9]", "-", cwd)


def write_claude(
    home: Path, count: int, seed: int = 0, *, session_id: str = SESSION, cwd: str = CWD, agents: int = 0
) -> Path:
    """A session with its subagents and a spilled result where Claude Code would keep them; the main file's path."""
    main = home / ".claude" / "projects" / folder_name(cwd) / f"{session_id}.jsonl"
    main.parent.mkdir(parents=True, exist_ok=True)
    main.write_bytes(b"".join(claude_lines(count, seed, session_id=session_id, cwd=cwd)))
    for n in range(agents):
        agent = f"{AGENT[:-1]}{n}"
        folder = main.with_suffix("") / "subagents"
        folder.mkdir(parents=True, exist_ok=True)
        lines = claude_lines(count, seed + 1 + n, session_id=session_id, cwd=cwd, agent=agent)
        (folder / f"agent-{agent}.jsonl").write_bytes(b"".join(lines))
        (folder / f"agent-{agent}.meta.json").write_text('{"agentType":"general-purpose","spawnDepth":1}')
        results = main.with_suffix("") / "tool-results"
        results.mkdir(exist_ok=True)
        (results / f"{agent}.txt").write_text(f"the whole of a long result {n}")
    return main


class _Teller:
    """Keeps what goes from record to record: the clock, the parent, the numbers of messages."""

    def __init__(self, chance: random.Random, session_id: str, cwd: str, agent: str, words: int) -> None:
        self.chance = chance
        self.session_id = session_id
        self.cwd = cwd
        self.agent = agent
        self.words = words
        self.clock = datetime(2026, 3, 1, 9, tzinfo=UTC)
        self.parent: str | None = None

    def records(self) -> Iterator[dict[str, Any]]:
        if not self.agent:
            yield {"type": "file-history-snapshot", "messageId": self.id(), "snapshot": {}, "isSnapshotUpdate": False}
        for turn in counting(1):
            yield from self.turn(turn)

    def turn(self, turn: int) -> Iterator[dict[str, Any]]:
        yield self.said("user", {"role": "user", "content": self.text()}, promptSource="typed")
        if turn % 5 == 0:
            yield self.said("user", {"role": "user", "content": [self.block("<system-reminder>")]}, isMeta=True)
        for _ in range(self.chance.randint(1, 4)):
            yield from self.answer(last=False)
        yield from self.answer(last=True)
        yield self.record("system", subtype="turn_duration", durationMs=self.chance.randint(900, 90_000), isMeta=False)
        if turn % 3 == 0 and not self.agent:
            yield {"type": "ai-title", "aiTitle": f"Title of turn {turn}", "sessionId": self.session_id}
        if turn % 7 == 0:
            yield self.record("system", subtype="compact_boundary", content="Conversation compacted")
            summary = {"role": "user", "content": "This session is being continued. " + self.text()}
            yield self.said("user", summary, isCompactSummary=True, isVisibleInTranscriptOnly=True)

    def answer(self, last: bool) -> Iterator[dict[str, Any]]:
        """One record for each block; the usage of the answer is known only with its last."""
        call = {"type": "tool_use", "id": f"toolu_{self.id()}", "name": self.chance.choice(TOOLS), "input": {}}
        call["input"] = {"file_path": f"{self.cwd}/src/{self.chance.choice(WORDS[:9])}.py", "text": self.text()}
        blocks = [{"type": "thinking", "thinking": self.text(), "signature": self.id()}, self.block()]
        blocks = self.chance.sample(blocks, self.chance.randint(1, 2)) + ([] if last else [call])
        message: dict[str, Any] = {"id": f"msg_{self.id()}", "model": self.chance.choice(MODELS), "role": "assistant"}
        request = f"req_{self.id()}"
        output = self.chance.randint(20, 2000)
        usage: dict[str, Any] = {
            "input_tokens": self.chance.randint(1, 20),
            "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "cache_read_input_tokens": self.chance.randint(0, 90_000),
        }
        for at, block in enumerate(blocks, 1):
            known = output if at == len(blocks) else min(output, 2 * at)
            said: dict[str, Any] = {**message, "content": [block], "usage": {**usage, "output_tokens": known}}
            yield self.said("assistant", said, requestId=request)
        if not last:
            yield self.record("progress", data={"type": "bash_progress", "output": "…"}, toolUseID=call["id"])
            failed = self.chance.random() < 0.1
            result = {"type": "tool_result", "tool_use_id": call["id"], "content": self.text(), "is_error": failed}
            yield self.said("user", {"role": "user", "content": [result]}, toolUseResult={"type": "text"})

    def said(self, kind: str, message: dict[str, Any], **more: Any) -> dict[str, Any]:
        return self.record(kind, message=message, **more)

    def record(self, kind: str, **more: Any) -> dict[str, Any]:
        self.clock += timedelta(milliseconds=self.chance.randint(1, 5000))
        uuid, parent = self.id(), self.parent
        self.parent = uuid
        agent = {"agentId": self.agent} if self.agent else {}
        return {
            "parentUuid": parent,
            "isSidechain": bool(self.agent),
            **agent,
            "userType": "external",
            "cwd": self.cwd,
            "sessionId": self.session_id,
            "version": "2.1.41",
            "gitBranch": "main",
            "type": kind,
            **more,
            "uuid": uuid,
            "timestamp": self.clock.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def block(self, before: str = "") -> dict[str, Any]:
        return {"type": "text", "text": before + self.text()}

    def text(self) -> str:
        return " ".join(self.chance.choices(WORDS, k=self.chance.randint(1, 2 * self.words)))

    def id(self) -> str:
        return f"{self.chance.getrandbits(64):016x}"
