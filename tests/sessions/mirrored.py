"""A session of a harness that grows, and what of it is in the store."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from tests.support.world import World
from tracecraft.records import read
from tracecraft.sessions.manifest import Manifest

SESSION = "0190c0de-0000-7000-8000-000000000001"


@dataclass
class Growing:
    """A session of Pi in a home of its own, written line by line."""

    path: Path
    cwd: Path
    seed: int = 0

    @classmethod
    def of(cls, world: World, agent: str, session_id: str = SESSION) -> Growing:
        home = Path(world.environment(agent)["HOME"])
        folder = home / ".pi" / "agent" / "sessions" / f"--{agent}--"
        folder.mkdir(parents=True, exist_ok=True)
        growing = cls(folder / f"2026-01-01_{session_id}.jsonl", world.folder(agent))
        growing.write({"type": "session", "version": 3, "id": session_id, "cwd": str(growing.cwd)})
        return growing

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def whole_lines(self) -> bytes:
        data = self.data
        return data[: data.rfind(b"\n") + 1]

    def write(self, *records: object) -> None:
        with open(self.path, "ab") as file:
            file.write(b"".join(json.dumps(record).encode() + b"\n" for record in records))

    def add(self, raw: bytes) -> None:
        with open(self.path, "ab") as file:
            file.write(raw)

    def grow(self, lines: int, size: int = 80) -> None:
        """Write lines that differ from each other."""
        self.seed += 1
        chance = random.Random(self.seed)
        self.write(
            *(
                {
                    "type": "message",
                    "id": f"{self.seed}-{n}",
                    "message": {"role": "user", "content": _words(chance, size)},
                }
                for n in range(lines)
            )
        )


def manifest(world: World, session_id: str = SESSION, harness: str = "pi") -> Manifest:
    """The manifest as it is in the store."""
    project = world.open()
    found = read(project.store, project.layout.manifest(harness, session_id), Manifest)
    assert found is not None
    return found.record


def reassembled(world: World, session_id: str = SESSION, stream: str = "", g: int | None = None) -> bytes:
    """What readers get: the parts of a stream's latest generation, or of the one named."""
    known = manifest(world, session_id)
    store, layout = world.open().store, world.open().layout
    parts = known.latest(stream) if g is None else known.parts_of(g)
    at = 0
    data = []
    for part in parts:
        assert part.span[0] == at
        at = part.span[1]
        data.append(store.get(layout.part(known.harness, session_id, part.seq, part.uuid)).data)
        assert len(data[-1]) == part.uploaded_bytes
    return b"".join(data)


def orphans(world: World, session_id: str = SESSION) -> list[str]:
    """Parts in the store that the manifest does not name."""
    known = manifest(world, session_id)
    project = world.open()
    named = {project.layout.part(known.harness, session_id, part.seq, part.uuid) for part in known.parts}
    listed = [info.key for info in project.store.list(project.layout.session(known.harness, session_id))]
    return [key for key in listed if project.layout.is_part(key) and key not in named]


def _words(chance: random.Random, size: int) -> str:
    return " ".join(chance.choice(("build", "test", "read", "write", "the", "file", "again")) for _ in range(size // 5))
