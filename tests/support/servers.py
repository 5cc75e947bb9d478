"""The servers the tests run against, each a context manager that gives an `Endpoint` and surely takes it down.

    ministack   AWS's behaviour, atomic; a process of the same Python environment
    ceph        a real Ceph object gateway, with its own ideas about etags (see ceph.py)
    moto        races its conditional writes: several can win, the more so as threads switch every microsecond here
    s3rver      ignores conditions altogether, silently; an npm package
    azurite     Azure Blob Storage's protocol, atomic; an npm package (see azurite.py)
    external    any server, named by TRACECRAFT_TEST_S3

The npm packages are looked for below $TRACECRAFT_TEST_NODE (`npm install --prefix "$TRACECRAFT_TEST_NODE" s3rver@3.7.1
azurite@3.35.0`), then on PATH. TRACECRAFT_TEST_S3 is the URL of an endpoint, with TRACECRAFT_TEST_S3_ACCESS_KEY,
_SECRET_KEY and, where it is not us-east-1, _REGION; TRACECRAFT_TEST_S3_ATOMIC=0 says that it is not to be trusted with
races.

`unavailable(name)` says why a server cannot be had here, before anything is started.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import ceph as ceph_node
from tests.support.azurite import ACCOUNT, KEY
from tests.support.processes import Child, StartError, free_port, wait_until
from tests.support.s3 import Endpoint, make_bucket, send

__all__ = [
    "SERVERS",
    "Endpoint",
    "azurite",
    "ceph",
    "external",
    "make_bucket",
    "ministack",
    "moto_hard",
    "s3rver",
    "unavailable",
]

_START = 30.0
"""Seconds a server may take until it answers."""

_MOTO_HARD = "import sys; sys.setswitchinterval(1e-6); from moto.server import main; main(sys.argv[1:])"


@contextmanager
def ministack() -> Iterator[Endpoint]:
    port = free_port()
    settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "s3", "S3_PERSIST": "0"}
    endpoint = Endpoint("ministack", f"http://127.0.0.1:{port}", "test", "test")
    with _serving(endpoint, [sys.executable, "-m", "ministack"], settings):
        yield endpoint


@contextmanager
def ceph() -> Iterator[Endpoint]:
    with tempfile.TemporaryDirectory(prefix="tracecraft-ceph-") as folder:
        node = ceph_node.Ceph(Path(folder, "node"))
        try:
            yield node.start()
        finally:
            node.stop()


@contextmanager
def moto_hard() -> Iterator[Endpoint]:
    port = free_port()
    endpoint = Endpoint("moto", f"http://127.0.0.1:{port}", "test", "test", atomic=False)
    with _serving(endpoint, [sys.executable, "-c", _MOTO_HARD, "-H", "127.0.0.1", "-p", str(port)]):
        yield endpoint


@contextmanager
def s3rver() -> Iterator[Endpoint]:
    command = _node_command("s3rver")
    if command is None:
        raise StartError(f"s3rver: {_no_node_package('s3rver')}")
    port = free_port()
    endpoint = Endpoint("s3rver", f"http://127.0.0.1:{port}", "S3RVER", "S3RVER", atomic=False)
    with _serving(endpoint, [*command, "-d", "data", "-a", "127.0.0.1", "-p", str(port), "--no-vhost-buckets"]):
        yield endpoint


@contextmanager
def azurite() -> Iterator[Endpoint]:
    command = _node_command("azurite")
    if command is None:
        raise StartError(f"azurite: {_no_node_package('azurite')}")
    port = free_port()
    endpoint = Endpoint("azurite", f"http://127.0.0.1:{port}", ACCOUNT, KEY)
    place = ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    with _serving(endpoint, [*command, *place, "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]):
        yield endpoint


@contextmanager
def external() -> Iterator[Endpoint]:
    endpoint = Endpoint(
        "external",
        os.environ["TRACECRAFT_TEST_S3"],
        os.environ.get("TRACECRAFT_TEST_S3_ACCESS_KEY", ""),
        os.environ.get("TRACECRAFT_TEST_S3_SECRET_KEY", ""),
        os.environ.get("TRACECRAFT_TEST_S3_REGION", "us-east-1"),
        atomic=os.environ.get("TRACECRAFT_TEST_S3_ATOMIC", "1") != "0",
    )
    if not wait_until(lambda: _answers(endpoint), seconds=_START, every=0.5):
        raise StartError(f"{endpoint.url} (TRACECRAFT_TEST_S3) does not answer")
    yield endpoint


@dataclass(frozen=True)
class Server:
    """How to have a server, and how to know beforehand that it cannot be had: a reason, or None."""

    serve: Callable[[], AbstractContextManager[Endpoint]]
    unavailable: Callable[[], str | None]


def unavailable(name: str) -> str | None:
    """Why the server of this name cannot be had here, or None if it can."""
    return SERVERS[name].unavailable()


@contextmanager
def _serving(endpoint: Endpoint, command: Sequence[str], settings: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run the command in a new folder, from when it answers until the block is left."""
    with tempfile.TemporaryDirectory(prefix=f"tracecraft-{endpoint.name}-") as name:
        folder = Path(name)
        env = {"TMPDIR": name, "PYTHONUNBUFFERED": "1", **(settings or {})}
        with Child(command, log=folder / f"{endpoint.name}.log", env=env, cwd=folder) as child:
            child.until(lambda: _answers(endpoint), seconds=_START, what="answer")
            yield


def _answers(endpoint: Endpoint) -> bool:
    try:
        return send(endpoint, "GET", "/", timeout=5.0).status < 500
    except (OSError, http.client.HTTPException):
        return False


def _no_module(name: str) -> str | None:
    return None if importlib.util.find_spec(name) else f"Python package not installed: {name}"


def _no_moto() -> str | None:
    return _no_module("moto") or _no_module("flask")


_NODE_SCRIPTS = {"s3rver": "s3rver/bin/s3rver.js", "azurite": "azurite/dist/src/blob/main.js"}
_NODE_PROGRAMS = {"s3rver": "s3rver", "azurite": "azurite-blob"}


def _node_command(package: str) -> list[str] | None:
    node = shutil.which("node")
    modules = Path(os.environ.get("TRACECRAFT_TEST_NODE", "."), "node_modules").absolute()
    script = modules / _NODE_SCRIPTS[package]
    if node and "TRACECRAFT_TEST_NODE" in os.environ and script.is_file():
        return [node, str(script)]
    program = shutil.which(_NODE_PROGRAMS[package])
    return [program] if node and program else None


def _no_node_package(package: str) -> str | None:
    if shutil.which("node") is None:
        return "program not found: node"
    if _node_command(package) is None:
        return f"npm package {package} neither below $TRACECRAFT_TEST_NODE nor on PATH"
    return None


def _no_external() -> str | None:
    return None if os.environ.get("TRACECRAFT_TEST_S3") else "TRACECRAFT_TEST_S3 is not set"


SERVERS: Mapping[str, Server] = {
    "ministack": Server(ministack, lambda: _no_module("ministack")),
    "ceph": Server(ceph, ceph_node.available),
    "moto": Server(moto_hard, _no_moto),
    "s3rver": Server(s3rver, lambda: _no_node_package("s3rver")),
    "azurite": Server(azurite, lambda: _no_node_package("azurite")),
    "external": Server(external, _no_external),
}
