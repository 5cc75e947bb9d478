"""memory: shared values."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from tracecraft.cli.face import Face, command, read_value
from tracecraft.cli.output import as_json, clean, indented, one_line, print_line
from tracecraft.errors import UsageError
from tracecraft.memory import Entry, parse_value


@click.group()
def memory() -> None:
    """Shared memory: a value per key, every version kept."""


@memory.add_command
@command("set")
@click.argument("key")
@click.argument("value")
@click.option("--if-absent", is_flag=True, help="Only if it has no value. Exit 3 otherwise.")
@click.option("--if-version", metavar="V", help="Only if it is still at version V. Exit 3 otherwise.")
@click.option("--as-json", "parse", is_flag=True, help="VALUE is JSON: 1.10 is a number, true a boolean.")
def set_value(face: Face, key: str, value: str, if_absent: bool, if_version: str | None, parse: bool) -> None:
    """Set KEY to VALUE (- reads standard input, @FILE a file, @@TEXT is text with an @).

    A JSON object or array is stored as such, everything else as the text it is.

    \b
    Example:
      tracecraft memory set build.status green
    """
    if if_absent and if_version is not None:
        raise UsageError("--if-absent and --if-version exclude each other", hint="choose one")
    parsed = parse_value(read_value(value), as_json=parse)
    entry = face.project.memory.set(key, parsed, if_absent=if_absent, if_version=if_version)
    face.show(_document(entry), f"set {key}")


@memory.add_command
@command("get")
@click.argument("key")
@click.option("--with-meta", is_flag=True, help="As JSON with version, set_by and set_at.")
def get(face: Face, key: str, with_meta: bool) -> None:
    """Print the value of KEY. Exit 4 when there is none.

    \b
    Example:
      tracecraft memory get build.status
    """
    entry = face.project.memory.get(key)
    if with_meta:
        print_line(as_json(_document(entry)))
    else:
        face.show(_document(entry), _shown(entry.value))


@memory.add_command
@command("list")
@click.argument("prefix", default="")
def list_keys(face: Face, prefix: str) -> None:
    """List keys that begin with PREFIX.

    \b
    Example:
      tracecraft memory list build.
    """
    entries = face.project.memory.list(prefix)
    face.show(
        {"keys": [_document(entry) for entry in entries]}, "\n".join(one_line(e.key) for e in entries) or "no keys"
    )


@memory.add_command
@command("delete")
@click.argument("key")
def delete(face: Face, key: str) -> None:
    """Delete KEY; its history stays. Exit 4 when there is none.

    \b
    Example:
      tracecraft memory delete build.status
    """
    face.project.memory.delete(key)
    face.show({"key": key, "deleted": True}, f"deleted {key}")


@memory.add_command
@command("history")
@click.argument("key")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="The newest N; 0 for all.")
def history(face: Face, key: str, limit: int) -> None:
    """Show the versions of KEY, oldest first. Exit 4 when there are none.

    \b
    Example:
      tracecraft memory history build.status
    """
    versions = face.project.memory.history(key, limit=limit or None)
    document = [
        {"value": v.value, "set_by": v.set_by, "set_at": v.set_at, **({"deleted": True} if v.deleted else {})}
        for v in versions
    ]
    lines = [
        f"[{one_line(v.set_at)}] {one_line(v.set_by)}: {'(deleted)' if v.deleted else indented(_plain(v.value))}"
        for v in versions
    ]
    face.show({"key": key, "versions": document}, "\n".join(lines))


@memory.add_command
@command("watch")
@click.argument("pattern", default="*")
def watch(face: Face, pattern: str) -> None:
    """Print changes of keys that match PATTERN (* and ? as in a shell) until interrupted.

    \b
    Example:
      tracecraft memory watch 'build.*'
    """
    for change in face.project.memory.watch(pattern):
        if isinstance(change, str):
            face.show({"key": change, "deleted": True}, f"{one_line(change)} (deleted)")
        else:
            face.show(
                _document(change),
                f"{one_line(change.key)} = {indented(_plain(change.value))}  ({one_line(change.set_by)})",
            )


def _document(entry: Entry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "value": entry.value,
        "version": entry.version,
        "set_by": entry.set_by,
        "set_at": entry.set_at,
    }


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shown(value: Any) -> str:
    """The value exactly as it is for a pipe, harmless for a terminal."""
    return clean(_plain(value)) if sys.stdout.isatty() else _plain(value)
