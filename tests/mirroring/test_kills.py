"""Whoever mirrors is killed at any moment, forgets, and meets others: the stored transcript is the source, once."""

from __future__ import annotations

from tests.mirroring.siege import Siege
from tests.sessions.mirrored import manifest
from tests.support.scale import measured, size
from tests.support.world import World

SEED = 20261125
ROUNDS = size(5, 1)
KILLS = size(40, 6)


def test_a_transcript_that_only_grows_is_one_generation(world: World, place: str) -> None:
    with measured("mirrored while it grows", place) as figures:
        siege = Siege(world, SEED)
        for _ in range(ROUNDS):
            siege.mirrorers_are_killed(KILLS)
            siege.hold_up()
        figures.update(told(world, siege))
    assert [made.g for made in manifest(world).generations] == [1]


def test_compaction_changes_nothing_that_is_read(world: World, place: str) -> None:
    with measured("mirrored while it is compacted", place) as figures:
        siege = Siege(world, SEED + 1)
        for _ in range(ROUNDS):
            siege.compactors_are_killed_too(KILLS)
            siege.hold_up()
        figures.update(told(world, siege))
    assert [made.g for made in manifest(world).generations] == [1]


def test_a_transcript_that_is_rewritten_is_mirrored_as_it_is_now(world: World, place: str) -> None:
    with measured("mirrored while it is rewritten", place) as figures:
        siege = Siege(world, SEED + 2)
        for _ in range(ROUNDS):
            siege.mirrorers_are_killed(KILLS, rewriting=0.3)
            siege.hold_up()
        figures.update(told(world, siege), rewritten=siege.rewritten)


def told(world: World, siege: Siege) -> dict[str, int]:
    known = manifest(world)
    return {
        "kills": siege.kills,
        "while uploading": siege.uploading,
        "local state lost": siege.forgotten,
        "source bytes": len(siege.source.data),
        "parts": len(known.parts),
        "generations": len(known.generations),
    }
