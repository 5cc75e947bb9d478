"""Fixtures that give a test an S3 server, started when the first test asks for it and gone when the run is over.

`network` does the same for hosts of their own. What cannot be had here skips the tests that need it, with the reason,
unless its name is in TRACECRAFT_TEST_REQUIRE (a comma separated list): then they fail. What ran and what did not is
told at the end.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import hosts
from tests.support.gcs_double import google_double
from tests.support.keeper import shared_ceph
from tests.support.places import CLOUDS, make_place
from tests.support.processes import StartError
from tests.support.runfolder import RunFolder
from tests.support.s3 import remove_bucket
from tests.support.servers import SERVERS, Endpoint, make_bucket, unavailable
from tests.support.world import World

# A busy machine may be slow at any moment, and no test is about time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_FOLDER = pytest.StashKey[RunFolder]()
_TRUSTED = ["ministack", "ceph", *(["external"] if os.environ.get("TRACECRAFT_TEST_S3") else [])]


@pytest.fixture(scope="session")
def ministack_endpoint(pytestconfig: pytest.Config) -> Iterator[Endpoint]:
    yield from _serve("ministack", pytestconfig)


@pytest.fixture(scope="session")
def ceph_endpoint(pytestconfig: pytest.Config) -> Iterator[Endpoint]:
    """One Ceph for all workers of the run."""
    yield from _serve("ceph", pytestconfig)


@pytest.fixture(scope="session")
def moto_endpoint(pytestconfig: pytest.Config) -> Iterator[Endpoint]:
    """A server that lets several racers win. Nothing may be claimed on it."""
    yield from _serve("moto", pytestconfig)


@pytest.fixture(scope="session")
def s3rver_endpoint(pytestconfig: pytest.Config) -> Iterator[Endpoint]:
    """A server that ignores conditions. Nothing may be claimed on it."""
    yield from _serve("s3rver", pytestconfig)


@pytest.fixture(scope="package")
def azurite_endpoint(pytestconfig: pytest.Config) -> Iterator[Endpoint]:
    """Azure's protocol, decided correctly.

    A new one for each package of tests: ten minutes after its start Azurite collects what was overwritten, and answers
    nobody meanwhile.
    """
    yield from _serve("azurite", pytestconfig)


@pytest.fixture(scope="session")
def google_double_endpoint() -> Iterator[Endpoint]:
    """A double of Google Cloud Storage. It says nothing of Google itself."""
    with google_double() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def external_endpoint(pytestconfig: pytest.Config) -> Iterator[Endpoint]:
    """The server that TRACECRAFT_TEST_S3 names."""
    yield from _serve("external", pytestconfig)


@pytest.fixture(scope="session", params=_TRUSTED)
def s3_endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """Each server that decides conditional writes correctly, in turn."""
    endpoint = request.getfixturevalue(f"{request.param}_endpoint")
    assert isinstance(endpoint, Endpoint)
    return endpoint


@pytest.fixture
def bucket(s3_endpoint: Endpoint) -> Iterator[str]:
    """The name of a new bucket on `s3_endpoint`, for this test alone."""
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_bucket(s3_endpoint, name)
    yield name
    if s3_endpoint.name == "external":
        remove_bucket(s3_endpoint, name)


@pytest.fixture
def folder_world(tmp_path: Path) -> World:
    """A project in a folder store."""
    return World.in_folder(tmp_path)


@pytest.fixture(params=["folder", *_TRUSTED])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A project on every kind of store that decides conditional writes, in turn."""
    if request.param == "folder":
        return World.in_folder(tmp_path)
    endpoint = request.getfixturevalue(f"{request.param}_endpoint")
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_bucket(endpoint, name)
    return World.in_bucket(tmp_path, endpoint, name)


@pytest.fixture(scope="session")
def network(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[hosts.Network]:
    """A network to which tests add hosts."""
    folder = pytestconfig.stash[_FOLDER]
    _require("hosts", hosts.unavailable(), folder)
    with hosts.Network(tmp_path_factory.mktemp("hosts")) as made:
        folder.note("hosts", "ran")
        yield made


def _require(name: str, reason: str | None, folder: RunFolder) -> None:
    """Skip the test where there is a reason why this cannot be had; fail it where it must be there."""
    if not reason:
        return
    if name in os.environ.get("TRACECRAFT_TEST_REQUIRE", "").split(","):
        folder.note(name, f"missing, though required: {reason}")
        pytest.fail(f"{name} is in TRACECRAFT_TEST_REQUIRE, but cannot be had: {reason}", pytrace=False)
    folder.note(name, f"skipped: {reason}")
    pytest.skip(f"{name}: {reason}")


@pytest.fixture(params=CLOUDS)
def cloud_world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A project on Azurite, and on the double of Google Cloud Storage."""
    endpoint = request.getfixturevalue(f"{request.param}_endpoint")
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_place(endpoint, name)
    return World.in_bucket(tmp_path, endpoint, name)


def _serve(name: str, config: pytest.Config) -> Iterator[Endpoint]:
    folder = config.stash[_FOLDER]
    _require(name, unavailable(name), folder)
    began = time.monotonic()
    with ExitStack() as stack:
        try:
            endpoint = stack.enter_context(_serving(name, folder))
        except StartError as error:
            folder.note(name, "did not start")
            pytest.fail(f"{name}: {error}", pytrace=False)
        folder.note(name, f"ran, up in {time.monotonic() - began:.1f} s")
        yield endpoint


def _serving(name: str, folder: RunFolder) -> AbstractContextManager[Endpoint]:
    return nullcontext(shared_ceph(folder)) if name == "ceph" else SERVERS[name].serve()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FOLDER] = RunFolder.join() if _is_worker(config) else RunFolder.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_worker(config):
        config.stash[_FOLDER].end()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    notes = config.stash[_FOLDER].notes()
    if notes:
        terminalreporter.section("Servers and hosts")
    for name in (*SERVERS, "hosts"):
        outcomes = sorted({outcome for server, outcome in notes if server == name})
        if outcomes:
            terminalreporter.write_line(f"{name}: {'; '.join(outcomes)}")


def _is_worker(config: pytest.Config) -> bool:
    """Whether this is a worker of xdist, and not the process that leads the run."""
    return hasattr(config, "workerinput")
