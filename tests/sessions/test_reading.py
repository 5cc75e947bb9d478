"""What is read of a mirrored session is what was uploaded, whatever happens to its parts meanwhile."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest

from tests.sessions.stored import (
    SESSION,
    append_generation,
    objects,
    part_key,
    put_02_session,
    put_session,
    said,
    stored_manifest,
)  # fmt: skip
from tests.support.world import World
from tracecraft.errors import Corrupt, Missing
from tracecraft.project import Project
from tracecraft.records import commit
from tracecraft.sessions import fetching, reading
from tracecraft.sessions.compacting import compact
from tracecraft.sessions.finding import Sessions
from tracecraft.sessions.following import Follower
from tracecraft.sessions.harnesses.pi import Pi
from tracecraft.sessions.manifest import Manifest
from tracecraft.sessions.reading import Stream, last_messages, messages
from tracecraft.sessions.splitting import LongLine
from tracecraft.sessions.upkeep import delete_session

two_stores = pytest.mark.parametrize("world", ["folder", "ministack"], indirect=True)
LINES = [said("user", f"line {n} of many") for n in range(60)]


def stream_of(project: Project, name: str = "", given: str = SESSION) -> Stream:
    return Stream(project, Sessions(project).find(given), name)


def pieces(seed: int, lines: Sequence[bytes] = LINES) -> list[bytes]:
    """Lines in parts of several."""
    chance, cut = random.Random(seed), []
    at = 0
    while at < len(lines):
        step = chance.randint(1, 9)
        cut.append(b"".join(lines[at : at + step]))
        at += step
    return cut


@two_stores
@pytest.mark.parametrize("seed", range(3))
def test_the_parts_together_are_the_stream(world: World, seed: int) -> None:
    project = world.open()
    put_session(project, pieces(seed), others={"sub/a.jsonl": [b"a\n", b"b\n"], "notes.txt": [b"no newline"]})
    whole = b"".join(LINES)
    assert b"".join(stream_of(project).chunks()) == whole
    assert b"".join(stream_of(project).chunks(len(whole) - 5)) == whole[-5:]
    assert list(stream_of(project).lines()) == whole.splitlines()
    assert list(stream_of(project, "sub/a.jsonl").lines()) == [b"a", b"b"]
    assert list(stream_of(project, "notes.txt").lines()) == [b"no newline"]
    assert stream_of(project, "notes.txt").is_text
    with pytest.raises(Missing, match="no stream 'x'"):
        stream_of(project, "x")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [1, 3, 59, 60, 1000])
def test_the_last_lines_and_messages(
    folder_world: World, monkeypatch: pytest.MonkeyPatch, seed: int, count: int
) -> None:
    monkeypatch.setattr(reading, "_LAST_BYTES", 100)
    project = folder_world.open()
    ending = b"" if seed % 2 else b"an unfinished line"
    put_session(project, [*pieces(seed), *([ending] if ending else [])])
    whole = b"".join(LINES) + ending
    stream = stream_of(project)
    assert b"".join(stream.chunks(stream.start_of_last(count))) == b"".join(whole.splitlines(keepends=True)[-count:])
    texts = [message.text for message in last_messages(Pi(), stream_of(project), count)]
    assert texts == [f"line {n} of many" for n in range(60)][-count:]


def test_the_tail_reads_only_the_last_parts(folder_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LAST_BYTES", 100)
    project = folder_world.open()
    known = put_session(project, LINES)
    for part in known.parts[:-4]:
        project.store.delete(part_key(project, known, part))
    assert [message.text for message in last_messages(Pi(), stream_of(project), 1)] == ["line 59 of many"]


def test_parts_larger_than_memory_should_hold_are_read_from_a_file(
    folder_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "WAVE", 1000)
    monkeypatch.setattr(fetching, "_CHUNK", 100)
    project = folder_world.open()
    large = b"".join(LINES)
    known = put_session(project, [b"a\n", large, b"z\n"])
    chunks = list(stream_of(project).chunks())
    assert b"".join(chunks) == b"a\n" + large + b"z\n"
    assert max(map(len, chunks)) <= 100
    assert b"".join(stream_of(project).chunks(150)) == (b"a\n" + large + b"z\n")[150:]
    project.store.put(part_key(project, known, known.parts[1]), large[:-1] + b"?")
    with pytest.raises(Corrupt):
        b"".join(stream_of(project).chunks())
    project.store.delete(part_key(project, known, known.parts[1]))
    with pytest.raises(Corrupt):
        b"".join(stream_of(project).chunks())


def test_lines_too_long_to_be_looked_into_are_named(folder_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 200)
    project = folder_world.open()
    put_session(project, [LINES[0], b"x" * 150, b"x" * 150 + b"\n", LINES[1]])
    assert list(stream_of(project).lines()) == [LINES[0][:-1], LongLine(300), LINES[1][:-1]]
    shown = list(messages(Pi(), stream_of(project).lines()))
    assert [message.role for message in shown] == ["user", "system", "user"]
    assert "300 bytes" in shown[1].text


def test_what_is_not_what_was_uploaded_is_never_read(folder_world: World) -> None:
    project = folder_world.open()
    known = put_session(project, [b"one\n", b"two\n", b"three\n"])
    project.store.put(part_key(project, known, known.parts[1]), b"TWO\n")
    with pytest.raises(Corrupt, match="not what was uploaded") as failed:
        list(stream_of(project).chunks())
    assert failed.value.hint == f"tracecraft session verify {SESSION} --repair"


@two_stores
@pytest.mark.parametrize("seed", range(6))
def test_compaction_goes_on_under_a_reader(world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader stands anywhere when the parts it has not read yet become one."""
    monkeypatch.setattr(fetching, "_MOST", 2)
    project = world.open()
    put_session(project, pieces(seed))
    read = []
    for n, chunk in enumerate(stream_of(project).chunks()):
        read.append(chunk)
        if n in (seed, seed + 3):
            other = world.open("other")
            compact(other, Sessions(other).find(SESSION), keep_tail=max(0, 4 - n))
    assert b"".join(read) == b"".join(LINES)
    assert len(objects(world)) < len(pieces(seed)), "it was compacted"


