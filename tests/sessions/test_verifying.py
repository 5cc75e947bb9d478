"""`verify` names what is lost, damaged or left over, and its repair makes nothing worse: the next mirror is whole."""

from __future__ import annotations

import random

import pytest

from tests.sessions.mirrored import SESSION, Growing, manifest, orphans, reassembled
from tests.sessions.stored import part_key, put_02_session, put_session, stored_manifest
from tests.support.world import World
from tracecraft.records import encode, read
from tracecraft.sessions.compacting import compact
from tracecraft.sessions.finding import Sessions
from tracecraft.sessions.manifest import Manifest
from tracecraft.sessions.upkeep import compact_session, delete_session
from tracecraft.sessions.verifying import repair, verify

two_stores = pytest.mark.parametrize("world", ["folder", "ministack"], indirect=True)
MIRROR = ("session", "mirror", "--harness", "pi", "--no-redact", "--yes")


def mirrored(world: World, flushes: int = 4) -> Growing:
    source = Growing.of(world, "writer")
    for _ in range(flushes):
        source.grow(3)
        world.run("writer", *MIRROR)
    return source


def test_a_whole_session_is_sound(world: World) -> None:
    source = mirrored(world)
    put_02_session(world.open(), [b"a\n", b"b\n"], compacted=1)
    result = world.run("reader", "session", "verify", "--json").json
    assert result["sound"]
    assert [one["without_checksum"] for one in result["sessions"]] == [2, 0]
    assert "2 sessions, all sound" in world.run("reader", "session", "verify", "--repair").out
    assert reassembled(world) == source.data


@two_stores
@pytest.mark.parametrize("damage", ["missing", "corrupt", "cut short", "first", "last", "all"])
def test_what_is_damaged_is_named_and_after_repair_mirrored_anew(world: World, damage: str) -> None:
    source = mirrored(world)
    project, known = world.open(), manifest(world)
    hit = {"first": known.parts[:1], "last": known.parts[-1:], "all": known.parts}.get(damage, known.parts[1:2])
    for part in hit:
        key = part_key(project, known, part)
        if damage == "corrupt":
            project.store.put(key, b"X" + project.store.get(key).data[1:])
        elif damage == "cut short":
            project.store.put(key, project.store.get(key).data[:-1])
        else:
            project.store.delete(key)

    result = world.run("reader", "session", "verify", SESSION[:10], "--json", exits=1).json
    what = damage if damage in ("missing", "corrupt") else "corrupt" if damage == "cut short" else "missing"
    named = [{"key": part_key(project, known, part), "what": what} for part in hit]
    assert result["sessions"][0]["damaged"] == named
    assert manifest(world) == known, "looking changes nothing"
    world.run("reader", "session", "show", SESSION, exits=1)

    told = world.run("fixer", "session", "verify", "--repair", exits=1).out
    assert "session mirror" in told
    left = manifest(world)
    assert [part.uuid for part in left.parts] == [part.uuid for part in known.parts if part not in hit]
    shown = world.run("reader", "session", "show", SESSION, "--raw")
    assert "not whole" in shown.err
    assert shown.out.encode() == b"".join(project.store.get(part_key(project, left, p)).data for p in left.parts)
    assert not world.run("reader", "session", "verify", "--json", exits=1).json["sessions"][0]["damaged"]

    source.grow(1)
    world.run("writer", *MIRROR)
    assert reassembled(world) == source.data
    assert world.run("reader", "session", "verify", "--json").json["sound"]


def test_parts_that_nobody_names_are_no_fault_and_are_swept(folder_world: World) -> None:
    source = mirrored(folder_world)
    project = folder_world.open()
    project.store.put(project.layout.part("pi", SESSION, 9, "0000ffff"), b"left\n")
    shown = folder_world.run("reader", "session", "verify")
    assert "1 part that nobody names" in shown.out
    assert orphans(folder_world)
    assert "swept" in folder_world.run("fixer", "session", "verify", "--repair").out
    assert not orphans(folder_world)
    assert reassembled(folder_world) == source.data


def test_a_manifest_that_cannot_be_read_is_not_sound(folder_world: World) -> None:
    project = folder_world.open()
    project.store.put(project.layout.manifest("pi", "broken"), b"{")
    result = folder_world.run("reader", "session", "verify", exits=1)
    assert "broken/meta.json" in result.err
    assert "cannot be read" in result.out


def test_what_a_generation_before_the_last_misses_is_no_hole(folder_world: World) -> None:
    source = mirrored(folder_world)
    source.path.write_bytes(source.data.replace(b"build", b"BUILD"))
    folder_world.run("writer", *MIRROR)
    project, known = folder_world.open(), manifest(folder_world)
    project.store.delete(part_key(project, known, known.parts[0]))
    folder_world.run("fixer", "session", "verify", "--repair", exits=1)
    assert folder_world.run("reader", "session", "verify", "--json").json["sound"]
    assert reassembled(folder_world) == source.data


