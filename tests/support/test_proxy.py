"""The proxy passes requests on unchanged, logs them truly, and each fault does what it says and no more."""

from __future__ import annotations

import http.client
import math
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.faults import Moment
from tests.support.processes import wait_until
from tests.support.proxy import Answer, Drop, Half, Hang, Match, Proxy, Request, waves
from tests.support.s3 import Answer as S3Answer
from tests.support.s3 import Endpoint, make_bucket, send

NO_ANSWER = (OSError, http.client.HTTPException)
CREATE = {"If-None-Match": "*"}
BUCKET = "proxied"


@pytest.fixture(scope="module")
def server(ministack_endpoint: Endpoint) -> Endpoint:
    make_bucket(ministack_endpoint, BUCKET)
    return ministack_endpoint


@pytest.fixture
def proxy(server: Endpoint) -> Iterator[Proxy]:
    with Proxy(server.url) as proxy:
        yield proxy


@pytest.fixture
def client(server: Endpoint, proxy: Proxy) -> Endpoint:
    """The server as it is seen through the proxy."""
    return server.at(proxy.url)


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key of this test's own."""
    return str(request.node.name)


def put(endpoint: Endpoint, key: str, body: bytes = b"body") -> S3Answer:
    return send(endpoint, "PUT", f"/{BUCKET}/{key}", body, headers=CREATE)


def get(endpoint: Endpoint, key: str) -> S3Answer:
    return send(endpoint, "GET", f"/{BUCKET}/{key}")


def only(proxy: Proxy) -> Request:
    (request,) = proxy.requests
    return request


def test_signatures_stay_valid(s3_endpoint: Endpoint, bucket: str) -> None:
    with Proxy(s3_endpoint.url) as proxy:
        client = s3_endpoint.at(proxy.url)
        assert send(client, "PUT", f"/{bucket}/a b/ü+%", b"body").status == 200
        assert send(client, "GET", f"/{bucket}/a b/ü+%").body == b"body"
        assert b"a b/" in send(client, "GET", f"/{bucket}", query={"list-type": "2", "prefix": "a b/"}).body
        assert [request.key for request in proxy.requests] == ["a b/ü+%", "a b/ü+%", ""]
        assert proxy.requests[2].query == "list-type=2&prefix=a b/"


def test_log(client: Endpoint, proxy: Proxy, key: str) -> None:
    put(client, key)
    put(client, key)
    get(client, f"{key}-missing")

    created, refused, missing = proxy.requests
    assert (created.method, created.bucket, created.key, created.body) == ("PUT", BUCKET, key, b"body")
    assert (created.status, created.upstream, created.fault) == (200, 200, None)
    assert created.headers["if-none-match"] == "*"
    assert created.conditional
    assert created.started < created.ended < refused.started
    assert (refused.status, missing.status, missing.conditional) == (412, 404, False)
    proxy.clear()
    assert proxy.requests == []


def test_connections_are_kept(client: Endpoint, proxy: Proxy, key: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(client.url).netloc, timeout=10)
    connection.connect()
    local = connection.sock.getsockname()
    proxy.fault(Match("PUT"), Answer(503))
    for method, status in [("PUT", 503), ("HEAD", 404), ("PUT", 200), ("HEAD", 200), ("GET", 200)]:
        connection.request(method, f"/{BUCKET}/{key}", b"body" if method == "PUT" else None)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
        assert connection.sock.getsockname() == local
    connection.close()


def test_big_and_chunked_bodies(client: Endpoint, proxy: Proxy, key: str) -> None:
    big = bytes(range(256)) * (5 << 12)
    put(client, key, big)
    assert get(client, key).body == big

    connection = http.client.HTTPConnection(urlsplit(client.url).netloc, timeout=10)
    connection.request("PUT", f"/{BUCKET}/{key}", iter([b"ab" * 1000, b"cd"]), {"Expect": "100-continue"})
    assert connection.getresponse().status == 200
    connection.close()
    assert get(client, key).body == b"ab" * 1000 + b"cd"
    assert [request.status for request in proxy.requests] == [200] * 4


@pytest.mark.parametrize("applied", [False, True])
def test_drop(server: Endpoint, client: Endpoint, proxy: Proxy, key: str, applied: bool) -> None:
    proxy.fault(Match("PUT"), Drop(applied=applied))
    with pytest.raises(NO_ANSWER):
        put(client, key)
    assert get(server, key).status == (200 if applied else 404)
    assert (only(proxy).status, only(proxy).upstream) == (None, 200 if applied else None)
    assert only(proxy).fault == ("drop, applied" if applied else "drop")


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "ConditionalRequestConflict"),
        (412, "PreconditionFailed"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "SlowDown"),
    ],
)
def test_answer(
    server: Endpoint, client: Endpoint, proxy: Proxy, key: str, status: int, code: str, applied: bool
) -> None:
    proxy.fault(Match(conditional=True), Answer(status, applied=applied))
    answer = put(client, key)
    assert answer.status == status
    assert f"<Code>{code}</Code>".encode() in answer.body
    assert get(server, key).status == (200 if applied else 404)
    assert (only(proxy).status, only(proxy).upstream) == (status, 200 if applied else None)


@pytest.mark.parametrize("applied", [False, True])
def test_hang(server: Endpoint, client: Endpoint, proxy: Proxy, key: str, applied: bool) -> None:
    proxy.fault(Match("PUT"), Hang(0.5, applied=applied))
    with ThreadPoolExecutor() as pool:
        began = time.monotonic()
        answer = pool.submit(put, client, key)
        assert wait_until(lambda: get(server, key).status == 200, seconds=5)
        landed = time.monotonic() - began
        assert answer.result().status == 200
    assert time.monotonic() - began >= 0.5
    assert (landed < 0.5) is applied


