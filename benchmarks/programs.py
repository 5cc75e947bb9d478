"""The programs that are measured, and the seats from which agents use them.

Ours is measured as users have it: a console script in an environment into which the package was installed, not the
working copy. `make bench` makes that environment, .venv-bench, and the one of the published 0.2.5, .venv-peer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.measure import BenchmarkError, Run, run
from tests.support.servers import Endpoint
from tracecraft.localstate import LocalState
from tracecraft.project import Project
from tracecraft.store import Store
from tracecraft.store.address import parse
from tracecraft.store.opening import open_store

ROOT = Path(__file__).parents[1]
LIMIT = 120.0
"""Seconds a command may take where nothing else is said."""

_INSTALLED = ROOT / ".venv-bench" / "bin" / "tracecraft"
_PEER = ROOT / ".venv-peer" / "bin" / "tracecraft"
_HOW = (
    "import importlib.metadata as m; t = m.distribution('tracecraft-ai').read_text('direct_url.json') or '';"
    "print('editable' if '\"editable\"' in t else 'installed')"
)


def ours(*, quick: bool) -> Path:
    """Our console script. A quick run makes do with the one of the working copy."""
    program = Path(os.environ.get("TRACECRAFT_BENCH_PROGRAM") or _INSTALLED)
    if program.is_file():
        return program
    if quick:
        return Path(sys.executable).with_name("tracecraft")
    raise BenchmarkError(f"{program} is missing: run `make bench`")


def peer() -> Path:
    """The console script of the published 0.2.5."""
    program = Path(os.environ.get("TRACECRAFT_TEST_PEER") or _PEER)
    if not program.is_file():
        raise BenchmarkError(f"tracecraft-ai 0.2.5 is not at {program}: run `make bench`")
    return program


def how_installed(program: Path) -> str:
    """`installed`, or `editable` for a working copy."""
    python = program.with_name("python")
    return subprocess.run([python, "-c", _HOW], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


@dataclass(frozen=True)
class Seat:
    """Where an agent works: a program, a folder, a home, and what its environment says beside those."""

    program: Path
    folder: Path
    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, limit: float = LIMIT, exits: int = 0, stdout: Path | None = None) -> Run:
        """Run a command and measure it."""
        argv = [str(self.program), *arguments]
        return run(argv, env=self.environment(), cwd=self.folder, limit=limit, exits=exits, stdout=stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command whose output, standard error included, is read from one pipe."""
        return subprocess.Popen(
            [self.program, *arguments],
            env=self.environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def environment(self) -> dict[str, str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        return {**kept, "HOME": str(self.home), "AWS_EC2_METADATA_DISABLED": "true", **self.variables}


def set_up(program: Path, root: Path, endpoint: Endpoint, bucket: str, project: str, agent: str) -> Seat:
    """A seat on a bucket, set up by the program's own `init`; both programs take the same options."""
    seat = Seat(program, root / "folders" / project / agent, root / "homes" / project)
    where = ["--endpoint", endpoint.url, "--bucket", bucket, "--project", project, "--agent", agent]
    seat.run("init", *where, "--access-key", endpoint.access_key, "--secret-key", endpoint.secret_key)
    return seat


@dataclass(frozen=True)
class Place:
    """A store, as our program and our API reach it. `name` is what the tables call it."""

    name: str
    url: str
    root: Path
    program: Path
    keys: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def in_folder(cls, root: Path, program: Path) -> Place:
        return cls("folder", (root / "store").as_uri(), root, program)

    @classmethod
    def in_bucket(cls, name: str, root: Path, program: Path, endpoint: Endpoint, bucket: str) -> Place:
        keys = {"AWS_ACCESS_KEY_ID": endpoint.access_key, "AWS_SECRET_ACCESS_KEY": endpoint.secret_key}
        url = f"s3://{bucket}?endpoint={endpoint.url}&region={endpoint.region}"
        return cls(name, url, root, program, keys)

    def through(self, endpoint: Endpoint, proxy_url: str) -> Place:
        """The same store behind a proxy."""
        return replace(self, url=self.url.replace(endpoint.url, proxy_url))

    def seat(self, project: str, agent: str, home: str = "") -> Seat:
        """An agent's seat; agents that are given the same home share what the machine remembers."""
        named = {"TRACECRAFT_STORE": self.url, "TRACECRAFT_PROJECT": project, "TRACECRAFT_AGENT": agent}
        own = self.root / "folders" / self.name / project / agent
        return Seat(self.program, own, self._home(project, home or agent), {**named, **self.keys})

    def project(self, project: str, agent: str) -> Project:
        """The API on the same store, from a machine of its own."""
        home = self._home(project, f"api-{agent}")
        return Project(self.store(), project, agent, local=LocalState(self.url, project, home))

    def store(self) -> Store:
        return open_store(parse(self.url), {"HOME": str(self.root), **self.keys})

    def _home(self, project: str, name: str) -> Path:
        return self.root / "homes" / self.name / project / name