def test_overlaps_are_told(folder_world: World) -> None:
    project = folder_world.open()
    known = put_session(project, [b"1\n", b"2\n", b"3\n"])
    known.parts[1].cursor_range = (1, 4)
    project.store.put(project.layout.manifest("pi", known.session_id), encode(known))
    assert "there twice: bytes 1 to 2" in folder_world.run("reader", "session", "verify", exits=1).out


@pytest.mark.parametrize("seed", range(4))
def test_repair_beside_compaction_and_deletion(folder_world: World, seed: int) -> None:
    """What was found is old news by the time it is repaired."""
    project, chance = folder_world.open(), random.Random(seed)
    known = put_session(project, [f"{n}\n".encode() for n in range(12)])
    lost = chance.choice(known.parts)
    project.store.delete(part_key(project, known, lost))
    found = verify(project, Sessions(project).find(known.session_id))
    assert [one.part.uuid for one in found.damaged] == [lost.uuid]

    other = folder_world.open("other")
    restored = f"{known.parts.index(lost)}\n".encode()
    if seed % 2:
        other.store.put(part_key(project, known, lost), restored)
        compact(other, Sessions(other).find(known.session_id))
        after = repair(project, found)
        assert after.is_whole, "somebody put it back and merged it"
        assert len(stored_manifest(folder_world).parts) == 1
    else:
        after = repair(project, found)
        assert not after.is_whole
        assert len(stored_manifest(folder_world).parts) == 11


# Compacting and deleting.


def test_parts_that_somebody_else_merged_are_no_damage(folder_world: World) -> None:
    project = folder_world.open()
    put_session(project, [b'{"n": %d}\n' % n for n in range(6)], session_id=SESSION)
    before = Sessions(project).find(SESSION)
    merged = compact_session(project, before)
    assert len(merged.record.parts) == 1
    assert compact_session(project, before).record.parts == merged.record.parts


@two_stores
def test_compact_merges_what_it_may_and_says_so(world: World) -> None:
    source = mirrored(world, 6)
    assert "6 parts became 3" in world.run("a", "session", "compact", SESSION[:6], "--keep-tail", "2").out
    assert reassembled(world) == source.data
    assert world.run("a", "session", "compact", SESSION, "--json").json["parts"] == 1
    assert "nothing to merge" in world.run("a", "session", "compact", SESSION).out
    assert reassembled(world) == source.data
    source.grow(1)
    world.run("writer", *MIRROR)
    assert reassembled(world) == source.data
    assert len(manifest(world).generations) == 1
    log = world.run("a", "log", "--type", "session.compact", "--json").json["events"]
    assert [(event["agent"], event["subject"]) for event in log] == [("a", SESSION)] * 2


def test_compaction_beside_a_mirrorer_is_repeated_until_it_is_done(folder_world: World) -> None:
    source = mirrored(folder_world)
    project = folder_world.open()
    old = Sessions(project).find(SESSION)
    source.grow(1)
    folder_world.run("writer", *MIRROR)
    assert len(compact_session(project, old).record.parts) == 1
    assert reassembled(folder_world) == source.data


@two_stores
def test_delete_leaves_a_tombstone_that_stops_mirrorers(world: World) -> None:
    source = mirrored(world)
    refused = world.run("a", "session", "delete", SESSION, exits=2)
    assert "nothing was deleted" in refused.err
    assert reassembled(world) == source.data

    assert "4 parts" in world.run("a", "session", "delete", SESSION, "--yes").out
    left = manifest(world)
    assert left.deleted_at
    assert not left.parts
    assert not left.generations
    assert not left.source_path
    assert not orphans(world)
    for command in (("show", SESSION), ("export", SESSION, "--format", "jsonl"), ("compact", SESSION)):
        world.run("a", "session", *command, exits=4)
    assert world.run("a", "session", "list", "--json").json["sessions"] == []
    source.grow(1)
    world.run("writer", *MIRROR, exits=3)

    world.run("a", "session", "delete", SESSION, "--forget", "--yes")
    project = world.open()
    assert read(project.store, project.layout.manifest("pi", SESSION), Manifest) is None
    world.run("writer", *MIRROR)
    assert reassembled(world) == source.data


def test_deleting_again_removes_what_a_killed_deletion_left(folder_world: World) -> None:
    project = folder_world.open()
    known = put_session(project, [b"1\n", b"2\n"])
    assert delete_session(project, Sessions(project).find(known.session_id)) == 2
    project.store.put(part_key(project, known, known.parts[0]), b"1\n")
    deleted = Sessions(project).find(known.session_id, deleted=True)
    assert delete_session(project, deleted) == 1
