"""Logs records into a run and tells what each call took: recorded.py FOLDER RECORDS STORE_IS_AWAY(0 or 1)

A store that is away is a bucket at a port of this machine where nobody listens.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from array import array
from pathlib import Path

from tracecraft.localstate import LocalState
from tracecraft.project import Project
from tracecraft.runs.log import Metrics
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.recorder import Recorder
from tracecraft.store.address import parse
from tracecraft.store.opening import open_store

_NOBODY = "s3://nobody/there?endpoint=http://127.0.0.1:9&region=us-east-1"
_KEYS = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}


def main(folder: Path, records: int, *, away: bool) -> None:
    url = _NOBODY if away else (folder / "store").as_uri()
    project = Project(open_store(parse(url), _KEYS), "bench", local=LocalState(url, "bench", folder))
    run = "benchmark-0000abcd"
    recorder = Recorder.open(project, run, via="sdk", meta=RunMeta(run=run))
    took = array("Q", bytes(8 * records))
    clock, began = time.perf_counter_ns, time.perf_counter()
    for step in range(records):
        before = clock()
        recorder.log(Metrics(at=time.time(), values={"loss": step / 3}, step=step))
        took[step] = clock() - before
    logged = time.perf_counter() - began
    stored = recorder.close(1.0 if away else 600.0)
    whole = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ordered = sorted(took)
    told = {
        "peak_kib": usage // 1024 if sys.platform == "darwin" else usage,
        "median_us": ordered[records // 2] / 1000,
        "p99_us": ordered[records * 99 // 100] / 1000,
        "slowest_ms": ordered[-1] / 1e6,
        "logged_s": logged,
        "stored_s": whole if stored else None,
        "spool_bytes": sum(path.stat().st_size for path in project.local.folder.glob("runs/*.jsonl")),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), away=sys.argv[3] == "1")
