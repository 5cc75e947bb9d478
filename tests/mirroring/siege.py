"""One transcript that several processes on two machines mirror while they are killed, and what must be stored then.

The machines share the transcript, as with a home folder on a network, and nothing else: each remembers for itself.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.mirroring.restless import Restless, Work, compacting, mirroring
from tests.sessions.mirrored import SESSION, Growing, manifest, orphans, reassembled
from tests.support.world import World

HERE, THERE = "here", "there"
MIRROR = ("session", "mirror", "--session-id", SESSION, "--no-redact", "--yes", "--json")

_MIRRORERS = (HERE, HERE, THERE, THERE)
_FORGET = 0.15
"""How often a kill also costs what its machine remembered."""
_LONGEST = 0.12
"""Seconds at most that somebody is at work before the next kill."""


class Siege:
    """The two machines, their transcript, and counts of what befell them."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._chance = random.Random(seed)
        self.source = Growing.of(world, HERE)
        os.symlink(Path(world.environment(HERE)["HOME"], ".pi"), Path(world.environment(THERE)["HOME"], ".pi"))
        self._written = 0
        self.kills = self.uploading = self.forgotten = self.rewritten = 0

    def mirrorers_are_killed(self, kills: int, *, rewriting: float = 0.0) -> None:
        """The transcript changes while its mirrorers are killed one after another, and started again."""
        self._kill([mirroring] * len(_MIRRORERS), _MIRRORERS, kills, rewriting)

    def compactors_are_killed_too(self, kills: int) -> None:
        self._kill([mirroring, mirroring, compacting, compacting], _MIRRORERS, kills, 0.0)
        self._world.run(HERE, *MIRROR)
        self._world.run(HERE, "session", "compact", SESSION)

    def hold_up(self) -> None:
        """What is stored must be the transcript, once, and nothing beside it."""
        for agent in (HERE, THERE):
            self._world.run(agent, *MIRROR)
        assert reassembled(self._world) == self.source.data
        assert not orphans(self._world)
        known = manifest(self._world)
        assert all(known.is_complete(made) for made in known.generations)
        assert len({part.uuid for part in known.parts}) == len(known.parts)
        self._world.run(HERE, "session", "verify", SESSION)

    def _kill(self, works: Sequence[Work], agents: Sequence[str], kills: int, rewriting: float) -> None:
        at_work = [Restless(work, self._world, agent, self.source) for work, agent in zip(works, agents, strict=True)]
        for n in range(kills):
            self._write(rewriting)
            at_work[n % len(works)] = self._replaced(at_work[n % len(works)], works[n % len(works)])
        for process in at_work:
            process.kill(self._moment())
        self.kills += kills + len(at_work)
        self.source.add(b'"the end"\n')

    def _replaced(self, process: Restless, work: Work) -> Restless:
        process.kill(self._moment())
        home = Path(self._world.environment(process.agent)["HOME"], ".tracecraft")
        known = self._world.open(process.agent).local.read(f"session-pi-{SESSION}")
        self.uploading += known.get("uploading") is True
        if self._chance.random() < _FORGET:
            shutil.rmtree(home, ignore_errors=True)
            self.forgotten += 1
        return Restless(work, self._world, process.agent, self.source)

    def _moment(self) -> float:
        return self._chance.uniform(0, _LONGEST)

    def _write(self, rewriting: float) -> None:
        if self._chance.random() < rewriting:
            self._rewrite()
        lines, size = self._chance.choices([(3, 100), (100, 400), (1, 1_500_000), (3000, 3000)], [60, 34, 5, 1])[0]
        self.source.add(b"".join(self._line(size) for _ in range(self._chance.randint(1, lines))))
        if self._chance.random() < 0.2:
            self.source.add(self._line(100)[:40])  # a line that is finished, or spoilt, by the next one

    def _rewrite(self) -> None:
        """Shorten the transcript, write another one in its place, or put another file there."""
        lines = self.source.data.splitlines(keepends=True)
        kept = lines[: self._chance.randint(1, len(lines))]
        how = self._chance.choice(("shortened", "overwritten", "replaced"))
        if how == "shortened":
            os.truncate(self.source.path, sum(map(len, kept)))
        elif how == "overwritten":
            self.source.path.write_bytes(b"".join([lines[0], self._line(100), *kept[1:]]))
        else:
            other = self.source.path.with_suffix(".new")
            other.write_bytes(b"".join([lines[0], *kept[:0:-1]]))
            os.replace(other, self.source.path)
        self.rewritten += 1

    def _line(self, size: int) -> bytes:
        """A line like no other."""
        self._written += 1
        noise = self._chance.randbytes(size // 2).hex()
        return b'{"type": "message", "id": "%d", "text": "%s"}\n' % (self._written, noise.encode())
