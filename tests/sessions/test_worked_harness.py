"""The worked example of docs/harnesses.md: installed as a package of somebody else, used by the real program."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks
from tests.sessions.mirrored import manifest
from tests.support.world import World

PAGE = ROOT / "docs" / "harnesses.md"
GROUP = "tracecraft.harnesses"
SESSION = "7505c804-polly"


def write(path: Path, *records: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(json.dumps(record).encode() + b"\n" for record in records))


def package(root: Path, *, skims: bool) -> str:
    """A folder to import from in which the package of the page is installed; nothing is downloaded."""
    module, skimmed = (block.text for block in blocks(PAGE) if block.language == "python")
    if skims:
        module = f"{module}\n\n{skimmed}\n\nParrot.skimmed = Skimmed\n"
    (described,) = (tomllib.loads(block.text) for block in blocks(PAGE) if block.language == "toml")
    project = described["project"]
    points = project["entry-points"][GROUP]
    (root / "parrot_harness.py").write_text(module)
    info = root / f"parrot_harness-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n" + "".join(f"{name} = {to}\n" for name, to in points.items()))
    return str(root)


@pytest.fixture(params=[False, True], ids=["whole", "skimmed"])
def installed(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    root = tmp_path / "site-packages"
    root.mkdir()
    return package(root, skims=request.param)


@pytest.fixture
def chat(folder_world: World) -> Path:
    path = Path(folder_world.environment("polly")["HOME"], ".parrot", "chats", f"{SESSION}.jsonl")
    write(
        path,
        {
            "kind": "begin",
            "folder": str(folder_world.folder("polly")),
            "model": "macaw-2",
            "time": "2026-05-01T10:00:00Z",
        },
        {"kind": "typed", "text": "which files are there?", "time": "2026-05-01T10:00:01Z"},
        {
            "kind": "answered",
            "id": "a1",
            "calls": [{"id": "c1", "tool": "ls", "input": {"path": "."}}],
            "tokens_out": 7,
        },
        {"kind": "ran", "call": "c1", "tool": "ls", "text": "no such folder", "ok": False},
        {"kind": "preened"},
    )
    return path


def stored(world: World) -> bytes:
    project, known = world.open(), manifest(world, SESSION, "parrot")
    keys = [project.layout.part("parrot", SESSION, part.seq, part.uuid) for part in known.latest("")]
    return b"".join(project.store.get(key).data for key in keys)


@pytest.mark.parametrize("choice", [("--harness", "parrot"), ()], ids=["named", "found"])
def test_its_sessions_are_mirrored(folder_world: World, installed: str, chat: Path, choice: tuple[str, ...]) -> None:
    for _ in range(3):
        folder_world.run("polly", "session", "mirror", *choice, "--no-redact", PYTHONPATH=installed)
        assert stored(folder_world) == chat.read_bytes()
        write(chat, {"kind": "answered", "id": "a2", "text": "none", "tokens_in": 5, "tokens_out": 3})
    assert manifest(folder_world, SESSION, "parrot").cwd == str(folder_world.folder("polly"))


def test_without_the_package_the_harness_is_not_known(folder_world: World, chat: Path) -> None:
    refused = folder_world.run("polly", "session", "mirror", "--harness", "parrot", "--json", exits=2)
    assert "no harness is called 'parrot'" in refused.error["message"]
    folder_world.run("polly", "session", "mirror", exits=4)


def test_its_records_are_understood(folder_world: World, installed: str, chat: Path) -> None:
    write(chat, {"kind": "answered", "id": "a2", "text": "none", "tokens_in": 5, "tokens_out": 3})
    folder_world.run("polly", "session", "mirror", PYTHONPATH=installed)
    shown = folder_world.run("polly", "session", "show", "7505", "--json", PYTHONPATH=installed).out
    messages = [json.loads(line) for line in shown.splitlines()]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]
    assert messages[1]["calls"][0]["name"] == messages[2]["tool"] == "ls"
    assert messages[2]["failed"]
    told = folder_world.run("polly", "session", "stats", "7505", "--json", PYTHONPATH=installed).json
    tokens = told["tokens"]["macaw-2"]
    assert (tokens["input"], tokens["output"]) == (5, 10)


def test_its_sessions_are_restored(folder_world: World, installed: str, chat: Path) -> None:
    before = chat.read_bytes()
    folder_world.run("polly", "session", "mirror", PYTHONPATH=installed)
    folder_world.run("other", "session", "restore", "7505", PYTHONPATH=installed)
    home = Path(folder_world.environment("other")["HOME"])
    assert (home / ".parrot" / "chats" / chat.name).read_bytes() == before


def test_a_harness_that_does_not_load_stops_no_other(folder_world: World, installed: str, chat: Path) -> None:
    broken = Path(installed, "broken-1.0.dist-info")
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text(f"[{GROUP}]\nbroken = no_such_module:Harness\n")
    done = folder_world.run("polly", "session", "mirror", PYTHONPATH=installed)
    assert "broken" in done.err
    assert stored(folder_world) == chat.read_bytes()


def test_a_deleted_session_stops_no_other(folder_world: World, installed: str, chat: Path) -> None:
    other = chat.with_name("deleted.jsonl")
    other.write_bytes(chat.read_bytes())
    folder_world.run("polly", "session", "mirror", "--all", PYTHONPATH=installed)
    folder_world.run("polly", "session", "delete", "deleted", "--yes")
    for path in (chat, other):
        write(path, {"kind": "typed", "text": "and now?"})
    folder_world.run("polly", "session", "mirror", "--session-id", "deleted", exits=3, PYTHONPATH=installed)
    done = folder_world.run("polly", "session", "mirror", "--all-harnesses", PYTHONPATH=installed)
    assert "deleted is left out" in done.err
    assert stored(folder_world) == chat.read_bytes()