def test_a_session_deleted_under_a_reader_is_missing(folder_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_MOST", 1)
    project = folder_world.open()
    put_session(project, [b"one\n", b"two\n"])
    chunks = stream_of(project).chunks()
    next(chunks)
    delete_session(project, Sessions(project).find(SESSION))
    with pytest.raises(Missing, match="deleted"):
        next(chunks)


# Generations.


def replace_manifest(project: Project, change: Manifest) -> None:
    stored = Sessions(project).find(change.session_id)
    commit(project.store, stored.key, change, stored)


def test_the_newest_generation_of_which_nothing_is_missing_is_read(folder_world: World) -> None:
    project = folder_world.open()
    known = put_session(project, [b"old 1\n", b"old 2\n"])
    append_generation(project, known, [b"new 1\n", b"new 2\n", b"new 3\n"])
    replace_manifest(project, known)
    assert list(stream_of(project).lines()) == [b"new 1", b"new 2", b"new 3"]
    del known.parts[3]
    replace_manifest(project, known)
    assert list(stream_of(project).lines()) == [b"old 1", b"old 2"]
    assert not stream_of(project).gaps()


def test_where_something_is_missing_of_all_the_newest_is_read_and_its_gap_known(folder_world: World) -> None:
    project = folder_world.open()
    known = put_session(project, [b"1\n", b"2\n", b"3\n", b"4\n"])
    del known.parts[3], known.parts[1]
    replace_manifest(project, known)
    stream = stream_of(project)
    assert list(stream.lines()) == [b"1", b"3"]
    assert list(stream.gaps()) == [(2, 4), (6, 8)]


def test_compaction_does_not_hide_a_gap(folder_world: World) -> None:
    project = folder_world.open()
    known = put_session(project, [b"1\n", b"2\n", b"3\n", b"4\n", b"5\n"])
    del known.parts[2]
    replace_manifest(project, known)
    compact(project, Sessions(project).find(SESSION))
    assert [part.span for part in stored_manifest(folder_world).parts] == [(0, 4), (6, 10)]
    assert list(stream_of(project).gaps()) == [(4, 6)]


@two_stores
@pytest.mark.parametrize("compacted", [0, 3])
def test_what_0_2_wrote_is_read(world: World, compacted: int) -> None:
    project = world.open()
    put_02_session(project, pieces(1), compacted=compacted)
    stream = stream_of(project)
    assert b"".join(stream.chunks()) == b"".join(LINES)
    assert not stream.gaps()
    assert stream.g is None


def test_what_0_2_appended_last_is_read(folder_world: World) -> None:
    project = folder_world.open()
    known = put_session(project, [b"ours\n"])
    theirs = msgspec.structs.replace(known.parts[0], seq=1, uuid="0000aaaa", g=None, sha256="", uploaded_bytes=7)
    project.store.put(part_key(project, known, theirs), b"theirs\n")
    replace_manifest(project, msgspec.structs.replace(known, parts=[*known.parts, theirs]))
    assert list(stream_of(project).lines()) == [b"theirs"]


# Following.


def test_a_follower_gets_what_is_appended_and_begins_anew_with_a_new_generation(world: World) -> None:
    project, other = world.open(), world.open("other")
    known = put_session(other, [b"1\n", b"2\n"])
    stream = stream_of(project)
    assert list(stream.lines()) == [b"1", b"2"]
    changes = Follower(project, stream).changes()

    compact(other, Sessions(other).find(SESSION))
    assert next(changes) is False
    assert list(stream.lines()) == [], "compaction changes nothing of what is read"

    known = stored_manifest(world)
    append_generation(other, known, [b"new\n"])
    replace_manifest(other, known)
    assert next(changes) is True
    assert list(stream.lines()) == [b"new"]

    delete_session(other, Sessions(other).find(SESSION))
    with pytest.raises(Missing):
        next(changes)
