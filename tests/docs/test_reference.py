"""The lists in the documentation are complete: commands, options, error codes, variables, fields, events."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import click
import msgspec
import pytest

import tracecraft
from tests.docs.pages import PAGES, ROOT, blocks, name, section
from tracecraft import errors, runs, sessions
from tracecraft.cli.app import tracecraft as command_line
from tracecraft.errors import TracecraftError
from tracecraft.records import Record

DOCS = ROOT / "docs"
SOURCES = sorted((ROOT / "src" / "tracecraft").rglob("*.py"))

DESCRIBED_IN = {
    "Claim": "Claims",
    "Status": "Views",
    "Handoff": "Views",
    "Spec": "Declared work",
    "Agent": "Agents",
    "Value": "Memory",
    "PastValue": "Memory",
    "Message": "Messages",
    "Reader": "Messages",
    "Ack": "Messages",
    "Sum": "Artifacts",
    "StoreFacts": "Store facts",
    "Manifest": "Sessions",
    "Generation": "Sessions",
    "Origin": "Sessions",
    "Part": "Sessions",
    "Event": "Events",
    "RunMeta": "Runs",
    "Captured": "Runs",
    "Resumed": "Runs",
}
"""Sections of bucket-layout.md that tell the fields of a record."""

NOT_OURS = {"_Cursor02"}
"""Records that we read and never write."""

IN_BETWEEN = {"Versioned"}
"""Records that only give others their fields."""


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, word))
        else:
            yield (*path, word), command


COMMANDS = dict(leaves(command_line))


def spellings(command: click.Command) -> list[str]:
    shown = (option for option in command.params if isinstance(option, click.Option) and not option.hidden)
    return [spelling for option in shown for spelling in option.opts]


# Commands


def test_the_reference_is_what_the_script_makes() -> None:
    made = runpy.run_path(str(DOCS / "make_cli_reference.py"))["reference"]()
    assert (DOCS / "cli.md").read_text() == made, "run: python docs/make_cli_reference.py"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_reference_has_every_command_with_its_options(path: tuple[str, ...]) -> None:
    told = section(DOCS / "cli.md", " ".join(("tracecraft", *path)))
    for option in spellings(COMMANDS[path]):
        assert re.search(rf"`{option}[ `]", told), option
    assert f"tracecraft {' '.join(path)}" in told.rpartition("```sh")[2], "no example"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_first_page_lists_every_command(path: tuple[str, ...]) -> None:
    listed = section(ROOT / "README.md", "Commands")
    assert re.search(rf"`{' '.join(path)}[ `]", listed)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_that_answers_in_json_shows_it(path: tuple[str, ...]) -> None:
    page = DOCS / "exit-codes-and-json.md"
    run = [line for block in blocks(page) if block.language == "console" for line in block.text.splitlines()]
    streams = path == ("memory", "watch")
    if "--json" not in spellings(COMMANDS[path]) or streams:
        assert f"`{' '.join(path)}" in page.read_text()
        return
    shown = re.compile(rf"\btracecraft {' '.join(path)} .*(--json|--with-meta)")
    assert any(shown.search(line) for line in run if line.startswith("$ "))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_that_are_only_shown_exist(page: Path) -> None:
    for block in blocks(page):
        if block.language == "sh":
            for line in re.findall(r"tracecraft (?:[a-z-]+ ?)+[^)\n|]*", block.text):
                _check_it_parses(shlex.split(line, comments=True)[1:])


def _check_it_parses(words: list[str]) -> None:
    if words[0].startswith("-"):
        return
    command: click.Command = command_line
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, words
        command = found
    before = words[: words.index("--")] if "--" in words else words
    for word in before:
        is_option = word.startswith("-") and word != "-"
        assert not is_option or word.partition("=")[0] in spellings(command), (command.name, word)


# Errors


def _kinds(base: type[TracecraftError]) -> Iterator[type[TracecraftError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


def _import_everything() -> None:
    for package in (tracecraft, sessions, runs):
        for module in iter_modules(package.__path__):
            if module.name not in ("__main__", "cli"):
                import_module(f"{package.__name__}.{module.name}")


def test_every_error_code_is_described_with_its_exit_code() -> None:
    _import_everything()
    told = section(DOCS / "exit-codes-and-json.md", "Errors")
    kinds = set(_kinds(TracecraftError))
    assert errors.Held in kinds
    for kind in kinds:
        assert f"| `{kind.code}` | {kind.exit_code} |" in told, kind


def test_no_error_code_is_described_that_does_not_exist() -> None:
    _import_everything()
    told = section(DOCS / "exit-codes-and-json.md", "Errors")
    described = set(re.findall(r"^\| `(\w+)` \| \d \|", told, re.MULTILINE))
    assert described == {kind.code for kind in _kinds(TracecraftError)}


def test_every_exit_code_is_described() -> None:
    told = section(DOCS / "exit-codes-and-json.md", "Exit codes")
    described = {int(code) for code in re.findall(r"^\| (\d) \|", told, re.MULTILINE)}
    assert described == {0} | {kind.exit_code for kind in _kinds(TracecraftError)}


# Settings


def test_every_variable_that_is_read_is_described() -> None:
    told = set(re.findall(r"`(\w+)`", (DOCS / "configuration.md").read_text()))
    named = re.compile(r'"((?:TRACECRAFT|AWS)_\w+|HOME|USER|LOGNAME)"')
    read = {found for source in SOURCES for found in named.findall(source.read_text())}
    assert {"TRACECRAFT_STORE", "AWS_PROFILE", "HOME"} <= read
    # The shell's completion script sets it for itself.
    assert read - told - {"_TRACECRAFT_COMPLETE"} == set()


def test_every_field_of_the_settings_file_is_described() -> None:
    from tracecraft.config import ConfigFile

    told = section(DOCS / "configuration.md", ".tracecraft.json")
    for field in msgspec.structs.fields(ConfigFile):
        assert f"`{field.encode_name}`" in told, field.encode_name


# Objects


def _records(base: type[Record]) -> Iterator[type[Record]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _records(kind)


def test_every_field_of_every_record_is_described() -> None:
    _import_everything()
    page = DOCS / "bucket-layout.md"
    # Records that tests make up are no part of the layout.
    found = {kind for kind in _records(Record) if kind.__module__.startswith("tracecraft.")}
    assert {kind.__name__ for kind in found} - NOT_OURS - IN_BETWEEN == set(DESCRIBED_IN)
    for kind in found:
        if kind.__name__ in DESCRIBED_IN:
            told = section(page, DESCRIBED_IN[kind.__name__])
            fields = {field.encode_name for field in msgspec.structs.fields(kind)} - {"__extra__"}
            missing = {field for field in fields if f"`{field}`" not in told}
            assert not missing, (kind.__name__, missing)
