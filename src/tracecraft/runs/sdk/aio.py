"""An agent's calls that coordinate, as coroutines. Each runs in a thread: a task that is cancelled stops waiting for
it, and what was asked of the store takes its course."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracecraft.claiming import Hold
    from tracecraft.claims import Outcome, View
    from tracecraft.mailbox import Letter
    from tracecraft.runs.sdk.agent import RunAgent, SharedMemory


class AsyncAgent:
    """What `agent.aio` is. Every call means what the agent's own of that name means."""

    def __init__(self, agent: RunAgent) -> None:
        self._agent = agent
        self.shared_memory = AsyncMemory(agent.shared_memory)

    async def send(
        self, to: str, text: str, *, step: str | None = None, reply_to: str | None = None, ack: bool = False
    ) -> Letter:
        return await to_thread(self._agent.send, to, text, step=step, reply_to=reply_to, ack=ack)

    async def broadcast(self, text: str, *, step: str | None = None, ack: bool = False) -> Letter:
        return await to_thread(self._agent.broadcast, text, step=step, ack=ack)

    async def inbox(self, limit: int | None = None) -> list[Letter]:
        return await to_thread(self._agent.inbox, limit)

    async def claim(
        self, step: str, *, ttl: float | None = None, wait: float | None = 0.0, steal: bool = False
    ) -> Hold:
        return await to_thread(self._agent.claim, step, ttl=ttl, wait=wait, steal=steal)

    async def complete(
        self,
        step: str,
        *,
        outcome: Outcome = "complete",
        note: str = "",
        to: str | None = None,
        next_action: str | None = None,
    ) -> View:
        return await to_thread(self._agent.complete, step, outcome=outcome, note=note, to=to, next_action=next_action)

    async def release(self, step: str, *, note: str = "") -> View:
        return await to_thread(self._agent.release, step, note=note)

    async def wait_for(self, *steps: str, timeout: float | None = 300.0) -> list[View]:
        return await to_thread(self._agent.wait_for, *steps, timeout=timeout)


class AsyncMemory:
    """The memory of the project, as `agent.aio.shared_memory`."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory

    async def get(self, key: str, default: Any = None) -> Any:
        return await to_thread(self._memory.get, key, default)

    async def set(self, key: str, value: Any) -> None:
        await to_thread(self._memory.set, key, value)

    async def update(self, key: str, change: Callable[[Any], Any]) -> Any:
        return await to_thread(self._memory.update, key, change)

    async def delete(self, key: str) -> None:
        await to_thread(self._memory.delete, key)

    async def keys(self, prefix: str = "") -> Sequence[str]:
        return await to_thread(self._memory.keys, prefix)
