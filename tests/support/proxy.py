"""A reverse proxy between an S3 client and an S3 server that sees every request, and does to it what a network can.

    with Proxy(endpoint.url) as proxy:
        client = connect(proxy.url)
        proxy.fault(Match("PUT", key="claim.json"), Drop(applied=True))
        ...
        assert [request.fault for request in proxy.requests] == ["drop, applied"]

It runs in a background thread of the test process, on a free port of 127.0.0.1 or a socket it is given. Requests go on
byte for byte, the Host header included, so their signatures stay valid. Every client connection has one upstream
connection of its own, both kept alive. Everything here may be called from any thread while requests are under way.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from urllib.parse import urlsplit

from tests.support.exchange import Connection, reset
from tests.support.faults import (
    ANY,
    Action,
    Answer,
    Book,
    Drop,
    Gate,
    Half,
    Hang,
    KillPoint,
    Match,
    Matcher,
    Moment,
    Request,
    Rule,
    waves,
)
from tests.support.http1 import LIMIT

__all__ = ["ANY", "Answer", "Drop", "Gate", "Half", "Hang", "KillPoint", "Match", "Proxy", "Request", "Rule", "waves"]

_STOP = 10.0
"""Seconds the thread may take for anything asked of it."""


class Proxy:
    """A context manager; see the module. `delay` adds that many seconds to every request; change it at any time."""

    def __init__(self, upstream: str, *, delay: float = 0.0, listener: socket.socket | None = None) -> None:
        place = urlsplit(upstream)
        if place.scheme != "http" or place.hostname is None:
            raise ValueError(f"the proxy speaks plain http with its upstream, not {upstream}")
        self.delay = delay
        self._upstream = (place.hostname, place.port or 80)
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self._book = Book()
        self._down = False
        self._errors: list[Exception] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._address: Future[tuple[str, int]] = Future()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        host, port = self._address.result(_STOP)
        return f"http://{host}:{port}"

    @property
    def requests(self) -> list[Request]:
        """Everything seen since the start or the last `clear()`, in order of arrival, as it stands now."""
        return self._book.requests

    def clear(self) -> None:
        """Forget the requests seen. Rules stay in force."""
        self._book.clear()

    def fault(self, match: Matcher, action: Action, *, times: int | None = 1, skip: int = 0) -> Rule:
        """Do this to the next `times` requests that match (None: to all), after the first `skip` of them.

        Of several rules that match, the one made first applies. The rule tells how often it has `fired`.
        """
        rule = Rule(match, action, times, skip)
        self._book.add(rule)
        return rule

    def hold(self, match: Matcher, count: int, timeout: float = 10.0) -> Gate:
        """Hold requests that match until `count` are there, or the first has waited for `timeout`; then let all go.

        Their connections upstream are open by then, so they race. Later ones pass freely. The gate tells how many
        `arrived`, and whether that was `complete`.
        """
        gate = Gate(match, count, timeout)
        self._book.add(gate)
        return gate

    def on_request(
        self, n: int, callback: Callable[[], object], match: Matcher = ANY, *, at: Moment = "before"
    ) -> KillPoint:
        """Call back, in a thread, when the n-th matching request from now on has arrived; mostly to kill its client.

        "before": the server never sees the request, and its connection is reset. "forwarded": the request goes on as
        soon as the callback has returned. "after": the server has answered, the client not yet.
        """
        point = KillPoint(match, n, callback, at)
        self._book.add(point)
        return point

    @property
    def down(self) -> bool:
        """Set it to cut every connection, and each new one at once, until it is unset. The port stays ours."""
        return self._down

    @down.setter
    def down(self, value: bool) -> None:
        async def switch() -> None:
            self._down = value
            if value:
                await self._cut_all("down")

        asyncio.run_coroutine_threadsafe(switch(), self._loop).result(_STOP)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._address.result(_STOP)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut what is open, end the thread. Raises what a matcher or callback raised, unless the block failed too."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP)
        if error is not None:
            return
        if self._errors:
            raise self._errors[0]
        if self._thread.is_alive():
            raise TimeoutError(f"the proxy did not end in {_STOP:g} s: does a callback hang?")

    # What follows runs in the proxy's thread.

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            if self._address.done():
                self._errors.append(error)
            else:
                self._address.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, sock=self._listener, limit=LIMIT, backlog=512)
        self._address.set_result(self._listener.getsockname())
        await self._stop.wait()
        server.close()
        await self._cut_all("stopped")

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        if self._down or self._stop.is_set():
            reset(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await Connection(reader, writer, self._upstream, self._book, lambda: self.delay).serve()
        except asyncio.CancelledError:
            pass  # cut by `down` or at the end, which wait for this task
        except Exception as error:
            self._errors.append(error)
        finally:
            self._tasks.discard(task)

    async def _cut_all(self, why: str) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel(why)
        await asyncio.gather(*tasks, return_exceptions=True)
