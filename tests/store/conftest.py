"""A fresh store of every kind that is to be trusted, in turn."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.stores import bucket_store
from tests.support.places import CLOUDS, make_place
from tracecraft.store import Store
from tracecraft.store.folder import FolderStore
from tracecraft.store.memory import MemoryStore

TRUSTED_SERVERS = ["ministack", "ceph", *(["external"] if os.environ.get("TRACECRAFT_TEST_S3") else [])]


@pytest.fixture(params=["memory", "folder", *TRUSTED_SERVERS, *CLOUDS])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the same store once more, as another process would. Memory has nobody else to open it."""
    if request.param == "memory":
        only = MemoryStore()
        return lambda: only
    if request.param == "folder":
        return lambda: FolderStore(tmp_path / "store")
    endpoint = request.getfixturevalue(f"{request.param}_endpoint")
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_place(endpoint, name)
    return lambda: bucket_store(endpoint, name)


@pytest.fixture
def store(reopen: Callable[[], Store]) -> Store:
    return reopen()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and an environment, in which nobody has left credentials."""
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "CLOUDSDK_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home
