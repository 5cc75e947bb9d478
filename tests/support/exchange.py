"""One client connection of the proxy: each request on it is read, logged, dealt with as the rules say, and answered."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from asyncio import CancelledError, IncompleteReadError, StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

from tests.support.faults import Answer, Book, Drop, Half, Hang, Moment, Orders, Request
from tests.support.http1 import LIMIT, Framing, Head, answer_body, pieces, read_head, request_body

_SMALL = 1 << 16
"""Bytes up to which an answer is passed on in one piece."""


class _CutError(Exception):
    """The client's connection is to be reset; the argument is the fault to log."""


class Connection:
    """A client's connection, and the upstream connection that belongs to it."""

    def __init__(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        upstream: tuple[str, int],
        book: Book,
        delay: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._upstream = _Upstream(*upstream)
        self._book = book
        self._delay = delay

    async def serve(self) -> None:
        """Until either side closes, or a rule does."""
        try:
            while (head := await read_head(self._reader)) is not None:
                if "expect" in head.headers:
                    self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = b"".join([piece async for piece in pieces(self._reader, request_body(head))])
                if not await self._exchange(head, body):
                    break
        except (OSError, IncompleteReadError):
            pass  # the client has gone
        except BaseException:
            reset(self._writer)
            raise
        finally:
            self._writer.close()
            self._upstream.close()

    async def _exchange(self, head: Head, body: bytes) -> bool:
        """Deal with one request; says whether another may follow on this connection."""
        method, path, _ = head.first.split(" ", 2)
        client, _ = self._writer.get_extra_info("peername")
        request = Request(method, path, head.headers, body, started=time.monotonic(), client=client)
        orders = self._book.see(request)
        try:
            await self._wait(orders)
            goes_on = await self._answer_early(request, orders)
            if goes_on is None:
                answer = await self._upstream.ask(head.without("expect") + body)
                goes_on = await self._answer(request, orders, answer)
        except _CutError as cut:
            self._ended(orders, fault=str(cut))
            reset(self._writer)
            return False
        except CancelledError as cut:
            self._ended(orders, fault=str(cut))
            raise
        return goes_on and not head.last

    async def _wait(self, orders: Orders) -> None:
        """What comes before any answer: delay, gates and kill points."""
        if delay := self._delay():
            await asyncio.sleep(delay)
        if orders.gates:
            await self._upstream.connect()
        for gate in orders.gates:
            await gate.wait()
        if await self._call_back(orders, "before"):
            raise _CutError("kill point")
        await self._call_back(orders, "forwarded")

    async def _call_back(self, orders: Orders, moment: Moment) -> bool:
        points = [point for point in orders.kill_points if point.at == moment]
        for point in points:
            await asyncio.to_thread(point.callback)
        return bool(points)

    async def _answer_early(self, request: Request, orders: Orders) -> bool | None:
        """Deal with a request that the server is not to see (yet); None if it is to be forwarded."""
        match orders.action:
            case Drop(applied=False) as drop:
                raise _CutError(str(drop))
            case Answer(applied=False) as answer:
                return self._say(request, orders, answer)
            case Hang(applied=False) as hang:
                await asyncio.sleep(hang.seconds)
        return None

    async def _answer(self, request: Request, orders: Orders, head: Head) -> bool:
        """Deal with a request that the server has answered."""
        size = answer_body(head, request.method)
        body = self._upstream.body(size)
        self._book.note(orders.number, lambda entry: replace(entry, upstream=head.status))
        await self._call_back(orders, "after")
        match orders.action:
            case Drop() as drop:
                await _join(body)
                raise _CutError(str(drop))
            case Answer() as answer:
                await _join(body)
                return self._say(request, orders, answer)
            case Half() as half:
                rest = await _join(body)
                self._ended(orders, fault=str(half))
                first = head.raw[: len(head.first) // 2]
                self._writer.write(head.raw + rest[: len(rest) // 2] if rest else first)
                return False
            case Hang(applied=True) as hang:
                await asyncio.sleep(hang.seconds)
        await self._relay(orders, head, body)
        return not head.last and size is not Framing.CLOSE

    def _say(self, request: Request, orders: Orders, answer: Answer) -> bool:
        """Answer by ourselves."""
        self._ended(orders, status=answer.status, fault=str(answer))
        self._writer.write(answer.message(request.method))
        return True

    async def _relay(self, orders: Orders, head: Head, body: AsyncIterator[bytes]) -> None:
        """Pass the server's answer on. The log has it before the client has its last piece."""
        held = head.raw
        async for piece in body:
            if len(held) > _SMALL:
                self._writer.write(held)
                await self._writer.drain()
                held = b""
            held += piece
        fault = str(orders.action) if orders.action else None
        self._ended(orders, status=head.status, fault=fault)
        self._writer.write(held)
        await self._writer.drain()

    def _ended(self, orders: Orders, *, status: int | None = None, fault: str | None = None) -> None:
        now = time.monotonic()
        self._book.note(orders.number, lambda entry: replace(entry, ended=now, status=status, fault=fault))


class _Upstream:
    """A connection to the server, made when it is needed and kept."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[StreamReader, StreamWriter] | None = None

    async def connect(self) -> tuple[StreamReader, StreamWriter]:
        """A connection that is open, as far as one can know."""
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            try:
                self._streams = await asyncio.open_connection(self._host, self._port, limit=LIMIT)
            except OSError:
                raise _CutError("upstream lost") from None
        return self._streams

    async def ask(self, message: bytes) -> Head:
        """Send a request and wait for the head of its answer."""
        reader, writer = await self.connect()
        writer.write(message)
        with _losing():
            head = await read_head(reader)
            while head is not None and head.status == 100:
                head = await read_head(reader)
        if head is None:
            raise _CutError("upstream lost")
        return head

    async def body(self, size: int | Framing) -> AsyncIterator[bytes]:
        """The body that follows the head."""
        reader, _ = await self.connect()
        with _losing():
            async for piece in pieces(reader, size):
                yield piece

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def reset(writer: StreamWriter) -> None:
    """Close a connection with a RST: what was not sent is lost, and the other side is told at once."""
    with contextlib.suppress(OSError):
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.contextmanager
def _losing() -> Iterator[None]:
    """A server that cuts its connection cuts the client's."""
    try:
        yield
    except (OSError, IncompleteReadError):
        raise _CutError("upstream lost") from None


async def _join(body: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in body])
