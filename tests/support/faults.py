"""What the proxy saw, and what it can be told to do about it.

    Request     one request as it was seen, and how it was answered
    Match       which requests a rule is about; any function of a Request serves too
    Drop, Answer, Hang, Half    the faults
    Rule, Gate, KillPoint       what `Proxy.fault`, `.hold` and `.on_request` put in force
    Book                        the log and the rules in force, which the proxy's thread and the tests share

"applied" always means: the request is forwarded, the server has done what it asks, and then the fault comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

CODES = {
    400: "BadRequest",
    403: "AccessDenied",
    409: "ConditionalRequestConflict",
    412: "PreconditionFailed",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    503: "SlowDown",
}
"""The S3 error code that goes with a status."""


@dataclass(frozen=True)
class Request:
    """A request as the proxy saw it, in path style. Times are of time.monotonic()."""

    method: str
    path: str
    """With its query, as it came."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """With its framing, if it came in chunks."""
    started: float
    """When all of it had arrived."""
    ended: float = math.inf
    """When the client had its answer or its fault; infinite until then."""
    status: int | None = None
    """What the client was answered, None while, or if, it was not."""
    upstream: int | None = None
    """What the server answered; None if it was not asked."""
    fault: str | None = None
    """What was done to it, if anything: `str()` of the action, or "kill point", "down", "stopped", "upstream lost"."""
    client: str = ""
    """The address it came from."""

    @property
    def bucket(self) -> str:
        return self._names[0]

    @property
    def key(self) -> str:
        """The object's key, decoded; empty for a request about the bucket, such as a LIST."""
        return self._names[1]

    @property
    def query(self) -> str:
        """Decoded."""
        return unquote(urlsplit(self.path).query)

    @property
    def conditional(self) -> bool:
        """Whether it is a write under a condition."""
        return self.method == "PUT" and any(name in self.headers for name in _CONDITIONS)

    @property
    def _names(self) -> tuple[str, str]:
        bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        return bucket, key


_CONDITIONS = ("if-match", "if-none-match", "x-goog-if-generation-match")

Matcher = Callable[[Request], bool]


@dataclass(frozen=True)
class Match:
    """Requests for which all that is given holds."""

    method: str | None = None
    key: str | None = None
    """A part of the key."""
    pattern: str | None = None
    """A regular expression found in the key."""
    query: str | None = None
    """A part of the decoded query, such as `prefix=project/steps/`."""
    conditional: bool | None = None
    client: str | None = None

    def __call__(self, request: Request) -> bool:
        return (
            (self.method is None or request.method == self.method)
            and (self.key is None or self.key in request.key)
            and (self.pattern is None or re.search(self.pattern, request.key) is not None)
            and (self.query is None or self.query in request.query)
            and (self.conditional is None or request.conditional == self.conditional)
            and (self.client is None or request.client == self.client)
        )


ANY = Match()


@dataclass(frozen=True)
class Drop:
    """Reset the connection without an answer."""

    applied: bool = False

    def __str__(self) -> str:
        return f"drop{_applied(self.applied)}"


@dataclass(frozen=True)
class Answer:
    """Answer this status, with an S3 error body, instead of what the server would say or has said."""

    status: int
    applied: bool = False
    code: str | None = None
    """The S3 error code, if not the usual one of the status."""

    def __str__(self) -> str:
        return f"answer {self.status}{_applied(self.applied)}"

    def message(self, method: str) -> bytes:
        """The whole answer to a request with this method."""
        code = self.code or CODES[self.status]
        body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
        head = f"HTTP/1.1 {self.status} {code}\r\ncontent-type: application/xml\r\ncontent-length: {len(body)}\r\n\r\n"
        return (head if method == "HEAD" else head + body).encode()


@dataclass(frozen=True)
class Hang:
    """Wait, then go on: forward the request even if its client has left, or pass the answer on if it was applied."""

    seconds: float
    applied: bool = False

    def __str__(self) -> str:
        return f"hang {self.seconds:g} s{_applied(self.applied)}"


