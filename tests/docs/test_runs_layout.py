"""bucket-layout.md tells every type of line in a run's log, and every field of lines and of the index."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest

from tests.docs.pages import ROOT, section
from tracecraft.runs.index import IndexEntry
from tracecraft.runs.log import Line
from tracecraft.runs.meta import Head
from tracecraft.runs.summary import Metric, Running, Spent, Summary, Tokens

TOLD = section(ROOT / "docs" / "bucket-layout.md", "Runs")


def names(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def kinds(base: type[Line]) -> Iterator[type[Line]]:
    for kind in base.__subclasses__():
        if not kind.__name__.startswith("_"):
            yield kind
        yield from kinds(kind)


@pytest.mark.parametrize("kind", list(kinds(Line)))
def test_every_type_of_line_is_told_with_its_fields(kind: type[Line]) -> None:
    tag = kind.__struct_config__.tag
    rows = [row for row in TOLD.splitlines() if re.match(rf"\| .*`{re.escape(str(tag))}`.* \|", row)]
    assert rows, tag
    for name in names(kind) - names(Line):
        assert any(f"`{name}`" in row for row in rows), (tag, name)


@pytest.mark.parametrize("kind", [Line, IndexEntry, Head, Summary, Metric, Spent, Running, Tokens])
def test_every_other_field_is_told(kind: type[msgspec.Struct]) -> None:
    assert not {name for name in names(kind) if f"`{name}`" not in TOLD}
