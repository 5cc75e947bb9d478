"""The samples of real harnesses, mirrored by the real program with redaction on while they grow."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.sessions.killing import killed
from tests.support.faults import Moment
from tests.support.proxy import Proxy
from tests.support.s3 import Endpoint, make_bucket
from tests.support.world import World, finish
from tracecraft.records import read
from tracecraft.sessions import registry
from tracecraft.sessions.finding import Sessions
from tracecraft.sessions.harness import MAIN, Found, Harness, Machine, Source
from tracecraft.sessions.manifest import Manifest
from tracecraft.sessions.redaction import Redactor, known_secrets

SAMPLES = Path(os.environ.get("TRACECRAFT_TEST_SAMPLES", "."))
needs_samples = pytest.mark.skipif(
    "TRACECRAFT_TEST_SAMPLES" not in os.environ, reason="TRACECRAFT_TEST_SAMPLES names no folder"
)

BOTH: tuple[Moment, ...] = ("before", "after")
CLAUDE = ".claude/projects/-w"
CODEX = ".codex/sessions/2026/11/20"
PI = ".pi/agent/sessions/--w--"
CLAW = ".openclaw/agents/main"
CODE = ".local/share/opencode"


class Sample(NamedTuple):
    """A session: its harness, the files that it is one after the other, where its harness keeps it, and its id there.

    `beside` are folders that belong to it.
    """

    harness: str
    files: Sequence[str]
    place: str
    session_id: str
    beside: Mapping[str, str] = {}

    def __str__(self) -> str:
        return f"{self.harness}-{self.files[-1]}"


LINES = [
    Sample(
        "claude-code",
        ["growth-1_7505c804.jsonl", "growth-2_7505c804.jsonl", "growth-3_7505c804.jsonl"],
        f"{CLAUDE}/7505c804.jsonl",
        "7505c804",
    ),
    Sample("claude-code", ["one-malformed-line.jsonl"], f"{CLAUDE}/malformed.jsonl", "malformed"),
    Sample("claude-code", ["v2.1.34-small.jsonl"], f"{CLAUDE}/small.jsonl", "small"),
    Sample("claude-code", ["v2.1.41.jsonl"], f"{CLAUDE}/newer.jsonl", "newer"),
    Sample(
        "claude-code",
        ["subagent/0a1b2c3d-4e5f-4061-8071-2a3b4c5d6e7f.jsonl"],
        f"{CLAUDE}/0a1b2c3d-4e5f-4061-8071-2a3b4c5d6e7f.jsonl",
        "0a1b2c3d-4e5f-4061-8071-2a3b4c5d6e7f",
        {"subagent/0a1b2c3d-4e5f-4061-8071-2a3b4c5d6e7f": f"{CLAUDE}/0a1b2c3d-4e5f-4061-8071-2a3b4c5d6e7f"},
    ),
    Sample(
        "codex",
        [
            "GENERATED-codex-0.169.0-growth-1.jsonl",
            "GENERATED-codex-0.169.0-rollout-2026-11-20T10-29-15-01a1f880-d7db-7431-82b3-cf6e1e9b57c6.jsonl",
        ],
        f"{CODEX}/rollout-2026-11-20T10-29-15-01a1f880-d7db-7431-82b3-cf6e1e9b57c6.jsonl",
        "01a1f880-d7db-7431-82b3-cf6e1e9b57c6",
    ),
    Sample(
        "codex",
        ["jazzyalex-small.jsonl"],
        f"{CODEX}/rollout-2026-08-03T10-48-56-019fc8be-3658-7ca3-9e29-000000000000.jsonl",
        "019fc8be-3658-7ca3-9e29-000000000000",
    ),
    Sample(
        "pi",
        ["GENERATED-pi-0.74.2.jsonl"],
        f"{PI}/2026-11-20_01a1f882-00e4-7b8d-abd6-f2ea43b34023.jsonl",
        "01a1f882-00e4-7b8d-abd6-f2ea43b34023",
    ),
    Sample(
        "pi",
        ["large-session.jsonl"],
        f"{PI}/2025-11-20_d703a1a9-1b7b-4fb1-b512-c9738b1fe617.jsonl",
        "d703a1a9-1b7b-4fb1-b512-c9738b1fe617",
    ),
    Sample("openclaw", ["jazzyalex-large.jsonl"], f"{CLAW}/sessions/large.jsonl", "large"),
    Sample("openclaw", ["jazzyalex-schema_drift.jsonl"], f"{CLAW}/sessions/drift.jsonl", "drift"),
]

ROWS = [
    Sample("hermes", ["GENERATED-hermes-0.19.0-state.db"], ".hermes/state.db", ""),
    Sample(
        "openclaw",
        ["GENERATED-openclaw-2026.9.6-openclaw-agent.sqlite"],
        f"{CLAW}/agent/openclaw-agent.sqlite",
        "",
    ),
    Sample("opencode", ["GENERATED-opencode-1.18.33.db"], f"{CODE}/opencode.db", ""),
    Sample("opencode", ["GENERATED-opencode-1.1.27-storage/storage"], f"{CODE}/storage", ""),
    Sample("opencode", ["legacy-tree-jazzyalex/storage_v2"], f"{CODE}/storage", ""),
]


def home(world: World) -> Path:
    return Path(world.environment("reader")["HOME"])


def mirror(world: World, **environment: str) -> None:
    (done,) = finish([world.start("reader", "session", "mirror", "--all-harnesses", "--yes", **environment)])
    assert done.code == 0, done


def copy(source: Path, target: Path) -> None:
    """A copy that may be written to, as the samples may not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        for path in source.rglob("*"):
            if path.is_file():
                copy(path, target / path.relative_to(source))
    else:
        shutil.copyfile(source, target)


