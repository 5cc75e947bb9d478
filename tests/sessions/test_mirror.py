"""`session mirror`: the transcript in the store is the one on disk, once, whatever happens to either."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sessions.flushing import mirror_of
from tests.sessions.killing import killed
from tests.sessions.mirrored import SESSION, Growing, manifest, orphans, reassembled
from tests.support.faults import Moment
from tests.support.proxy import Answer, Proxy
from tests.support.s3 import Endpoint, make_bucket
from tests.support.world import World, finish
from tracecraft.errors import Denied
from tracecraft.records import encode
from tracecraft.sessions.bookmarks import Bookmarks
from tracecraft.sessions.manifest import Manifest, Part

ROOT = Path(__file__).parents[2]
MIRROR = ("session", "mirror", "--harness", "pi", "--no-redact", "--yes")
BOTH: tuple[Moment, ...] = ("before", "after")
MOST = 200
"""No flush makes so many requests."""


def forget(world: World, agent: str) -> None:
    """Delete what the agent's machine remembers of the project."""
    shutil.rmtree(Path(world.environment(agent)["HOME"], ".tracecraft"))


def dying(world: World, unit: str, n: int, moment: Moment) -> subprocess.CompletedProcess[bytes]:
    """Mirror, killed at the n-th write or call to a folder."""
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.dying", unit, str(n), moment, *MIRROR],
        cwd=world.folder("writer"),
        env=world.environment("writer", PYTHONPATH=str(ROOT)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_what_is_written_is_mirrored_byte_for_byte(world: World) -> None:
    source = Growing.of(world, "writer")
    for lines in (3, 0, 40, 1):
        source.grow(lines)
        world.run("writer", *MIRROR)
        assert reassembled(world) == source.data
    known = manifest(world)
    assert (known.harness, known.session_id, known.cwd) == ("pi", SESSION, str(source.cwd))
    assert known.total_source_bytes == known.total_uploaded_bytes == len(source.data)
    assert len(known.parts) == 3, "nothing new makes no part"
    assert [made.end for made in known.generations] == [len(source.data)]
    assert known.agent_id == "writer"


def test_only_whole_lines_leave_the_machine(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    source.add(b'{"type": "message", "half')
    world.run("writer", *MIRROR)
    assert reassembled(world) == source.whole_lines != source.data
    source.add(b' a line"}\n{"broken \xff line\n\x00\x00\x00\n\r\n')
    world.run("writer", *MIRROR)
    assert reassembled(world) == source.data


def test_few_new_bytes_may_wait(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    world.run("writer", *MIRROR)
    before = reassembled(world)
    source.grow(1)
    world.run("writer", *MIRROR, "--min-bytes", "100000")
    assert reassembled(world) == before
    world.run("writer", *MIRROR, "--min-bytes", "10")
    assert reassembled(world) == source.data


@pytest.mark.parametrize("how", ["truncated", "rewritten", "replaced", "edited in place"])
@pytest.mark.parametrize("remembers", [True, False])
def test_a_source_that_was_rewritten_begins_a_generation(folder_world: World, how: str, remembers: bool) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    source.grow(20)
    world.run("writer", *MIRROR)
    first = source.data
    lines = first.splitlines(keepends=True)
    changed = {
        "truncated": b"".join(lines[:7]),
        "rewritten": b"".join([lines[0], b'{"type": "message", "id": "other"}\n', *lines[2:]]),
        "replaced": b"".join([lines[0], *lines[:0:-1]]),
        "edited in place": first.replace(b"build", b"BUILD", 1),
    }[how]
    if how == "replaced":
        source.path.unlink()
    source.path.write_bytes(changed)
    if not remembers:
        forget(world, "writer")
    result = world.run("writer", *MIRROR, "--json").json["sessions"][0]
    assert result["anew"] == [""]
    assert reassembled(world) == changed
    assert reassembled(world, g=1) == first, "what was mirrored before is kept"
    source.grow(2)
    world.run("writer", *MIRROR)
    assert reassembled(world) == source.data
    assert len(manifest(world).generations) == 2


@pytest.mark.parametrize("copied", [False, True])
def test_without_local_state_the_mirror_goes_on(world: World, copied: bool) -> None:
    """Also for a file that was copied, so that its inode is another one."""
    source = Growing.of(world, "writer")
    for _ in range(3):
        source.grow(5)
        world.run("writer", *MIRROR)
        forget(world, "writer")
        if copied:
            shutil.copy(source.path, source.path.with_suffix(".copy"))
            os.replace(source.path.with_suffix(".copy"), source.path)
    assert reassembled(world) == source.data
    known = manifest(world)
    assert [made.g for made in known.generations] == [1]
    assert len(known.parts) == 3


def test_many_mirrorers_at_once_make_one_transcript(world: World) -> None:
    source = Growing.of(world, "writer")
    for _ in range(4):
        source.grow(30)
        finish([world.start("writer", *MIRROR) for _ in range(4)])
        assert reassembled(world) == source.data
    assert [made.g for made in manifest(world).generations] == [1]
    assert not orphans(world)


def test_two_machines_with_diverging_copies_do_not_fight(folder_world: World) -> None:
    world, here = folder_world, Growing.of(folder_world, "here")
    here.grow(5)
    world.run("here", *MIRROR)
    there = Growing.of(world, "there")
    shutil.copy(here.path, there.path)
    there.grow(3)
    world.run("there", "session", "mirror", "--session-id", SESSION, *MIRROR[2:])
    assert [made.g for made in manifest(world).generations] == [1], "a copy that went on is the same source"
    here.seed = 100
    here.grow(4)
    for _ in range(3):
        here.grow(1)
        world.run("here", *MIRROR)
        there.grow(1)
        world.run("there", "session", "mirror", "--session-id", SESSION, *MIRROR[2:])
    assert [made.g for made in manifest(world).generations] == [1, 2]
    assert {reassembled(world, g=1), reassembled(world, g=2)} == {here.data, there.data}


def test_killed_at_every_request(ministack_endpoint: Endpoint, tmp_path: Path) -> None:
    """Killed at its first request, its second and so on, before or after the server has it, while the source grows."""
    make_bucket(ministack_endpoint, "crash-mirror")
    direct = World.in_bucket(tmp_path, ministack_endpoint, "crash-mirror")
    source = Growing.of(direct, "writer")
    survived = 0
    for n in range(1, MOST):
        for moment in BOTH:
            source.grow(2)
            if n % 2:
                source.add(b'{"half": ')
            with Proxy(ministack_endpoint.url) as proxy:
                through = World.in_bucket(tmp_path, ministack_endpoint, "crash-mirror", through=proxy.url)
                survived += not killed(through, "writer", proxy, n, moment, *MIRROR)
            if n % 2:
                source.add(b'"line"}\n')
            if n % 5 == 0:
                forget(direct, "writer")
            if n % 3 == 0:
                direct.run("writer", *MIRROR)
                assert reassembled(direct) == source.data
                assert not orphans(direct)
        if survived > 3:
            break
    assert n > 4, "it was killed at some requests"
    direct.run("writer", *MIRROR)
    assert reassembled(direct) == source.data
    assert not orphans(direct)
    assert [made.g for made in manifest(direct).generations] == [1]


@pytest.mark.parametrize("unit", ["write", "call"])
def test_killed_at_every_write_to_a_folder(folder_world: World, unit: str) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    world.open("setup").probe()
    for n in range(1, MOST):
        source.grow(2)
        died = dying(world, unit, n, BOTH[n % 2])
        if n % 4 == 0:
            forget(world, "writer")
        if died.returncode == 0:
            break
        assert died.returncode == -signal.SIGKILL, died.stderr
    assert n > 3
    world.run("writer", *MIRROR)
    assert reassembled(world) == source.data
    assert [made.g for made in manifest(world).generations] == [1]
    assert not orphans(world)


def test_killed_while_it_compacts(tmp_path: Path) -> None:
    """At its first write to the store, its second and so on, of a flush that merges sixteen parts."""
    left = []
    for n in range(1, MOST):
        world = World.in_folder(tmp_path / str(n))
        source = Growing.of(world, "writer")
        mirror = mirror_of(world.open("writer"), source)
        for _ in range(15):
            source.grow(1)
            mirror.flush()
        source.grow(1)
        died = dying(world, "write", n, "after")
        left.append(len(orphans(world)))
        source.grow(1)
        world.run("writer", *MIRROR)
        assert reassembled(world) == source.data
        assert not orphans(world)
        if died.returncode == 0:
            break
    assert max(left) > 10, "it was killed when it had merged them"


def test_parts_that_nobody_names_are_swept(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    world.run("writer", *MIRROR)
    project = world.open()
    lost = project.layout.part("pi", SESSION, 7, "deadbeef")
    project.store.put(lost, b"{}\n")
    forget(world, "writer")
    source.grow(1)
    world.run("writer", *MIRROR)
    assert not orphans(world)
    assert reassembled(world) == source.data


@pytest.mark.parametrize("first", [True, False])
def test_a_flush_that_failed_leaves_nothing_behind(ministack_endpoint: Endpoint, tmp_path: Path, first: bool) -> None:
    """The part is up when the store refuses its manifest; the same mirror tries again later, as a follower does."""
    bucket = f"failed-flush-{first}".lower()
    make_bucket(ministack_endpoint, bucket)
    with Proxy(ministack_endpoint.url) as proxy:
        world = World.in_bucket(tmp_path, ministack_endpoint, bucket, through=proxy.url)
        source = Growing.of(world, "writer")
        mirror = mirror_of(world.open("writer"), source)
        if not first:
            mirror.flush()
            source.grow(1)
        proxy.fault(lambda request: request.method == "PUT" and request.key.endswith("meta.json"), Answer(403))
        with pytest.raises(Denied):
            mirror.flush()
        source.grow(1)
        mirror.flush()
        assert reassembled(world) == source.data
        assert not orphans(world)


def test_a_source_that_is_known_again_by_its_content_is_compared_once(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    source.grow(3)
    world.run("writer", *MIRROR)
    forget(world, "writer")
    world.run("writer", *MIRROR)
    generation = manifest(world).generations[0]
    bookmarks = Bookmarks(world.open("writer").local, "pi", SESSION)
    assert bookmarks.find("", generation.g, generation.end)


def test_parts_stay_few(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    project = world.open("writer")
    mirror = mirror_of(project, source)
    for _ in range(150):
        source.grow(1)
        mirror.flush()
    assert reassembled(world) == source.data
    assert len(manifest(world).parts) < 40
    assert not orphans(world)
    totals = manifest(world)
    assert totals.total_source_bytes == len(source.data)
    assert sum(part.lines for part in totals.parts) == source.data.count(b"\n")


def test_a_session_that_0_2_x_wrote_is_mirrored_anew(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    source.grow(3)
    project = world.open()
    key = project.layout.manifest("pi", SESSION)
    theirs = Part(seq=0, uuid="0123abcd", cursor_range=(0, 10), source_bytes=10, uploaded_bytes=10)
    project.store.put(project.layout.part("pi", SESSION, 0, "0123abcd"), b'{"by": 2}\n')
    project.store.put(key, encode(Manifest(harness="pi", session_id=SESSION, parts=[theirs])))
    world.run("writer", *MIRROR)
    assert reassembled(world) == source.data
    assert [part.g for part in manifest(world).parts] == [None, 1]
    source.grow(3)
    world.run("writer", *MIRROR)
    assert [part.g for part in manifest(world).parts] == [None, 1, 1]
    assert reassembled(world) == source.data


def test_a_long_line_is_one_part(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    source.write({"type": "message", "text": "x" * 20_000_000})
    source.grow(1)
    world.run("writer", *MIRROR)
    assert reassembled(world) == source.data


def test_a_store_that_others_can_read_must_be_wanted(folder_world: World) -> None:
    source = Growing.of(folder_world, "writer")
    source.grow(1)
    folder_world.run("writer", *MIRROR[:-1])
    assert reassembled(folder_world) == source.data


def test_an_open_server_must_be_wanted(ministack_endpoint: Endpoint, tmp_path: Path) -> None:
    """ministack lets everybody in."""
    make_bucket(ministack_endpoint, "open-to-all")
    world = World.in_bucket(tmp_path, ministack_endpoint, "open-to-all")
    source = Growing.of(world, "writer")
    refused = world.run("writer", *MIRROR[:-1], "--json", exits=2)
    assert "without credentials" in refused.error["message"]
    assert not list(world.open().store.list("demo/sessions/"))
    world.run("writer", *MIRROR)
    world.run("writer", *MIRROR[:-1])
    assert reassembled(world) == source.data


def test_a_private_bucket_needs_no_consent(ceph_endpoint: Endpoint, tmp_path: Path) -> None:
    make_bucket(ceph_endpoint, "test-private-mirror")
    world = World.in_bucket(tmp_path, ceph_endpoint, "test-private-mirror")
    source = Growing.of(world, "writer")
    world.run("writer", *MIRROR[:-1])
    assert reassembled(world) == source.data


def test_the_session_of_this_folder_is_found(folder_world: World) -> None:
    world = folder_world
    missing = world.run("writer", "session", "mirror", "--no-redact", "--json", exits=4)
    assert "no session" in missing.error["message"]
    Growing.of(world, "writer")
    other = replace(Growing.of(world, "writer", "0190c0de-0000-7000-8000-000000000002"), seed=5)
    other.grow(1)
    os.utime(other.path, (2_000_000_000, 2_000_000_000))
    found = world.run("writer", "session", "mirror", "--no-redact", "--json").json["sessions"]
    assert [(done["harness"], done["session_id"]) for done in found] == [("pi", "0190c0de-0000-7000-8000-000000000002")]
    both = world.run("writer", "session", "mirror", "--no-redact", "--all", "--json").json["sessions"]
    assert len(both) == 2
    unclear = world.run("writer", "session", "mirror", "--session-id", "0190c0de", "--no-redact", "--json", exits=2)
    assert "2 sessions begin with" in unclear.error["message"]
