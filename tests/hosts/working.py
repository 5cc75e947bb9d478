"""A worker as users write them: `python -m tests.hosts.working LOG SECONDS` takes steps until all are done.

For each step it puts its effect down in memory, under `effect.STEP`, as `FENCE AGENT`: only where no later fence is
there yet, and by a swap, so that memory is a system that compares fences. Then it completes the step with its fence.
Each line of LOG tells of one completion: step, fence, exit code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

UNKNOWN = 7


def tracecraft(*arguments: str) -> tuple[int, Any]:
    """Exit code and document of a command. One that did not reach the store, or does not know, is repeated."""
    while True:
        command = [sys.executable, "-m", "tracecraft", *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        if done.returncode != UNKNOWN:
            return done.returncode, json.loads(done.stdout or done.stderr.splitlines()[-1])


def put_down_effect(step: str, fence: int) -> bool:
    """Whether the effect is there under this fence; False if somebody with a later one was faster."""
    key, mine = f"effect.{step}", f"{fence} {os.environ['TRACECRAFT_AGENT']}"
    while True:
        code, there = tracecraft("memory", "get", key, "--with-meta")
        if code == 0 and there["value"] == mine:
            return True
        if code == 0 and int(there["value"].split()[0]) > fence:
            return False
        condition = ["--if-version", there["version"]] if code == 0 else ["--if-absent"]
        code, _ = tracecraft("memory", "set", key, mine, *condition)
        if code == 0:
            return True


def main(log: str, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        code, found = tracecraft("next", "--ttl", "5")
        if code == 0:
            step, fence = found["step"], found["fence"]
            put_down_effect(step, fence)
            code, _ = tracecraft("complete", step, "--fence", str(fence))
            with open(log, "a") as file:
                file.write(json.dumps([step, fence, code]) + "\n")
        elif found["error"]["reason"] == "all_done":
            return 0
        else:
            time.sleep(0.3)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
