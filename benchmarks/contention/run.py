"""Run the contention report: races and bursts of messages on every store that can be had here, logs, pages.

    python -m benchmarks.contention.run [--quick] [--only races|messages|report] [--stores folder,ceph]
        [--trials N] [--large N] [--to FOLDER]

Exit status 1 when a store that decides conditional writes showed a violation, when the control was not caught, or when
a message was not delivered exactly once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.contention import logs
from benchmarks.contention.figures import problems
from benchmarks.contention.logs import Burst, Trial
from benchmarks.contention.messages import Plan, burst
from benchmarks.contention.races import race_all, refusal
from benchmarks.contention.report import results_in, write_report
from benchmarks.contention.stores import CONTROL, FOLDER, STORES, unavailable, world_on
from benchmarks.machine import facts
from tests.support.fleet import Fleet

ROOT = Path(__file__).parents[2]
PARTS = ("races", "messages", "report")


@dataclass(frozen=True)
class Scale:
    """How much is run.

    The control has fewer trials: it is slow, each of its races has many winners, and one that is caught is enough.
    """

    agents: tuple[int, ...]
    trials: int
    control_trials: int
    lanes: int
    folder_bursts: tuple[Plan, ...]
    bucket_bursts: tuple[Plan, ...]

    @property
    def workers(self) -> int:
        plans = (*self.folder_bursts, *self.bucket_bursts)
        return max(*self.agents, *(plan.senders + plan.readers for plan in plans))


_SMALL = Plan(senders=16, each=60, readers=4, addressees=1, broadcast_every=10)
_LARGE = Plan(senders=16, each=625, readers=4, addressees=4, broadcast_every=100)
FULL = Scale(
    agents=(2, 4, 8, 16, 32, 50),
    trials=200,
    control_trials=20,
    lanes=4,
    folder_bursts=(_SMALL, replace(_LARGE, each=6250)),
    bucket_bursts=(_SMALL, _LARGE),
)
_TINY = Plan(senders=5, each=40, readers=3, addressees=1, broadcast_every=10)
QUICK = Scale(agents=(2, 8), trials=5, control_trials=5, lanes=2, folder_bursts=(_TINY,), bucket_bursts=(_TINY,))


def changed(scale: Scale, trials: int | None, large: int | None) -> Scale:
    """The same with other numbers of trials, and of messages in the large bursts, where they are given."""
    if large:
        bursts = (_SMALL, replace(_LARGE, each=max(1, large // _LARGE.senders)))
        scale = replace(scale, folder_bursts=bursts, bucket_bursts=bursts)
    if trials:
        scale = replace(scale, trials=trials, control_trials=min(trials, scale.control_trials))
    return scale


def main(
    quick: bool,
    *,
    to: Path | None = None,
    only: str = "",
    stores: Sequence[str] = STORES,
    trials: int | None = None,
    large: int | None = None,
) -> int:
    """Run what is wanted and write the pages. `quick` writes to a scratch folder unless `to` names another."""
    scale = changed(QUICK if quick else FULL, trials, large)
    root = to or (Path(tempfile.mkdtemp(prefix="tracecraft-contention-report-")) if quick else ROOT)
    if only != "report":
        _measure(scale, results_in(root), [only] if only else PARTS[:2], stores)
    for page in write_report(root):
        print(f"wrote {page}")
    found = problems(logs.read_trials(results_in(root)), logs.read_bursts(results_in(root)))
    for problem in found:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    return 1 if found else 0


def _measure(scale: Scale, results: Path, parts: Sequence[str], stores: Sequence[str]) -> None:
    """Run the parts on the stores; the logs of other parts and stores stay as they are."""
    machine = logs.read_machine(results)
    with ExitStack() as stack:
        fleets = [stack.enter_context(Fleet(scale.workers)) for _ in range(scale.lanes)]
        for store in stores:
            if reason := unavailable(store):
                print(f"{store}: skipped: {reason}")
                machine |= {f"{part}-{store}": {"skipped": reason} for part in parts}
                continue
            for part in parts:
                if part == "races":
                    machine["races-" + store] = _races(store, fleets, scale, results)
                elif store != CONTROL:
                    machine["messages-" + store] = _messages(store, fleets[0], scale, results)
                logs.write_machine(results, machine)
    logs.write_machine(results, machine)


def _races(store: str, fleets: Sequence[Fleet], scale: Scale, results: Path) -> dict[str, str]:
    done: list[Trial] = []
    trials = scale.control_trials if store == CONTROL else scale.trials
    with _told(f"races on {store}") as told, world_on(store) as world:
        told |= {"trials": str(trials), "lanes": str(len(fleets))}
        if store == CONTROL:
            told["left to itself"] = refusal(world)
        try:
            for cell in race_all(store, world, fleets, scale.agents, trials):
                done += cell
        finally:
            logs.write(results / f"races-{store}.jsonl.gz", done)
    return told


def _messages(store: str, fleet: Fleet, scale: Scale, results: Path) -> dict[str, str]:
    path = results / "messages.jsonl.gz"
    done = [earlier for earlier in logs.read(path, Burst) if earlier.store != store]
    with _told(f"messages on {store}") as told:
        for plan in scale.folder_bursts if store == FOLDER else scale.bucket_bursts:
            with world_on(store) as world:
                done.append(burst(store, world, fleet, plan))
                logs.write(path, done)
    return told


@contextmanager
def _told(what: str) -> Iterator[dict[str, str]]:
    """The circumstances of a part of the run, with the seconds it took; also shown while it runs."""
    began = time.monotonic()
    print(f"{what} ...", flush=True)
    told = {
        **facts(),
        "filesystem": _filesystem(Path(tempfile.gettempdir())),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }
    yield told
    told["seconds"] = f"{time.monotonic() - began:.0f}"
    print(f"{what}: {told['seconds']} s", flush=True)


def _filesystem(folder: Path) -> str:
    done = subprocess.run(
        ["df", "--output=fstype", str(folder)], capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout.splitlines()[-1].strip() if done.returncode == 0 else "unknown"


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contention.run", description="The contention report.")
    parser.add_argument("--quick", action="store_true", help="a minute instead of the full run, into a scratch folder")
    parser.add_argument("--only", choices=PARTS, default="", help="one part; `report` draws the logs that are there")
    parser.add_argument("--stores", default=",".join(STORES), help=f"some of {','.join(STORES)}")
    parser.add_argument("--trials", type=int, help="races of each kind, instead of 200 (on the control at most 20)")
    parser.add_argument("--large", type=int, help="messages of the large bursts; 100000 on a folder, else 10000")
    parser.add_argument("--to", type=Path, help="the folder for logs and pages, instead of this repository")
    parsed = parser.parse_args(arguments)
    parsed.stores = parsed.stores.split(",")
    if unknown := set(parsed.stores) - set(STORES):
        parser.error(f"no such store: {', '.join(sorted(unknown))}; there are {', '.join(STORES)}")
    return parsed


if __name__ == "__main__":
    wanted = vars(_parsed(sys.argv[1:]))
    sys.exit(main(wanted.pop("quick"), **wanted))
