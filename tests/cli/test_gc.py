"""gc on a folder store as a user has it: what it prints, and how much memory it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.scale import size
from tests.support.shell import Shell
from tests.support.world import World
from tracecraft.layout import event_time

DAY = 86400
MANY = size(20_000, 20_000)


def plant(world: World, number: int, days: int, text: str) -> None:
    """Old events of several days in the folder itself, as if written then."""
    folder = Path(world.url.removeprefix("file://")) / "demo" / "events"
    folder.mkdir(parents=True, exist_ok=True)
    noon = (int(time.time() // DAY) - days) * DAY + DAY // 2
    for n in range(number):
        at = event_time((noon * 1000 + n) * 10**6)
        path = folder / f"{at}~claim~bob~s{n % 5}~{n:08x}.json"
        path.write_text(json.dumps({"type": "claim", "agent": "bob", "subject": f"s{n % 5}", "at": at, "note": text}))
        os.utime(path, ns=(noon * 10**9, noon * 10**9 + n * 10**6))


def test_the_log_is_the_same_to_the_byte(folder_world: World) -> None:
    world = folder_world
    for days in (3, 9, 10, 20):
        plant(world, 40, days, "two\nlines \u2028 and ünï \x7f")
    world.run("a", "memory", "set", "k", "v")
    wanted = [
        [], ["--limit", "0"], ["--limit", "130"], ["--subject", "s1"], ["--since", "9d12h", "--limit", "0"],
        ["--until", "9d18h"], ["--agent", "nobody"],
    ]  # fmt: skip
    lines = [["log", *more, *form] for more in wanted for form in ([], ["--json"])]

    def seen(shell: Shell) -> list[str]:
        return [shell.run(world, "a", *line, "--type", "claim").out for line in lines]

    with Shell() as shell:
        before = seen(shell)
        told = world.run("a", "gc", "--json").json
        assert seen(shell) == before
        done = world.run("a", "gc", "--apply", "--json").json
        assert seen(shell) == before
    assert (told["applied"], done["applied"]) == (False, True)
    assert told["collected"]["events"] == done["collected"]["events"]
    assert (done["collected"]["events"]["objects"], done["collected"]["events"]["counts"]) == (120, {"segments": 3})
    assert "nothing to collect" in world.run("a", "gc", "--apply").out


def test_only_what_is_named_is_collected(folder_world: World) -> None:
    plant(folder_world, 3, 9, "")
    assert (
        folder_world.run("a", "gc", "--apply", "--only", "agents", "--only", "messages").out == "nothing to collect\n"
    )
    done = folder_world.run("a", "gc", "--apply", "--only", "events", "--json").json
    assert list(done["collected"]) == ["events"]
    assert folder_world.run("a", "gc", "--agents-gone-for", "1m", exits=2).err.startswith("error: ")
    assert folder_world.run("a", "gc", "--only", "history", exits=2)


def test_without_an_agent_it_can_be_looked_at_but_not_done(folder_world: World) -> None:
    plant(folder_world, 3, 9, "")
    assert "3 objects" in folder_world.run("a", "gc", TRACECRAFT_AGENT="").out
    assert "no agent" in folder_world.run("a", "gc", "--apply", exits=2, TRACECRAFT_AGENT="").err


MEASURED = """
import resource, sys
from pathlib import Path
from tracecraft.cli.app import run
code = run(sys.argv[1:])
status = Path("/proc/self/status")
if status.exists():  # what getrusage tells on Linux may be the peak of the process that started this one
    peak = int(status.read_text().partition("VmHWM:")[2].split()[0])
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.stderr.write(str(peak))
sys.exit(code)
"""


def test_memory_is_bounded(folder_world: World) -> None:
    """20,000 events of 2 kB, 40 MB in all, are folded and read again in a few segments' worth of memory."""
    world = folder_world
    world.run("a", "memory", "set", "k", "v")
    least = peak(world, "gc", "--apply")
    for days in (9, 10, 11, 12):
        plant(world, MANY // 4, days, "x" * 2000)
    assert peak(world, "gc", "--apply") - least < 40 << 20
    events = sorted(Path(world.url.removeprefix("file://"), "demo", "events").glob("*.json"))
    assert len(events) == 2
    assert peak(world, "log", "--limit", "0", "--json") - least < 80 << 20
    assert len(world.run("a", "log", "--limit", "0").out.splitlines()) == MANY + 2


def peak(world: World, *arguments: str) -> int:
    """The most bytes of memory that a command took."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        cwd=world.folder("a"),
        env=world.environment("a"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stderr.splitlines()[-1]) * unit
