"""A measurement is of the program alone, and one that would mislead is refused."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import pytest

from benchmarks import measure, speed
from benchmarks.measure import BenchmarkError
from tests.interop.conftest import peer_program
from tests.support.proxy import Proxy
from tests.support.s3 import make_bucket
from tests.support.servers import Endpoint

ANYWHERE = Path("/")


def run(program: str, limit: float = 60.0, exits: int = 0) -> measure.Run:
    return measure.run([sys.executable, "-c", program], env={}, cwd=ANYWHERE, limit=limit, exits=exits)


def test_memory_is_not_that_of_the_process_that_measures() -> None:
    held = bytearray(200 << 20)
    held[::4096] = b"x" * len(held[::4096])
    (idle,) = measure.floor(1)
    assert idle.peak_kib < 30 << 10
    assert run("held = b'x' * (100 << 20)").peak_kib > 100 << 10
    assert len(held) == 200 << 20


def test_a_program_that_takes_too_long_is_stopped_and_marked() -> None:
    assert run("import time; time.sleep(1000)", limit=0.5).exceeded


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(BenchmarkError, match=r"ended with 3, not 0:\nno such thing"):
        run("print('no such thing'); raise SystemExit(3)")


def test_a_server_that_makes_the_peer_wait_is_refused(ministack_endpoint: Endpoint) -> None:
    program, bucket = peer_program(), f"bench-{uuid.uuid4().hex[:12]}"
    make_bucket(ministack_endpoint, bucket)
    slow = Proxy(ministack_endpoint.url, delay=speed.LONGEST_PUT)
    with slow, pytest.raises(BenchmarkError, match="rgw print continue"):
        speed.check_peer(program, ministack_endpoint.at(slow.url), bucket)
