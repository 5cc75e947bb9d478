"""One Ceph for all processes of a test run: whoever needs it first starts it, and it goes when the run is over.

`shared_ceph` is what the tests call. Run as a program, this module is the keeper: a process of its own session, parent
of the Ceph servers, that ends them when the leader of the run has ended. Should the keeper itself be killed, the kernel
ends them (see processes.py).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from tests.support.ceph import Ceph
from tests.support.processes import StartError, run, wait_until
from tests.support.runfolder import RunFolder, locked
from tests.support.s3 import Endpoint

_START = 120.0
_LONGEST_RUN = 6 * 3600.0


def shared_ceph(folder: RunFolder) -> Endpoint:
    """The run's Ceph, started if this is the first to ask. Raises StartError, to each who asks, if it could not be."""
    outcome_file = folder.path / "ceph.json"
    with locked(folder.path / "ceph.lock", seconds=_START + 10):
        if not outcome_file.exists():
            command = [sys.executable, "-m", __name__, str(folder.path)]
            run(command, log=folder.path / "keeper.log", seconds=_START, cwd=Path(__file__).parents[2])
        outcome = json.loads(outcome_file.read_text())
    if "error" in outcome:
        raise StartError(outcome["error"])
    return Endpoint(**outcome)


def main(path: Path) -> int:
    """Leave a keeper behind in the background, and end when it has an outcome: status 0, whatever that is."""
    keeper = os.fork()
    if keeper == 0:
        os.setsid()
        _keep(RunFolder(path))
        return 0

    def ended() -> bool:
        return os.waitpid(keeper, os.WNOHANG)[0] == keeper

    wait_until(lambda: (path / "ceph.json").exists() or ended(), seconds=_START)
    return 0 if (path / "ceph.json").exists() else 1


def _keep(folder: RunFolder) -> None:
    """Serve the run until it is over."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with locked(folder.path / "ceph.service"):
        node = Ceph(folder.path / "ceph")
        try:
            _tell(folder.path / "ceph.json", _started(node))
            wait_until(folder.over, seconds=_LONGEST_RUN, every=0.1)
        finally:
            node.stop()
            if folder.over():
                shutil.rmtree(folder.path, ignore_errors=True)


def _started(node: Ceph) -> dict[str, object]:
    try:
        return asdict(node.start())
    except StartError as error:
        return {"error": str(error)}


def _tell(path: Path, outcome: dict[str, object]) -> None:
    """Written whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(outcome))
    draft.rename(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
