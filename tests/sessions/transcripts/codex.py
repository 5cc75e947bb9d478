"""Writes rollouts as Codex does, of any length: the same for the same seed, and the longer the further on.

With `count` + n lines a rollout begins with the one of `count` lines, so it can be made to grow.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count as counting
from itertools import islice
from pathlib import Path
from typing import Any

from tests.sessions.transcripts.claude import CWD, WORDS

BEGUN = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
MODELS = ("gpt-5-codex", "gpt-5.6-luna")


def thread_id(n: int = 0, at: datetime = BEGUN) -> str:
    """An id that tells its time, as Codex makes them for sessions and turns."""
    digits = f"{int(at.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7{n % 4096:03x}-8000-{n:012x}"


SESSION = thread_id()


def codex_lines(
    count: int,
    seed: int = 0,
    *,
    session_id: str = SESSION,
    cwd: str = CWD,
    paginated: bool = True,
    begun: datetime = BEGUN,
    meta: dict[str, Any] | None = None,
    words: int = 40,
) -> Iterator[bytes]:
    """So many lines of a rollout. `meta` is what its first line has beside the usual."""
    teller = _Teller(random.Random(seed), session_id, cwd, paginated, begun, words)
    for record in islice(teller.records(meta or {}), count):
        yield json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def rollout_name(session_id: str = SESSION, begun: datetime = BEGUN) -> str:
    return f"rollout-{begun:%Y-%m-%dT%H-%M-%S}-{session_id}.jsonl"


def write_codex(
    home: Path, count: int, seed: int = 0, *, session_id: str = SESSION, cwd: str = CWD, begun: datetime = BEGUN
) -> Path:
    """A rollout where Codex would keep it."""
    path = home / ".codex" / "sessions" / f"{begun:%Y/%m/%d}" / rollout_name(session_id, begun)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(codex_lines(count, seed, session_id=session_id, cwd=cwd, begun=begun)))
    return path


class _Teller:
    """Keeps what goes from record to record: the clock, the numbers of records and calls, the running total."""

    def __init__(
        self, chance: random.Random, session_id: str, cwd: str, paginated: bool, begun: datetime, words: int
    ) -> None:
        self.chance = chance
        self.session_id = session_id
        self.cwd = cwd
        self.paginated = paginated
        self.clock = begun
        self.words = words
        self.ordinal = counting()
        self.calls = counting(1)
        self.turn_id = ""
        self.total = dict.fromkeys(_usage(random.Random(0)), 0)

    def records(self, meta: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield self.record("session_meta", self.meta() | meta)
        yield self.item("message", role="developer", content=_input("<permissions instructions>" + self.text()))
        yield self.item("message", role="user", content=_input(f"<environment_context>{self.cwd}"))
        for turn in counting(1):
            yield from self.turn(turn)

    def meta(self) -> dict[str, Any]:
        return {
            "id": self.session_id,
            "cwd": self.cwd,
            "originator": "codex_exec",
            "cli_version": "0.169.0" if self.paginated else "0.146.0",
            "source": "exec",
            "history_mode": "paginated" if self.paginated else "legacy",
            "base_instructions": {"text": "You are a coding agent. " * 1000},
            "git": {"commit_hash": "70e1ed6b54ed48a1e465b5762c48f034f89fbf72", "branch": "main"},
        }

    def turn(self, turn: int) -> Iterator[dict[str, Any]]:
        self.clock += timedelta(seconds=1)
        self.turn_id = thread_id(turn, self.clock)
        yield self.event("task_started", turn_id=self.turn_id)
        model = self.chance.choice(MODELS)
        yield self.record("turn_context", {"turn_id": self.turn_id, "cwd": self.cwd, "model": model})
        asked = self.text()
        yield self.item("message", role="user", content=_input(asked))
        yield self.shown("UserMessage", "user_message", asked)
        for _ in range(self.chance.randint(1, 4)):
            yield from self.call()
        answer = self.text()
        yield self.shown("AgentMessage", "agent_message", answer)
        yield self.item("message", role="assistant", content=[{"type": "output_text", "text": answer}])
        yield from self.spent()
        yield self.event("task_complete", turn_id=self.turn_id, last_agent_message=answer)

    def call(self) -> Iterator[dict[str, Any]]:
        call = f"call_{next(self.calls)}"
        thought = self.text()
        yield self.shown("Reasoning", "agent_reasoning", thought)
        summary = [{"type": "summary_text", "text": thought}]
        yield self.item("reasoning", summary=summary, content=None, encrypted_content=f"{self.chance.random()}")
        arguments = json.dumps({"cmd": self.text()})
        yield self.item("function_call", name="exec_command", arguments=arguments, call_id=call)
        code = self.chance.choice((0, 0, 0, 1))
        output = f"Chunk ID: a1\nProcess exited with code {code}\nOutput:\n{self.text()}"
        yield self.item("function_call_output", call_id=call, output=output)
        yield from self.spent()

    def spent(self) -> Iterator[dict[str, Any]]:
        usage = _usage(self.chance)
        self.total = {name: self.total[name] + usage[name] for name in usage}
        response = f"resp_{self.chance.getrandbits(64):016x}"
        if self.paginated:
            told = {"thread_id": self.session_id, "turn_id": self.turn_id, "response_id": response, "usage": usage}
            yield self.record("token_usage_record", {**told, "thread_token_usage": self.total})
        info = {"total_token_usage": self.total, "last_token_usage": usage}
        for _ in range(self.chance.randint(1, 2)):  # Codex repeats itself
            yield self.event("token_count", info=info)

    def shown(self, item: str, event: str, text: str) -> dict[str, Any]:
        """What watchers are told, in the words of either kind of history."""
        if not self.paginated:
            return self.event(event, message=text)
        told = {"type": item, "content": [{"type": "text", "text": text}]}
        return self.event("item_completed", thread_id=self.session_id, turn_id=self.turn_id, item=told)

    def item(self, kind: str, **payload: Any) -> dict[str, Any]:
        return self.record("response_item", {"type": kind, **payload})

    def event(self, kind: str, **payload: Any) -> dict[str, Any]:
        return self.record("event_msg", {"type": kind, **payload})

    def record(self, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.clock += timedelta(milliseconds=self.chance.randint(1, 3000))
        at = self.clock.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        ordinal = {"ordinal": next(self.ordinal)} if self.paginated else {}
        return {"timestamp": at, **ordinal, "type": kind, "payload": payload}

    def text(self) -> str:
        return " ".join(self.chance.choices(WORDS, k=self.chance.randint(1, 2 * self.words)))


def _usage(chance: random.Random) -> dict[str, int]:
    """What came from the cache is part of the input, reasoning of the output."""
    cached, new, output = chance.randint(0, 5000), chance.randint(1, 500), chance.randint(10, 900)
    return {
        "input_tokens": cached + new,
        "cached_input_tokens": cached,
        "cache_write_input_tokens": 0,
        "output_tokens": output,
        "reasoning_output_tokens": output // 3,
        "total_tokens": cached + new + output,
    }


def _input(text: str) -> list[dict[str, Any]]:
    return [{"type": "input_text", "text": text}]