def test_a_request_lands_after_its_client_has_left(server: Endpoint, client: Endpoint, proxy: Proxy, key: str) -> None:
    proxy.fault(Match("PUT"), Hang(0.3))
    with pytest.raises(TimeoutError):
        send(client, "PUT", f"/{BUCKET}/{key}", b"body", timeout=0.1)
    assert get(server, key).status == 404
    assert wait_until(lambda: get(server, key).status == 200, seconds=5)


def test_half(server: Endpoint, client: Endpoint, proxy: Proxy, key: str) -> None:
    proxy.fault(Match(), Half(), times=2)
    with pytest.raises(http.client.HTTPException):
        put(client, key)
    with pytest.raises(http.client.IncompleteRead) as cut:
        get(client, key)
    assert cut.value.partial == b"bo"
    assert get(server, key).body == b"body"


def test_which_requests_a_rule_is_about(client: Endpoint, proxy: Proxy, key: str) -> None:
    rule = proxy.fault(Match("GET", key="claim", pattern=r"\.json$"), Answer(500), times=2, skip=1)
    proxy.fault(lambda request: "b.json" in request.path, Answer(429), times=None)
    names = ["claim/a.json", "claim/a.json", "claim/a", "other.json", "b.json", "claim/a.json", "claim/a.json"]
    assert [get(client, f"{key}/{name}").status for name in names] == [404, 500, 404, 404, 429, 500, 404]
    assert rule.fired == 2


def test_hold_makes_a_race(client: Endpoint, proxy: Proxy, key: str) -> None:
    gate = proxy.hold(Match(conditional=True), 16)
    with ThreadPoolExecutor(16) as pool:
        early = [pool.submit(put, client, key) for _ in range(15)]
        assert wait_until(lambda: gate.arrived == 15, seconds=5)
        assert not any(one.done() for one in early)
        statuses = [put(client, key).status, *(one.result().status for one in early)]
    assert sorted(statuses) == [200] + [412] * 15
    assert gate.complete
    assert put(client, key).status == 412


def test_hold_gives_up(client: Endpoint, proxy: Proxy, key: str) -> None:
    gate = proxy.hold(Match("PUT"), 3, timeout=0.2)
    with ThreadPoolExecutor() as pool:
        statuses = pool.map(lambda name: put(client, name).status, [f"{key}-1", f"{key}-2"])
        assert list(statuses) == [200, 200]
    assert (gate.arrived, gate.complete) == (2, False)


PUTTER = """
import sys
from tests.support.s3 import Endpoint, send
server = Endpoint("ministack", sys.argv[1], "test", "test")
for n in range(3):
    print(send(server, "PUT", f"{sys.argv[2]}-{n}", b"body").status, flush=True)
"""


@pytest.mark.parametrize(("at", "landed"), [("before", 1), ("forwarded", 2), ("after", 2)])
def test_kill_point(server: Endpoint, client: Endpoint, proxy: Proxy, key: str, at: Moment, landed: int) -> None:
    ready = threading.Event()

    def kill() -> None:
        ready.wait(10)
        process.kill()
        process.wait(10)

    proxy.on_request(2, kill, Match("PUT"), at=at)
    process = subprocess.Popen(
        [sys.executable, "-c", PUTTER, client.url, f"/{BUCKET}/{key}"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    ready.set()
    output, _ = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    assert output.split() == ["200"]
    assert wait_until(lambda: all(math.isfinite(request.ended) for request in proxy.requests), seconds=5)
    assert [n for n in range(3) if get(server, f"{key}-{n}").status == 200] == list(range(landed))


def test_what_a_callback_raises_is_raised_at_the_end(server: Endpoint) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    def use() -> None:
        with Proxy(server.url) as proxy:
            proxy.on_request(1, fail)
            with pytest.raises(NO_ANSWER):
                get(server.at(proxy.url), "any")

    with pytest.raises(ZeroDivisionError):
        use()


def test_delay_tells_waves_from_rows(client: Endpoint, proxy: Proxy, key: str) -> None:
    proxy.delay = 0.05
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put(client, f"{key}-{n}"), range(8)))
    assert 0.05 <= time.monotonic() - began < 0.4
    assert waves(proxy.requests) == 1
    get(client, key)
    get(client, key)
    assert waves(proxy.requests) == 3


def test_down(server: Endpoint, client: Endpoint, proxy: Proxy, key: str) -> None:
    proxy.fault(Match(key="slow"), Hang(30))
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(get, client, "slow")
        assert wait_until(lambda: len(proxy.requests) == 1, seconds=5)
        proxy.down = True
        assert isinstance(slow.exception(timeout=5), NO_ANSWER)
    with pytest.raises(NO_ANSWER):
        put(client, key)
    assert only(proxy).fault == "down"
    assert get(server, key).status == 404

    proxy.down = False
    assert put(client, key).status == 200


def test_a_server_that_goes_takes_its_connections_along() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with Proxy(url) as proxy:
        with pytest.raises(NO_ANSWER):
            send(Endpoint("gone", proxy.url, "", ""), "GET", "/bucket/key")
        assert only(proxy).fault == "upstream lost"


def test_fifty_connections(client: Endpoint, proxy: Proxy, key: str) -> None:
    gate = proxy.hold(Match(key=f"{key}-0-"), 50)

    def work(n: int) -> list[int]:
        connection = http.client.HTTPConnection(urlsplit(client.url).netloc, timeout=20)
        statuses = []
        for i in range(10):
            connection.request("PUT", f"/{BUCKET}/{key}-{i}-{n}", b"body")
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        return statuses

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(work, range(50))) == [[200] * 10] * 50
    assert gate.complete
    assert len({request.key for request in proxy.requests}) == 500
    assert all(request.status == 200 for request in proxy.requests)
