"""`restore` puts a session back byte for byte where its harness finds it, and never anything anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sessions.mirrored import SESSION as PI_SESSION
from tests.sessions.mirrored import Growing, reassembled
from tests.sessions.stored import SESSION, part_key, put_session, said, stored_manifest
from tests.sessions.transcripts import claude, codex
from tests.support.world import World

two_stores = pytest.mark.parametrize("world", ["folder", "ministack"], indirect=True)
MIRROR = ("session", "mirror", "--session-id", PI_SESSION, "--yes")


def home(world: World, agent: str) -> Path:
    return Path(world.environment(agent)["HOME"])


def files(folder: Path) -> dict[str, bytes]:
    """The files of agents below a folder, not of ours."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".tracecraft" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def mirror_all(world: World, agent: str) -> None:
    world.run(agent, "session", "mirror", "--all-harnesses", "--yes", "--no-redact")


@two_stores
def test_a_claude_session_goes_on_on_another_machine_in_another_folder(world: World) -> None:
    written = claude.write_claude(home(world, "here"), 50, agents=2)
    mirror_all(world, "here")
    there = world.folder("there")
    restored = world.run("there", "session", "restore", claude.SESSION[:8])
    main = home(world, "there") / ".claude" / "projects" / claude.folder_name(str(there)) / f"{claude.SESSION}.jsonl"
    assert files(main.parent) == files(written.parent)
    assert len(files(main.parent)) == 7
    assert f"to go on: claude --resume {claude.SESSION}" in restored.out
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in main.parent.rglob("*.jsonl"))

    before = stored_manifest(world, claude.SESSION, "claude-code")
    mirror_all(world, "there")
    after = stored_manifest(world, claude.SESSION, "claude-code")
    assert [made.end for made in after.generations] == [made.end for made in before.generations], "nothing is twice"
    assert len(after.parts) == len(before.parts)
    log = world.run("there", "log", "--type", "session.restore", "--json").json["events"]
    assert [(event["agent"], event["subject"]) for event in log] == [("there", claude.SESSION)]


@two_stores
def test_a_codex_session_goes_on_on_another_machine(world: World) -> None:
    written = codex.write_codex(home(world, "here"), 50)
    mirror_all(world, "here")
    folder = world.folder("elsewhere")
    result = world.run("there", "session", "restore", codex.SESSION, "--cwd", str(folder), "--json").json
    path = home(world, "there") / written.relative_to(home(world, "here"))
    assert result["path"] == str(path)
    assert path.read_bytes() == written.read_bytes()
    assert result["resume"] == f"cd {folder} && codex resume {codex.SESSION}"


def test_a_restored_copy_without_secrets_is_told_from_a_rewritten_source(folder_world: World) -> None:
    world, source = folder_world, Growing.of(folder_world, "here")
    source.grow(3)
    source.write({"type": "message", "text": "postgres://ada:Tr0ub4dor-and-3@db.example.org/shop"})
    source.grow(3)
    first = world.run("here", *MIRROR, "--json").json["sessions"][0]
    assert first["redactions"]
    source.path.unlink()
    restored = Path(world.run("here", "session", "restore", PI_SESSION, "--json").json["path"])
    with open(restored, "ab") as file:
        file.write(said("user", "and on"))
    told = world.run("here", *MIRROR).out
    assert "restored copy" in told
    assert "rewritten" not in told
    assert reassembled(world) == restored.read_bytes()
    restored.write_bytes(beginning_of(restored, 2) + said("user", "something else"))
    again = world.run("here", *MIRROR, "--json").json["sessions"][0]
    assert (again["anew"], again["copies"]) == ([""], [])


def beginning_of(path: Path, lines: int) -> bytes:
    """The first so many lines of a file."""
    return b"".join(path.read_bytes().splitlines(keepends=True)[:lines])


def test_a_file_of_other_content_is_never_overwritten(folder_world: World) -> None:
    world = folder_world
    main = claude.write_claude(home(world, "here"), 20, agents=1, cwd=str(world.folder("here")))
    mirror_all(world, "here")
    again = world.run("here", "session", "restore", claude.SESSION, "--json").json
    assert sorted(again["unchanged"]) == sorted(again["files"])

    agent = next(main.parent.rglob("agent-*.jsonl"))
    agent.write_bytes(b"mine\n")
    main.unlink()
    before = files(main.parent)
    refused = world.run("here", "session", "restore", claude.SESSION, "--json", exits=3)
    assert refused.error["path"] == str(agent)
    assert "--to" in refused.error["hint"]
    assert files(main.parent) == before
    assert not main.exists()


