"""A world for a test: one store, one project, and workers that run the real command line or the API against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.places import credentials, store_url
from tests.support.servers import Endpoint
from tracecraft.localstate import LocalState
from tracecraft.project import Project
from tracecraft.store.address import parse
from tracecraft.store.opening import open_store

COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Result:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error document on standard error."""
        return json.loads(self.err.splitlines()[-1])["error"]


@dataclass(frozen=True)
class World:
    """A store and a project on it. `variables` is all a worker's environment holds beside PATH."""

    root: Path
    url: str
    project: str = "demo"
    variables: Mapping[str, str] = field(default_factory=dict)
    enter: Sequence[str] = ()
    """What begins the command lines, where they are to run on a host of their own (see hosts.py)."""

    @classmethod
    def in_folder(cls, root: Path) -> World:
        return cls(root, (root / "store").as_uri())

    @classmethod
    def in_bucket(cls, root: Path, endpoint: Endpoint, bucket: str, *, through: str = "") -> World:
        """On a server, directly or through a proxy's URL."""
        at = endpoint.at(through) if through else endpoint
        return cls(root, store_url(at, bucket, "pre"), variables=credentials(endpoint))

    def environment(self, agent: str, **more: str) -> dict[str, str]:
        """A worker's environment: its own home, nothing of the caller's settings."""
        home = self.root / "homes" / agent
        home.mkdir(parents=True, exist_ok=True)
        named = {"TRACECRAFT_STORE": self.url, "TRACECRAFT_PROJECT": self.project, "TRACECRAFT_AGENT": agent}
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        return {
            **kept,
            "HOME": str(home),
            "AWS_EC2_METADATA_DISABLED": "true",
            "TRACECRAFT_DEBUG": "1",
            **named,
            **self.variables,
            **more,
        }

    def start(self, agent: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start a command as an agent, in the agent's own folder."""
        return subprocess.Popen(
            self._command(agent, arguments),
            cwd=self.folder(agent),
            env=self.environment(agent, **more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, agent: str, *arguments: str, exits: int | None = 0, stdin: str | bytes = b"", **more: str) -> Result:
        """Run a command as an agent; fails the test when it ends otherwise than `exits` (None: however it ends)."""
        done = subprocess.run(
            self._command(agent, arguments),
            cwd=self.folder(agent),
            env=self.environment(agent, **more),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert exits is None or result.code == exits, (arguments, result)
        assert "Traceback" not in result.err, result.err
        return result

    def _command(self, agent: str, arguments: Sequence[str]) -> list[str]:
        # Whoever enters a host is in the folder `/` there.
        enter = [*self.enter, "env", "-C", str(self.folder(agent))] if self.enter else []
        return [*enter, sys.executable, "-m", "tracecraft", *arguments]

    def folder(self, agent: str) -> Path:
        folder = self.root / "folders" / agent
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def open(self, agent: str = "tester") -> Project:
        """The API as an agent would use it from a machine of its own."""
        home = Path(self.environment(agent)["HOME"])
        store = open_store(parse(self.url), {"HOME": str(home), **self.variables})
        return Project(store, self.project, agent, local=LocalState(self.url, self.project, home))


def finish(processes: Sequence[subprocess.Popen[str]], seconds: float = COMMAND_SECONDS) -> list[Result]:
    """Wait for commands that were started side by side."""
    results = []
    for process in processes:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        results.append(Result(process.returncode, out, err))
    return results