@dataclass(frozen=True)
class Half:
    """Apply, send the answer up to half of its body (half its first line, if it has none), and close the connection."""

    def __str__(self) -> str:
        return "half"


Action = Drop | Answer | Hang | Half


@dataclass
class Rule:
    """An action on requests that match: not on the first `skip`, then on as many as `times` says, or on all."""

    match: Matcher
    action: Action
    times: int | None = 1
    skip: int = 0
    fired: int = 0

    def take(self, request: Request) -> bool:
        """Whether the action is due on this request; counts it."""
        if (self.times is not None and self.fired >= self.times) or not self.match(request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.fired += 1
        return True


@dataclass
class Gate:
    """Holds matching requests until `count` are there or the first has waited `timeout` seconds, then opens forever."""

    match: Matcher
    count: int
    timeout: float
    arrived: int = 0
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def complete(self) -> bool:
        """Whether as many came as were to be held."""
        return self.arrived >= self.count

    def take(self, request: Request) -> bool:
        """Whether this request is to wait; counts it."""
        if self._open.is_set() or not self.match(request):
            return False
        self.arrived += 1
        return True

    async def wait(self) -> None:
        if not self.complete:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timeout):
                    await self._open.wait()
        self._open.set()


Moment = Literal["before", "forwarded", "after"]


@dataclass
class KillPoint:
    """Calls back once, when the n-th request that matches is there. See `Proxy.on_request`."""

    match: Matcher
    n: int
    callback: Callable[[], object]
    at: Moment
    seen: int = 0

    def take(self, request: Request) -> bool:
        """Whether this is the request to call back at; counts it."""
        if not self.match(request):
            return False
        self.seen += 1
        return self.seen == self.n


@dataclass(frozen=True)
class Orders:
    """What is due on one request."""

    number: int
    gates: Sequence[Gate]
    kill_points: Sequence[KillPoint]
    action: Action | None


class Book:
    """The requests seen and the rules in force. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._requests: dict[int, Request] = {}
        self._rules: list[Rule] = []
        self._gates: list[Gate] = []
        self._kill_points: list[KillPoint] = []

    @property
    def requests(self) -> list[Request]:
        """In order of arrival."""
        with self._lock:
            return list(self._requests.values())

    def clear(self) -> None:
        """Forget the requests, not the rules."""
        with self._lock:
            self._requests.clear()

    def add(self, rule: Rule | Gate | KillPoint) -> None:
        """Put a rule in force."""
        with self._lock:
            match rule:
                case Rule():
                    self._rules.append(rule)
                case Gate():
                    self._gates.append(rule)
                case KillPoint():
                    self._kill_points.append(rule)

    def see(self, request: Request) -> Orders:
        """Log a request that has arrived, and count it against every rule."""
        with self._lock:
            number = next(self._numbers)
            self._requests[number] = request
            gates = [gate for gate in self._gates if gate.take(request)]
            kill_points = [point for point in self._kill_points if point.take(request)]
            action = next((rule.action for rule in self._rules if rule.take(request)), None)
            return Orders(number, gates, kill_points, action)

    def note(self, number: int, change: Callable[[Request], Request]) -> None:
        """Change the log's entry of a request, unless it was cleared."""
        with self._lock:
            if number in self._requests:
                self._requests[number] = change(self._requests[number])


def waves(requests: Iterable[Request]) -> int:
    """How deep these requests are: the longest chain of them in which each began after the one before had ended.

    Parallel requests count once. To tell them from fast ones in a row, give the proxy a delay (0.03 will do).
    """
    count, last = 0, -math.inf
    for request in sorted(requests, key=lambda r: r.ended):
        if request.started >= last:
            count, last = count + 1, request.ended
    return count


def _applied(applied: bool) -> str:
    return ", applied" if applied else ""
