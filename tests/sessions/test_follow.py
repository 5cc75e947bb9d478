"""`session mirror --follow`: what is written is in the store a moment later, and nothing is asked of the store else."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.sessions.mirrored import SESSION, Growing, manifest, reassembled
from tests.sessions.transcripts.claude import SESSION as CLAUDE_SESSION
from tests.sessions.transcripts.claude import write_claude
from tests.support.proxy import Proxy
from tests.support.s3 import Endpoint, make_bucket
from tests.support.streams import streaming, until
from tests.support.world import World

FOLLOW = ("session", "mirror", "--harness", "pi", "--no-redact", "--yes", "--follow", "--json")


def told_of_sessions(world: World) -> list[tuple[str, str]]:
    """The events of sessions and who wrote them."""
    told = (entry.name for entry in world.open().events.timeline())
    return [(name.type, name.agent) for name in told if name.type.startswith("session.")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_lines_are_mirrored_as_they_are_written(world: World, number: signal.Signals) -> None:
    source = Growing.of(world, "writer")
    with streaming(world, "writer", *FOLLOW) as follower:
        assert follower.json()["source_bytes"] == len(source.data)
        for _ in range(3):
            source.grow(2)
            assert follower.json()["session_id"] == SESSION
            assert reassembled(world) == source.data
        assert manifest(world).ended_at is None
        source.grow(1)
        os.kill(follower.process.pid, number)
        assert follower.process.wait(60) == 0, follower.errors
    assert reassembled(world) == source.data, "what was written before the end is mirrored"
    assert manifest(world).ended_at
    assert told_of_sessions(world) == [("session.start", "writer"), ("session.end", "writer")]


def test_an_unfinished_line_waits(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    with streaming(world, "writer", *FOLLOW) as follower:
        follower.json()
        source.add(b'{"type": "message", ')
        source.add(b'"id": "1"}\n{"type"')
        follower.json()
        assert reassembled(world) == source.whole_lines
        assert follower.interrupt() == 0
    assert reassembled(world) == source.whole_lines


def test_every_session_and_those_that_begin_later(folder_world: World) -> None:
    world = folder_world
    ids = [f"0190c0de-0000-7000-8000-{n:012d}" for n in range(40)]
    sources = {name: Growing.of(world, "writer", name) for name in ids[:30]}
    with streaming(world, "writer", *FOLLOW, "--all") as follower:
        for _ in sources:
            follower.json()
        sources |= {name: Growing.of(world, "writer", name) for name in ids[30:]}
        for source in sources.values():
            source.grow(3)
        until(
            lambda: all(_is_mirrored(world, name, source) for name, source in sources.items()),
            "every session is mirrored",
        )
        assert follower.interrupt() == 0
    assert all(manifest(world, name).ended_at for name in ids)


def test_a_store_that_is_away_is_waited_for(ministack_endpoint: Endpoint, tmp_path: Path) -> None:
    make_bucket(ministack_endpoint, "follow-away")
    direct = World.in_bucket(tmp_path, ministack_endpoint, "follow-away")
    source = Growing.of(direct, "writer")
    with Proxy(ministack_endpoint.url) as proxy:
        through = World.in_bucket(tmp_path, ministack_endpoint, "follow-away", through=proxy.url)
        with streaming(through, "writer", *FOLLOW) as follower:
            follower.json()
            proxy.down = True
            source.grow(5)
            until(lambda: any("store is away" in line for line in follower.errors), "the outage is told")
            source.grow(5)
            proxy.down = False
            until(lambda: reassembled(direct) == source.data, "everything is mirrored")
            until(lambda: any("store is back" in line for line in follower.errors), "that it is back is told")
            assert follower.interrupt() == 0
    assert [made.g for made in manifest(direct).generations] == [1]


def test_nothing_is_requested_while_nothing_is_written(ministack_endpoint: Endpoint, tmp_path: Path) -> None:
    make_bucket(ministack_endpoint, "follow-idle")
    with Proxy(ministack_endpoint.url) as proxy:
        world = World.in_bucket(tmp_path, ministack_endpoint, "follow-idle", through=proxy.url)
        source = Growing.of(world, "writer")
        other = Growing.of(world, "writer", "0190c0de-0000-7000-8000-000000000002")
        with streaming(world, "writer", *FOLLOW, "--all") as follower:
            follower.json()
            follower.json()
            source.grow(1)
            follower.json()
            other.grow(1)
            follower.json()
            proxy.clear()
            # A file that nobody asked for is a sign of life without anything to mirror.
            for n in range(3):
                (source.path.parent / f"{n}.txt").write_text("no session")
            follower.process.poll()
            until(lambda: _idle_for(proxy, 4.0), "an idle follower")
            writes = [request for request in proxy.requests if request.method == "PUT" and "sessions/" in request.key]
            assert writes == []
            assert follower.interrupt() == 0


def _idle_for(proxy: Proxy, seconds: float) -> bool:
    import time

    time.sleep(seconds)  # what is tested is that nothing happens meanwhile
    return True


def test_a_session_that_is_stopped_elsewhere_is_followed_no_longer(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    with streaming(world, "writer", *FOLLOW) as follower:
        follower.json()
        stopped = world.run("other", "session", "stop", SESSION[:8], "--json").json
        assert stopped["session_id"] == SESSION
        source.grow(1)
        assert follower.process.wait(60) == 0, follower.errors
    assert manifest(world).ended_at
    assert told_of_sessions(world)[1:] == [("session.end", "other")], "it is told once, by whoever stopped it"
    world.run("writer", *FOLLOW[:6])
    assert reassembled(world) == source.data
    assert manifest(world).ended_at is None, "mirroring it again takes the end back"


def test_a_transcript_that_is_removed_stays_mirrored(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "writer")
    source.grow(3)
    data = source.data
    with streaming(world, "writer", *FOLLOW) as follower:
        follower.json()
        source.path.unlink()
        (source.path.parent / "something").touch()
        source.path.with_suffix("").mkdir()
        until(lambda: follower.process.poll() is not None or _touch(source.path.parent), "the end")
        assert follower.process.wait(60) == 0, follower.errors
    assert reassembled(world) == data


def _touch(folder: Path) -> bool:
    (folder / "something").write_text("x")
    return False


def _is_mirrored(world: World, name: str, source: Growing) -> bool:
    try:
        return reassembled(world, name) == source.data
    except AssertionError:
        return False


def test_the_agent_is_alive_while_its_harness_is(folder_world: World) -> None:
    """Though its transcript does not grow. Claude Code keeps a file for each process that works on a session."""
    world, project = folder_world, folder_world.open()
    home = Path(world.environment("writer")["HOME"])
    write_claude(home, 20, cwd=str(world.folder("writer")))
    world.run("writer", "session", "mirror", "--no-redact")
    registry = home / ".claude" / "sessions" / f"{os.getpid()}.json"
    registry.parent.mkdir()
    registry.write_text(json.dumps({"pid": os.getpid(), "sessionId": CLAUDE_SESSION}))
    project.store.delete(project.layout.agent("writer"))
    shutil.rmtree(home / ".tracecraft")
    with streaming(world, "writer", "session", "mirror", "--no-redact", "--follow") as follower:
        until(lambda: project.agents.get("writer"), "a heartbeat")
        assert follower.interrupt() == 0
    assert len(manifest(world, CLAUDE_SESSION, "claude-code").generations) == 1
