"""Sessions that one program mirrored are listed and shown by the other, on one bucket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.interop.conftest import Peer
from tests.sessions.mirrored import manifest
from tests.sessions.transcripts import claude
from tests.support.world import World

MIRROR = ("session", "mirror", "--harness", "claude-code", "--no-redact", "--yes")


def their_home(peer: Peer) -> Path:
    return Path(peer.environment()["HOME"])


def our_home(world: World) -> Path:
    return Path(world.environment("ours")["HOME"])


def shown(world: World, *choices: str) -> list[Any]:
    out = world.run("ours", "session", "show", claude.SESSION, "--json", *choices).out
    return [json.loads(line) for line in out.splitlines()]


def mirror_theirs(peer: Peer, count: int) -> bytes:
    main = claude.write_claude(their_home(peer), count, cwd=str(peer.folder("theirs")))
    peer.run("theirs", "session", "mirror", "--no-redact")
    return main.read_bytes()


def test_what_they_mirror_we_list_show_search_and_export(world: World, peer: Peer) -> None:
    data = b""
    for count in (10, 25, 40):
        data = mirror_theirs(peer, count)
    for _ in ("as it is", "compacted"):
        listed = world.run("ours", "session", "list", "--json").json["sessions"]
        assert [(one["harness"], one["session_id"], one["size"]) for one in listed] == [
            ("claude-code", claude.SESSION, len(data))
        ]
        said = shown(world)
        assert {message["role"] for message in said} >= {"user", "assistant"}
        assert shown(world, "--tail", "2") == said[-2:]
        assert world.run("ours", "session", "show", claude.SESSION, "--raw").out.encode() == data
        assert world.run("ours", "session", "export", claude.SESSION, "--format", "jsonl").out.encode() == data
        word = next(word for message in said for word in message.get("text", "").split() if word.isascii())
        assert claude.SESSION[:8] in world.run("ours", "session", "search", word).out
        assert world.run("ours", "session", "stats", claude.SESSION, "--json").json["messages"]["assistant"] > 1
        assert world.run("ours", "session", "verify", "--json").json["sound"]
        peer.run("theirs", "session", "compact", claude.SESSION)

    target = world.root / "target"
    world.run("ours", "session", "restore", claude.SESSION, "--to", str(target))
    assert (target / f"{claude.SESSION}.jsonl").read_bytes() == data


def test_what_we_mirror_they_list_and_show(world: World, peer: Peer) -> None:
    main = claude.write_claude(our_home(world), 30, cwd=str(world.folder("ours")))
    world.run("ours", *MIRROR)
    assert claude.SESSION[:8] in peer.run("theirs", "session", "list").out
    tail = peer.run("theirs", "session", "show", claude.SESSION, "--tail", "3").out.partition("--- tail ---\n")[2]
    assert tail.encode() == b"".join(main.read_bytes().splitlines(keepends=True)[-3:])

    claude.write_claude(our_home(world), 45, cwd=str(world.folder("ours")))
    world.run("ours", *MIRROR)
    peer.run("theirs", "session", "compact", claude.SESSION)
    assert world.run("ours", "session", "show", claude.SESSION, "--raw").out.encode() == main.read_bytes()
    assert world.run("ours", "session", "verify", "--json").json["sound"]

    claude.write_claude(our_home(world), 50, cwd=str(world.folder("ours")))
    world.run("ours", *MIRROR)
    assert world.run("ours", "session", "show", claude.SESSION, "--raw").out.encode() == main.read_bytes()


def test_both_mirror_one_session(world: World, peer: Peer) -> None:
    """Theirs is not continued: ours begins anew, and is what is shown."""
    data = mirror_theirs(peer, 20)
    folder = our_home(world) / ".claude" / "projects" / claude.folder_name(str(world.folder("ours")))
    folder.mkdir(parents=True)
    (folder / f"{claude.SESSION}.jsonl").write_bytes(data)
    world.run("ours", *MIRROR, "--session-id", claude.SESSION)
    known = manifest(world, claude.SESSION, "claude-code")
    assert [made.end for made in known.generations] == [len(data)]
    assert world.run("ours", "session", "show", claude.SESSION, "--raw").out.encode() == data

    data = mirror_theirs(peer, 30)
    assert (
        world.run("ours", "session", "show", claude.SESSION, "--tail", "1", "--raw").out.encode()
        == (data.splitlines(keepends=True)[-1])
    )


def test_what_we_deleted_they_no_longer_show(world: World, peer: Peer) -> None:
    claude.write_claude(our_home(world), 10, cwd=str(world.folder("ours")))
    world.run("ours", *MIRROR)
    world.run("ours", "session", "delete", claude.SESSION, "--yes", "--forget")
    peer.run("theirs", "session", "show", claude.SESSION, exits=1)
    assert claude.SESSION[:8] not in peer.run("theirs", "session", "list").out
