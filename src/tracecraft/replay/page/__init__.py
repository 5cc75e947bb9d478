"""Writes a story as one page that needs nothing but a browser: no network, no other file, no script but its own.

Everything that came from agents is data: it stands in a block that no browser runs, and the script puts it into the
page as text only. The page's policy allows one style and one script, by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from tracecraft.clock import iso
from tracecraft.errors import TracecraftError
from tracecraft.replay.happening import Happening, excerpt
from tracecraft.replay.state import Change
from tracecraft.replay.story import Story
from tracecraft.wholefile import save

SCRIPTS = (
    "story.js",
    "state.js",
    "view.js",
    "marks.js",
    "crowds.js",
    "timeline.js",
    "overview.js",
    "panels.js",
    "main.js",
)
"""The parts of the script, in order; they become one."""

# What could end the block or mean something to a parser of HTML or of old JavaScript.
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ANY_UNSAFE = re.compile("[<>&\u2028\u2029]")
_MARKER = re.compile(r"\{\{ (\w+) \}\}")


def write_page(story: Story, path: Path) -> int:
    """Write the page, whole or not at all, and return its bytes. Raises TracecraftError where it cannot be written."""
    try:
        return save(path, [make_page(story).encode()])
    except OSError as error:
        raise TracecraftError(
            f"cannot write {path}: {error.strerror}", hint="choose another file with --html"
        ) from None


def make_page(story: Story) -> str:
    """The page as text."""
    style = _part("style.css")
    script = "(() => {\n'use strict';\n" + "\n".join(map(_part, SCRIPTS)) + "\n})();\n"
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    return _filled(
        _part("page.html"),
        {
            "policy": html.escape(policy, quote=False),
            "title": html.escape(story.title),
            "style": style,
            "script": script,
            "story": _embedded(_packed(story)),
        },
    )


def _part(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """The template with every marker replaced once: what is put in is not looked at again."""
    return _MARKER.sub(lambda found: parts[found[1]], template)


def _embedded(document: Any) -> str:
    """JSON that may stand within an element: nothing in it can end the element or begin another."""
    text = msgspec.json.encode(document).decode()
    return _ANY_UNSAFE.sub(lambda found: _UNSAFE[found[0]], text)


def _packed(story: Story) -> dict[str, Any]:
    """The story in short: times as seconds after its beginning, lanes and kinds as numbers."""
    told = story.happenings
    start = told[0].at if told else 0.0
    kinds = sorted({happening.kind for happening in told})
    lanes = {name: index for index, name in enumerate(story.lanes)}
    return {
        "title": story.title,
        "start": start,
        "startedAt": iso(start),
        "lanes": list(story.lanes),
        "kinds": kinds,
        "base": {section: {n: _shown(v) for n, v in entries.items()} for section, entries in story.base.items()},
        "gaps": [f"{gap.subject}: {gap.why}" for gap in story.gaps],
        "notes": list(story.notes),
        "happenings": [_row(happening, start, lanes, {kind: n for n, kind in enumerate(kinds)}) for happening in told],
    }


def _row(happening: Happening, start: float, lanes: Mapping[str, int], kinds: Mapping[str, int]) -> list[Any]:
    """A happening as `story.js` takes it apart: -2 means all lanes, -1 none."""
    to = -2 if happening.to == "*" else lanes.get(happening.to, -1) if happening.to else -1
    until = None if happening.until is None else round(happening.until - start, 4)
    return [
        round(happening.at - start, 4),
        lanes.get(happening.lane, -1),
        kinds[happening.kind],
        happening.title,
        to,
        until,
        int(happening.bad),
        happening.details or None,
        [_change(change) for change in happening.changes] or None,
    ]


def _change(change: Change) -> Change:
    section, name, value = change
    return section, name, _shown(value)


def _shown(value: Any) -> Any:
    """An entry of a state; of long texts and values in it, the beginning."""
    if isinstance(value, dict):
        return {name: excerpt(item) for name, item in value.items()}
    return value
