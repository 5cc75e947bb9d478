"""Exports given to the programs that read them, which need environments of their own.

`make exports` makes those, and names their Pythons in TRACECRAFT_TEST_HARBOR and TRACECRAFT_TEST_MLFLOW.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runs.recorded import RUN, SONNET, write_events, write_run
from tests.support.processes import Child, free_port, listening
from tests.support.world import World
from tracecraft.runs.exporting.formats import Format, export_run

HARBOR = os.environ.get("TRACECRAFT_TEST_HARBOR", "")
MLFLOW = os.environ.get("TRACECRAFT_TEST_MLFLOW", "")
needs_harbor = pytest.mark.skipif(not HARBOR, reason="TRACECRAFT_TEST_HARBOR does not name a Python that has harbor")
needs_mlflow = pytest.mark.skipif(not MLFLOW, reason="TRACECRAFT_TEST_MLFLOW does not name a Python that has mlflow")
SECONDS = 120

_SEARCH = """
import json, mlflow
(trace,) = mlflow.search_traces(locations=["0"], return_type="list")
print(json.dumps([[span.name, span.span_type, span.status.status_code.value] for span in trace.data.spans]))
"""


def exported(world: World, kind: Format) -> bytes:
    project = world.open()
    write_run(project)
    write_events(project)
    return b"".join(export_run(project, RUN, kind))


# harbor


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    command = [HARBOR, "-m", "harbor.utils.trajectory_validator", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


@needs_harbor
def test_harbors_validator_takes_our_trajectories(folder_world: World, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(exported(folder_world, "atif"))
    done = validated(path)
    assert done.returncode == 0, done.stderr


@needs_harbor
def test_harbors_validator_refuses_what_is_wrong(folder_world: World, tmp_path: Path) -> None:
    """Else it would prove nothing."""
    path = tmp_path / "run.json"
    path.write_bytes(exported(folder_world, "atif").replace(b'"step_id":2,', b'"step_id":7,', 1))
    assert validated(path).returncode == 1


# mlflow


@pytest.fixture
def mlflow_url(tmp_path: Path) -> Iterator[str]:
    """A server that takes traces."""
    port = free_port()
    store = f"sqlite:///{tmp_path}/mlflow.db"
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(tmp_path)}
    command = [MLFLOW, "-m", "mlflow", "server", "--backend-store-uri", store, *where]
    with Child(command, log=tmp_path / "mlflow.log", env=quiet, cwd=tmp_path) as child:
        child.until(lambda: listening(port), seconds=SECONDS, what="answer")
        yield f"http://127.0.0.1:{port}"


@needs_mlflow
def test_mlflow_takes_our_traces_and_knows_what_the_spans_are(folder_world: World, mlflow_url: str) -> None:
    headers = {"content-type": "application/json", "x-mlflow-experiment-id": "0"}
    for line in exported(folder_world, "otlp").splitlines():
        request = urllib.request.Request(f"{mlflow_url}/v1/traces", data=line, headers=headers)  # noqa: S310 (loopback)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            assert answer.status == 200
    environment = {"PATH": os.environ["PATH"], "MLFLOW_TRACKING_URI": mlflow_url, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [MLFLOW, "-c", _SEARCH], env=environment, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    spans = {name: (kind, status) for name, kind, status in json.loads(done.stdout.splitlines()[-1])}
    assert spans["invoke_agent researcher"] == ("AGENT", "OK")
    assert spans["execute_tool search"] == ("TOOL", "OK")
    assert spans[f"chat {SONNET}"] == ("CHAT_MODEL", "OK")
    assert spans["overlap"][1] == "ERROR"
    assert len(spans) == 8
