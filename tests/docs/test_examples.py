"""The examples of every page, run in order as a newcomer would, each page in a home and folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks, commands, matches, name, printed, section
from tests.docs.transcript import write_transcript
from tracecraft.layout import Layout

SECONDS = 120
RUNNABLE = [page for page in PAGES if any(block.language in ("console", "python") for block in blocks(page))]


@pytest.mark.parametrize("page", RUNNABLE, ids=name)
def test_examples_do_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    write_transcript(tmp_path / "home", folder)
    for block in blocks(page):
        if block.language == "console":
            _run_console(page, block, folder)
        elif block.language == "python":
            _run_python(page, block, folder)
    _check_what_was_stored(tmp_path / "home" / ".tracecraft" / "store", folder / "store")


def test_the_newcomers_page_has_examples() -> None:
    """A page whose examples are no longer found would pass silently."""
    languages = {block.language for block in blocks(ROOT / "README.md")}
    assert {"console", "python", "sh"} <= languages


def _run_console(page: Path, block: Block, folder: Path) -> None:
    for command in commands(block):
        done = _run(["bash", "-c", command.line], folder)
        where = f"{name(page)}, block at line {block.line}: $ {command.line}\n{done.stdout}"
        assert done.returncode == command.exit_code, where
        assert matches(command.expected, done.stdout), where


def _run_python(page: Path, block: Block, folder: Path) -> None:
    done = _run([sys.executable, "-c", block.text], folder)
    where = f"{name(page)}, program at line {block.line}:\n{done.stdout}"
    assert done.returncode == 0, where
    assert matches(printed(block), done.stdout), where


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def _environment(folder: Path) -> dict[str, str]:
    home = folder.parent / "home"
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "HOME": str(home), "USER": "ada", "AWS_EC2_METADATA_DISABLED": "true"}


def _check_what_was_stored(*stores: Path) -> None:
    """What the examples left is what the page on the layout describes."""
    page = ROOT / "docs" / "bucket-layout.md"
    shapes = [_shape(key) for key in re.findall(r"^\| `([^`]+)` \|", page.read_text(), re.MULTILINE) if "/" in key]
    kinds = section(page, "Events")
    for store in stores:
        for path in _objects(store):
            project, _, key = str(path.relative_to(store)).partition("/")
            assert key == "_store.json" or any(shape.fullmatch(key) for shape in shapes), f"{key} is not described"
            assert key.startswith("artifacts/") or b"__extra__" not in path.read_bytes(), key
            event = Layout(project).event_of(f"{project}/{key}")
            assert event is None or f"`{event.type}`" in kinds, f"the event type {event.type} is not described"


def _shape(described: str) -> re.Pattern[str]:
    """A key as the page spells it: `<names>` are one segment, those with slashes several."""
    parts = re.split(r"(<[^>]*>)", described)
    return re.compile(
        "".join(
            re.escape(part) if not part.startswith("<") else ".+" if "slashes" in part else "[^/]+" for part in parts
        )
    )


def _objects(store: Path) -> Iterator[Path]:
    return (
        path
        for path in sorted(store.rglob("*"))
        if path.is_file() and ".tracecraft" not in path.relative_to(store).parts
    )
