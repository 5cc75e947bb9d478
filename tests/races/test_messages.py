"""Fifty senders, one reader that is killed again and again: no message is lost, none is shown twice.

Shown again may only be what a killed reader had not finished printing: its last batch.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from tests.races.jobs import send_burst
from tests.support.fleet import Fleet
from tests.support.scale import measured, size
from tests.support.world import World
from tracecraft.mailbox import BATCH, GRACE

SENDERS = 50
HOUR = 3600.0
TEXT = re.compile(r": (s\d+-\d{6})$")
LAST_READS = 20


class Reader:
    """Runs `inbox --new` over and over in a thread of the test, kills every other one, and keeps what they printed."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_on)
        self._random = random.Random(1)
        self._shown: list[tuple[float, int]] = []
        self.finished: list[list[str]] = []
        self.killed: list[list[str]] = []
        self.unfinished: Counter[str] = Counter()
        """What killed readers may not have finished printing: their last batches."""
        self.problems: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop killing, then read until nothing is new."""
        self._stop.set()
        self._thread.join()
        for _ in range(LAST_READS):
            if not self.read(kill_after=None):
                return
        self.problems.append(f"still something new after {LAST_READS} more looks")

    def read(self, *, kill_after: float | None) -> list[str]:
        """One process; what it printed in whole lines."""
        shown = self._folder / f"{len(self.finished) + len(self.killed)}.txt"
        with shown.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tracecraft", "inbox", "--new"],
                cwd=self._world.folder("reader"),
                env=self._world.environment("reader"),
                stdout=out,
                stderr=subprocess.PIPE,
            )
            if kill_after is not None:
                time.sleep(kill_after)  # not in hope of anything: wherever it is then is where it dies
                process.kill()
            _, err = process.communicate(timeout=300)
        texts = [found[1] for line in shown.read_text().splitlines(keepends=True) if (found := TEXT.search(line))]
        self._shown.append((time.monotonic(), len(texts)))
        if process.returncode == -signal.SIGKILL:
            self.killed.append(texts)
            self.unfinished.update(texts[-self._largest_batch() :])
        else:
            self.finished.append(texts)
            if process.returncode or err:
                self.problems.append(f"exit {process.returncode}: {err.decode()[-1000:]}")
        return texts

    def _largest_batch(self) -> int:
        """The most that may be printed before the position moves: a part of what it names, the last minutes' mail."""
        lately = time.monotonic() - 2 * GRACE
        return max(BATCH, sum(count for at, count in self._shown if at > lately) // 8)

    def _read_on(self) -> None:
        while not self._stop.is_set():
            self.read(kill_after=self._random.uniform(0.05, 1.0))
            self.read(kill_after=None)


def test_no_message_is_lost_or_shown_twice(world: World, place: str, fleet: Fleet, tmp_path: Path) -> None:
    on_folder = place == "folder"
    bursts, length = (size(40, 2), size(50, 25)) if on_folder else (size(8, 2), size(25, 10))
    shown = tmp_path / "shown"
    shown.mkdir()
    reader = Reader(world, shown)
    sent: list[str] = []
    with measured("messages", place) as figures:
        reader.start()
        try:
            for burst in range(bursts):
                jobs = [(world, f"s{n}", "reader", burst * length, length, off(n)) for n in range(SENDERS)]
                sent += [text for texts in fleet.run(send_burst, jobs) for text in texts]
        finally:
            reader.stop()
        assert not reader.problems
        counts = Counter(text for texts in reader.finished + reader.killed for text in texts)
        assert not set(sent) - set(counts), "lost"
        assert not set(counts) - set(sent), "made up"
        assert not [text for text, times in counts.items() if times > 1 + reader.unfinished[text]], "shown twice"
        figures |= {"messages": len(sent), "readers": len(reader.finished), "readers killed": len(reader.killed)}
        figures["shown again after a kill"] = sum(counts.values()) - len(counts)


def off(sender: int) -> float:
    """A third of the senders have clocks an hour behind or ahead."""
    return {0: -HOUR, 1: HOUR}.get(sender % 6, 0.0)