def test_all_files_come_or_none(folder_world: World) -> None:
    project = folder_world.open()
    known = put_session(project, [said("user", "hello")], others={"a/b.txt": [b"text"], "c.txt": [b"lost"]})
    project.store.delete(part_key(project, known, known.parts[-1]))
    target = folder_world.root / "target"
    folder_world.run("a", "session", "restore", SESSION, "--to", str(target), exits=1)
    assert not target.exists()
    target.mkdir()
    folder_world.run("a", "session", "restore", SESSION, "--to", str(target), exits=1)
    assert not list(target.iterdir())


def test_into_a_folder_everything_can_be_restored(folder_world: World) -> None:
    project = folder_world.open()
    lines = [said("user", "hello"), said("assistant", "hi")]
    put_session(project, lines, harness="not-here", others={"a/b.txt": [b"x"]}, redactions={"aws-key": 2, "jwt": 1})
    refused = folder_world.run("a", "session", "restore", SESSION, "--json", exits=2)
    assert "--to PATH" in refused.error["hint"]
    target = folder_world.root / "target"
    told = folder_world.run("a", "session", "restore", SESSION, "--to", str(target)).out
    assert files(target) == {f"{SESSION}.jsonl": b"".join(lines), f"{SESSION}/a/b.txt": b"x"}
    assert "redacted, so not in it: aws-key 6, jwt 3" in told
    assert "to go on" not in told
    assert "was there already" in folder_world.run("a", "session", "restore", SESSION, "--to", str(target)).out


def test_harnesses_that_take_no_files_are_named(folder_world: World) -> None:
    put_session(folder_world.open(), [b"{}\n"], harness="hermes")
    refused = folder_world.run("a", "session", "restore", SESSION, "--json", exits=2)
    assert "hermes" in refused.error["message"]
    assert "--to PATH" in refused.error["hint"]


def test_what_is_missing_in_the_store_is_told(folder_world: World) -> None:
    project = folder_world.open()
    known = put_session(project, [b"1\n", b"2\n", b"3\n"])
    project.store.delete(part_key(project, known, known.parts[1]))
    folder_world.run("a", "session", "verify", "--repair", exits=1)
    target = folder_world.root / "target"
    assert "not whole" in folder_world.run("a", "session", "restore", SESSION, "--to", str(target)).out
    assert files(target) == {f"{SESSION}.jsonl": b"1\n3\n"}


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "a/./x", "..", "a//x", "a/\x00", "a/\x1b[2J", "subagents/../../../x"]
)
@pytest.mark.parametrize("harness", ["claude-code", "not-here"])
def test_names_of_streams_lead_nowhere_else(folder_world: World, name: str, harness: str) -> None:
    put_session(folder_world.open(), [b"{}\n"], harness=harness, others={name: [b"evil\n"]})
    target = folder_world.root / "target"
    to = ["--to", str(target)] if harness == "not-here" else []
    before = files(folder_world.root)
    refused = folder_world.run("a", "session", "restore", SESSION, *to, exits=2)
    assert "nothing was written" in refused.err
    assert "\x1b" not in refused.err
    assert files(folder_world.root) == before
    assert not target.exists()


@pytest.mark.parametrize("linked", ["folder", "inner folder", "file", "main file"])
def test_symbolic_links_are_not_followed(folder_world: World, linked: str) -> None:
    put_session(folder_world.open(), [b"{}\n"], others={"a/x.jsonl": [b"evil\n"]})
    target, elsewhere = folder_world.root / "target", folder_world.root / "elsewhere"
    elsewhere.mkdir()
    link = {
        "folder": target / SESSION,
        "inner folder": target / SESSION / "a",
        "file": target / SESSION / "a" / "x.jsonl",
        "main file": target / f"{SESSION}.jsonl",
    }[linked]
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    folder_world.run("a", "session", "restore", SESSION, "--to", str(target), exits=2)
    assert not list(elsewhere.iterdir())
    assert not [path for path in target.rglob("*") if path.is_file()]


def test_streams_that_are_one_file_are_refused(folder_world: World) -> None:
    others = {"agent-1.jsonl": [b"evil\n"]}
    put_session(folder_world.open(), [b"{}\n"], session_id="agent-1", harness="claude-code", others=others)
    refused = folder_world.run("a", "session", "restore", "agent-1", exits=2)
    assert "one file" in refused.err
    assert not files(home(folder_world, "a"))
