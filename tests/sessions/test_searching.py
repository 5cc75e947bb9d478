"""Search finds what was said, all of it and nothing else, and understands only lines that may match."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sessions.stored import part_key, put_02_session, put_session, said
from tests.support.world import World
from tracecraft.errors import UsageError
from tracecraft.project import Project
from tracecraft.sessions.finding import Sessions
from tracecraft.sessions.harnesses.pi import Pi
from tracecraft.sessions.reading import entries
from tracecraft.sessions.searching import Hit, Query, search

two_stores = pytest.mark.parametrize("world", ["folder", "ministack"], indirect=True)


def hits(project: Project, text: str, *, regex: bool = False, **choices: Any) -> list[Hit]:
    return list(search(project, Sessions(project), Query(text, regex=regex), **choices))


def places(found: list[Hit]) -> list[tuple[str, str, str, str]]:
    return [(hit.session_id, hit.role, hit.field, hit.match) for hit in found]


def call(name: str, given: object) -> bytes:
    content = [
        {"type": "toolCall", "id": "1", "name": name, "arguments": given},
        {"type": "thinking", "thinking": "Pondering"},
    ]
    return json.dumps({"type": "message", "message": {"role": "assistant", "content": content}}).encode() + b"\n"


@two_stores
def test_messages_tools_titles_and_further_streams_are_searched_newest_session_first(world: World) -> None:
    project = world.open()
    put_session(project, [said("user", "Find the Needle here\n\tplease")], session_id="s-1")
    put_session(project, [said("user", "nothing"), call("grep", {"pattern": ["x", {"y": "NEEDLE"}]})], session_id="s-2")
    put_session(
        project,
        [said("user", "no"), said("toolResult", "a needle\nof pine")],
        session_id="s-3",
        others={"sub/a.jsonl": [said("assistant", "needles")], "note.txt": [b"one needle\nnone\n"]},
    )
    found = hits(project, "needle")
    assert places(found) == [
        ("s-3", "tool", "text", "needle"),
        ("s-3", "file", "text", "needle"),
        ("s-3", "assistant", "text", "needle"),
        ("s-2", "assistant", "input", "NEEDLE"),
        ("s-1", "title", "text", "Needle"),
        ("s-1", "user", "text", "Needle"),
    ]
    assert [hit.stream for hit in found] == ["", "note.txt", "sub/a.jsonl", "", "", ""]
    assert (found[-1].before, found[-1].after, found[-1].at) == ("Find the ", " here please", "2026-01-01T10:00:00Z")
    assert places(hits(project, "ponder")) == [("s-2", "assistant", "thinking", "Ponder")]
    assert not hits(project, "toolCall"), "how a harness spells its records is not what was said"


def test_sessions_of_0_2_and_of_unknown_harnesses_are_searched(folder_world: World) -> None:
    project = folder_world.open()
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a needle"}]}
    put_02_session(project, [json.dumps({"type": "response_item", "payload": item}).encode() + b"\n"])
    put_session(project, [b"a line with a needle\n"], harness="not-here", session_id="s-x")
    assert {(hit.harness, hit.role) for hit in hits(project, "NEEDLE")} == {("codex", "user"), ("not-here", "file")}


def test_choices(folder_world: World) -> None:
    ada, ben = folder_world.open("ada"), folder_world.open("ben")
    put_session(ada, [said("user", "needle", "2026-01-01T00:00:00Z")], session_id="s-1")
    put_session(ben, [said("user", "needle", "2026-03-01T00:00:00Z"), said("user", "a needle", "?")], session_id="s-2")
    in_february = 1769904000.0
    said_by_users = [hit for hit in hits(ada, "needle", agent="ada") if hit.role == "user"]
    assert [hit.session_id for hit in said_by_users] == ["s-1"]
    since = [hit.at for hit in hits(ada, "needle", since=in_february) if hit.role == "user"]
    assert since == ["2026-03-01T00:00:00Z", ""], "what tells no time is not left out"
    assert not hits(ada, "needle", since=4e9)
    assert not hits(ada, "needle", harness="codex")


def test_expressions(folder_world: World) -> None:
    project = folder_world.open()
    put_session(project, [said("user", "- first\n- Second error: 42")])
    assert [hit.match for hit in hits(project, r"^- sec\w+ error: \d+$", regex=True) if hit.role == "user"] == [
        "- Second error: 42"
    ]
    assert not hits(project, r"(?-i)second", regex=True)
    assert not hits(project, r"sec.*"), "without --regex it is a text"
    for wrong in ("(", "[a", "a{5000}", r"(a)\1"):
        with pytest.raises(UsageError, match="not a regular expression"):
            Query(wrong, regex=True)
    with pytest.raises(UsageError):
        Query("")


def test_hostile_expressions_take_linear_time(folder_world: World) -> None:
    project = folder_world.open()
    put_session(project, [said("user", "a" * 200_000 + "!")])
    assert not [hit for hit in hits(project, r"(a+)+$", regex=True) if hit.role == "user"]


def test_what_cannot_be_read_is_told_and_the_others_are_searched(folder_world: World) -> None:
    project = folder_world.open()
    put_session(project, [said("user", "needle")], session_id="s-1")
    broken = put_session(project, [said("user", "needle")], session_id="s-2")
    project.store.put(part_key(project, broken, broken.parts[0]), b"other")
    assert {hit.session_id for hit in hits(project, "needle") if hit.role == "user"} == {"s-1"}
    assert any("s-2" in notice for notice in project.notices)


LETTERS = [*"abAB12 _-./\\\"'\n\t<>&{}[]", "é", "\u017f", "\u212a", "日", "🙂", "\u2028"]
TEXTS = st.text(st.sampled_from(LETTERS), max_size=12)


@given(TEXTS, TEXTS, TEXTS, st.booleans(), st.booleans())
def test_lines_that_are_not_looked_into_hold_no_match(
    query: str, before: str, after: str, ascii_only: bool, as_input: bool
) -> None:
    """However JSON escapes it: rejecting lines by their bytes loses nothing."""
    if not query:
        return
    text = before + query.swapcase() + after
    block = {"type": "toolCall", "id": "1", "name": "t", "arguments": {"k": [text]}}
    content = [block if as_input else {"type": "text", "text": text}]
    record = {"type": "message", "message": {"role": "assistant", "content": content}}
    line = json.dumps(record, ensure_ascii=ascii_only).encode()
    wanted = Query(query)
    if wanted.find(text.encode()):
        assert entries(Pi(), line)
        assert wanted.may_match(line)