def cuts(parts: Sequence[bytes]) -> Iterator[bytes]:
    """The last of several files, of which each begins with the one before: cut inside lines, then each whole."""
    whole = parts[-1]
    lengths = {len(whole) * n // 7 + n for n in range(1, 7)} | {len(part) for part in parts}
    assert all(whole.startswith(part) for part in parts)
    return (whole[:length] for length in sorted(lengths))


def grow(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = path.stat().st_size if path.exists() else 0
    with path.open("ab") as file:
        file.write(data[size:])


def redacted(world: World, data: bytes, *, text: bool, **environment: str) -> tuple[bytes, Counter[str]]:
    """What is to be in the store of data that is redacted at once."""
    counts: Counter[str] = Counter()
    redactor = Redactor(known_secrets(home(world), world.environment("reader", **environment)))
    return b"".join(redactor.redact([data], counts, text=text)), counts


def stored(world: World, harness: str, session_id: str) -> Manifest:
    project = world.open()
    found = read(project.store, project.layout.manifest(harness, session_id), Manifest)
    assert found is not None
    return found.record


def mirrored(world: World, known: Manifest, stream: str) -> tuple[bytes, Counter[str]]:
    """A stream put together from its parts, none of which is there twice, and what was taken out of it."""
    project, counts, data = world.open(), Counter[str](), []
    parts = known.latest(stream)
    assert len({part.uuid for part in parts}) == len({part.span for part in parts}) == len(parts)
    for before, part in zip([0, *(part.span[1] for part in parts)], parts, strict=False):
        assert part.span[0] == before
        counts.update(part.redactions)
        data.append(project.store.get(project.layout.part(known.harness, known.session_id, part.seq, part.uuid)).data)
    return b"".join(data), counts


def check(world: World, known: Manifest, source: Source, data: bytes, **environment: str) -> None:
    """What is in the store is what the source holds; byte for byte where the manifest tells of no redaction."""
    have, counts = mirrored(world, known, source.stream)
    want, expected = redacted(world, data, text=source.is_text, **environment)
    assert have == want
    assert counts == expected
    assert counts or have == data
    generation = known.current(source.stream)
    assert generation is not None
    assert generation.end == len(data)


def check_redactions(known: Manifest) -> None:
    """The samples hold no secrets: whatever the rules take out of them is taken wrongly."""
    assert known.redaction_counts == {}
    assert all(part.ruleset for part in known.parts), "redaction was on"


@needs_samples
@pytest.mark.parametrize("sample", LINES, ids=str)
def test_a_transcript_that_grows(folder_world: World, sample: Sample) -> None:
    world, folder = folder_world, SAMPLES / sample.harness
    path = home(world) / sample.place
    for data in cuts([(folder / file).read_bytes() for file in sample.files]):
        grow(path, data)
        mirror(world)
    for beside, place in sample.beside.items():
        copy(folder / beside, home(world) / place)
        mirror(world)
    known = stored(world, sample.harness, sample.session_id)
    found = Found(sample.harness, sample.session_id, path)
    sources = registry.harness(sample.harness).sources(found)
    assert known.streams() == sorted(source.stream for source in sources)
    assert len(known.generations) == len(sources), "nothing was begun anew"
    for source in sources:
        data = source.path.read_bytes()
        check(world, known, source, data if source.whole else data[: data.rfind(b"\n") + 1])
    check_redactions(known)


@needs_samples
def test_a_secret_in_a_transcript_that_grows(folder_world: World) -> None:
    """An id that the sample repeats stands for a secret of this machine. It is taken out wherever the cuts fall."""
    world, sample = folder_world, LINES[0]
    secret = {"SAMPLE_TOKEN": "f4072b1d-5275-4607-b158-a763a8ce8aa5"}
    path = home(world) / sample.place
    for data in cuts([(SAMPLES / sample.harness / file).read_bytes() for file in sample.files]):
        grow(path, data)
        mirror(world, **secret)
    data = path.read_bytes()
    known = stored(world, sample.harness, sample.session_id)
    check(world, known, Source(path), data[: data.rfind(b"\n") + 1], **secret)
    assert known.redaction_counts == {"env-SAMPLE_TOKEN": data.count(secret["SAMPLE_TOKEN"].encode())}
    assert secret["SAMPLE_TOKEN"].encode() not in mirrored(world, known, MAIN)[0]


@needs_samples
@pytest.mark.parametrize("sample", [LINES[0], LINES[5], LINES[8]], ids=str)
def test_a_transcript_that_grows_while_its_mirror_is_killed(
    ministack_endpoint: Endpoint, tmp_path: Path, sample: Sample
) -> None:
    """At its first request, its second and so on, before the server has it and after; more is written between."""
    bucket = f"killed-{sample.harness}"
    make_bucket(ministack_endpoint, bucket)
    world = World.in_bucket(tmp_path, ministack_endpoint, bucket)
    path = home(world) / sample.place
    whole = (SAMPLES / sample.harness / sample.files[-1]).read_bytes()
    kills = 0
    for n in range(1, 13):
        for moment in BOTH:
            grow(path, whole[: len(whole) * (2 * n + (moment == "after")) // 26])
            with Proxy(ministack_endpoint.url) as proxy:
                through = World.in_bucket(tmp_path, ministack_endpoint, bucket, through=proxy.url)
                kills += killed(
                    through, "reader", proxy, 1 + n % 6, moment, "session", "mirror", "--all-harnesses", "--yes"
                )
    mirror(world)
    data = path.read_bytes()
    known = stored(world, sample.harness, sample.session_id)
    check(world, known, Source(path), data[: data.rfind(b"\n") + 1])
    assert len(known.generations) == 1
    assert kills > 6
    left = world.open().store.list(world.open().layout.session(sample.harness, sample.session_id))
    assert len([info for info in left if world.open().layout.is_part(info.key)]) == len(known.parts), (
        "orphans are swept"
    )


@needs_samples
@pytest.mark.parametrize("sample", ROWS, ids=str)
def test_a_database(folder_world: World, sample: Sample) -> None:
    """Also when it is mirrored again: what came from it is there once."""
    world = folder_world
    copy(SAMPLES / sample.harness / sample.files[0], home(world) / sample.place)
    before = sorted(path for path in home(world).rglob("*") if path.is_file())
    mirror(world)
    mirror(world)
    harness = registry.harness(sample.harness)
    sessions = list(harness.discover(Machine(home(world), {})))
    assert sessions
    for found in sessions:
        known = stored(world, sample.harness, found.session_id)
        assert known.streams() == [MAIN]
        source = Source(found.path)
        check(world, known, source, b"".join(_rows(harness, found, source)))
        check_redactions(known)
    assert len(list(Sessions(world.open()).newest_first())) == len(sessions)
    left = {path for path in home(world).rglob("*") if path.is_file() and ".tracecraft" not in path.parts}
    assert left == set(before), "nothing is left beside it"


def _rows(harness: Harness, found: Found, source: Source) -> Iterator[bytes]:
    cursor = None
    while (batch := harness.read_new(found, source, cursor)) is not None:
        yield from batch.chunks
        cursor = batch.cursor
