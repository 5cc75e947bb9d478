"""One bucket, and both programs set up on it: `Peer` runs the published tracecraft-ai 0.2.5, `World` ours.

The peer's program is $TRACECRAFT_TEST_PEER, else .venv-peer/bin/tracecraft, which the Makefile installs.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.s3 import Endpoint, make_bucket
from tests.support.servers import unavailable
from tests.support.world import COMMAND_SECONDS, Result, World

_DEFAULT = Path(__file__).parents[2] / ".venv-peer" / "bin" / "tracecraft"


@dataclass(frozen=True)
class Peer:
    """Agents that work with the published program, each in a folder that its own `init` set up."""

    program: Path
    root: Path
    endpoint: Endpoint
    bucket: str
    project: str

    def init(self, agent: str) -> Path:
        """Set an agent's folder up; returns it."""
        place = ["--endpoint", self.endpoint.url, "--bucket", self.bucket, "--project", self.project]
        keys = ["--access-key", self.endpoint.access_key, "--secret-key", self.endpoint.secret_key]
        self.run(agent, "init", *place, "--agent", agent, *keys)
        return self.folder(agent)

    def start(self, agent: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.program, *arguments],
            cwd=self.folder(agent),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, agent: str, *arguments: str, exits: int = 0) -> Result:
        """Run a command as an agent; fails the test when it ends otherwise than `exits`."""
        process = self.start(agent, *arguments)
        out, err = process.communicate(timeout=COMMAND_SECONDS)
        assert process.returncode == exits, (arguments, process.returncode, out, err)
        assert "Traceback" not in err, err
        return Result(process.returncode, out, err)

    def folder(self, agent: str) -> Path:
        folder = self.root / "peers" / agent
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def environment(self) -> dict[str, str]:
        home = self.root / "peer-home"
        home.mkdir(exist_ok=True)
        return {"PATH": os.environ["PATH"], "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"}

    def status(self, agent: str) -> Any:
        return json.loads(self.run(agent, "status", "--json").out)


def peer_program() -> Path:
    """The published program. Skips the test where it is missing, or fails it where it is required."""
    program = Path(os.environ.get("TRACECRAFT_TEST_PEER") or _DEFAULT)
    if program.is_file():
        return program
    reason = "tracecraft-ai 0.2.5 is neither at $TRACECRAFT_TEST_PEER nor in .venv-peer"
    if "peer" in os.environ.get("TRACECRAFT_TEST_REQUIRE", "").split(","):
        pytest.fail(f"peer is in TRACECRAFT_TEST_REQUIRE, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """A real engine where there is one."""
    name = "ceph" if unavailable("ceph") is None else "ministack"
    endpoint = request.getfixturevalue(f"{name}_endpoint")
    assert isinstance(endpoint, Endpoint)
    return endpoint


@pytest.fixture
def world(shared_endpoint: Endpoint, tmp_path: Path) -> World:
    """Ours, at the top of a bucket as 0.2.x keeps its projects."""
    bucket = f"shared-{uuid.uuid4().hex[:12]}"
    make_bucket(shared_endpoint, bucket)
    keys = {"AWS_ACCESS_KEY_ID": shared_endpoint.access_key, "AWS_SECRET_ACCESS_KEY": shared_endpoint.secret_key}
    url = f"s3://{bucket}?endpoint={shared_endpoint.url}&region={shared_endpoint.region}"
    world = World(tmp_path, url, variables=keys)
    world.run("ours", "init", "--agent", "ours")
    return world


@pytest.fixture
def peer(world: World, shared_endpoint: Endpoint) -> Peer:
    """Theirs, on the same bucket and project, with an agent called `theirs`."""
    program = peer_program()
    bucket = world.url.removeprefix("s3://").partition("?")[0]
    peer = Peer(program, world.root, shared_endpoint, bucket, world.project)
    peer.init("theirs")
    return peer
