"""Keys can be made and parsed, and no name leads out of its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tracecraft import layout
from tracecraft.errors import UsageError
from tracecraft.layout import Layout

NAMES = st.from_regex(r"[A-Za-z0-9-][A-Za-z0-9._-]{0,63}", fullmatch=True)
SEGMENTS = st.text(min_size=1, max_size=40).filter(layout.is_segment)
BAD_SEGMENTS = ["", ".", "..", "a/b", "/", "../x", "a\0b", "a\nb", "\x1b[31m", "a\x7f", "a\x85", "\ud800"]
BAD_NAMES = [*BAD_SEGMENTS, "_a", ".a", "a b", "ü", "a" * 65, "a:b", "a~b", "a\n", "a%2Fb", "a\\b"]
KEYS = Layout("demo")


@given(NAMES)
def test_names_that_may_be_written(name: str) -> None:
    assert layout.name("agent", name) == layout.segment("agent", name) == name


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_may_not_be_written(name: str) -> None:
    for check in (lambda text: layout.name("agent", text), layout.memory_key, Layout):
        with pytest.raises(UsageError) as told:
            check(name)
        assert told.value.message.isprintable()
        assert len(told.value.message) < 150


@pytest.mark.parametrize("text", BAD_SEGMENTS)
def test_segments_that_may_not_even_be_read(text: str) -> None:
    makers: list[Callable[[str], str]] = [
        KEYS.agent,
        KEYS.mailbox,
        KEYS.reader,
        KEYS.claim,
        KEYS.status,
        KEYS.handoff,
        KEYS.spec,
        lambda text: KEYS.artifact("s", text),
        lambda text: KEYS.artifact(text, "a"),
        lambda text: KEYS.artifact_sum("s", text),
        lambda text: KEYS.message("a", text),
        lambda text: KEYS.ack("a", text),
        lambda text: KEYS.sent_copy("a", text),
    ]
    for make in makers:
        with pytest.raises(UsageError):
            make(text)


@given(st.text())
def test_every_key_stays_below_the_project(text: str) -> None:
    makers: list[Callable[[str], str]] = [KEYS.agent, KEYS.claim, KEYS.memory, KEYS.mailbox, KEYS.reader]
    for make in makers:
        try:
            key = make(text)
        except UsageError:
            continue
        assert key.startswith("demo/")
        assert not {".", "..", ""} & set(key.rstrip("/").split("/"))


@given(SEGMENTS, SEGMENTS)
def test_keys_there_and_back(one: str, other: str) -> None:
    assert KEYS.agent_of(KEYS.agent(one)) == one
    assert KEYS.step_object_of(KEYS.claim(one)) == (one, "claim.json")
    if not one.startswith("_"):
        assert KEYS.artifact_of(KEYS.artifact(one, other)) == (one, other)


@given(st.lists(NAMES.filter(lambda name: "." not in name), min_size=1, max_size=5))
def test_memory_keys_there_and_back(parts: list[str]) -> None:
    key = ".".join(parts)
    assert layout.memory_key(key) == key
    assert KEYS.memory(key) == f"demo/memory/{'/'.join(parts)}.json"
    assert KEYS.memory_key_of(KEYS.memory(key)) == key
    assert KEYS.memory_key_of(KEYS.memory_version(key, layout.now_leaf("a", "0"))) is None


@pytest.mark.parametrize("key", ["a..b", ".a", "a.", ".", "a/b", "_a", "a._b", "x" * 600, "ü"])
def test_memory_keys_that_may_not_be_written(key: str) -> None:
    with pytest.raises(UsageError):
        layout.memory_key(key)


def test_a_long_memory_key_of_many_parts() -> None:
    assert layout.memory_key(".".join(["abc"] * 128))
    with pytest.raises(UsageError):
        layout.memory_key(".".join(["abc"] * 128) + ".d")


@given(NAMES, st.text(max_size=100))
@example("a", ".")
@example("a", "..")
def test_events_there_and_back(agent: str, subject: str) -> None:
    event = KEYS.event_of(KEYS.event("claim", agent, subject))
    assert event is not None
    assert (event.type, event.agent) == ("claim", agent)
    assert layout.is_segment(event.subject)
    assert len(event.subject) <= 64
    if subject and layout._NAME.fullmatch(subject):
        assert event.subject == subject


def test_events_sort_by_time() -> None:
    moments = [0, 999, 1_000, 999_999_999, 1_700_000_000_000_000_000, 1_700_000_000_000_001_000, 2**62]
    texts = [layout.event_time(moment) for moment in moments]
    assert texts == sorted(texts)
    assert texts[4] == "20231114T221320.000000Z"


@given(NAMES)
def test_leaves_there_and_back(agent: str) -> None:
    text = layout.now_leaf(agent, layout.new_short_id())
    leaf = layout.parse_leaf(text + ".json")
    assert leaf is not None
    assert (leaf.name, leaf.agent) == (text, agent)
    assert f"{leaf.ts_ns}_{agent}_{leaf.short_id}" == text


@pytest.mark.parametrize("text", ["", "x", "_", "__", "1_", "1__x", "1_a_", "x_a_b", "\u0661_a_b", "_reader.json"])
def test_what_is_no_leaf(text: str) -> None:
    assert layout.parse_leaf(text) is None


def test_step_ids() -> None:
    assert layout.step_id("S1.A") == "s1-a"
    assert layout.readable_step_id("A b") == "a b"
    for text in ("shared", "SHARED", "", "a b", "_x"):
        with pytest.raises(UsageError):
            layout.step_id(text)


@given(st.text())
def test_any_text_has_a_nearest_name(text: str) -> None:
    name = layout.valid_name(text, "default")
    assert layout.name("project", name) == name


@given(NAMES)
def test_a_name_is_its_own_nearest_unless_it_ends_in_dashes(text: str) -> None:
    assume(text.strip("-") == text)
    assert layout.valid_name(text, "default") == text


@pytest.mark.parametrize(
    "key", ["demo/agents/", "demo/agents/a", "demo/agents/a/b.json", "demo/steps/a", "x/agents/a.json"]
)
def test_foreign_keys_are_no_agents_or_steps(key: str) -> None:
    assert KEYS.agent_of(key) is None
    assert KEYS.step_object_of(key) is None


@pytest.mark.parametrize(
    "key", ["demo/events/x.json", "demo/events/a~b~c~d~e", "demo/events/a~b~c~d~e~f.json", "demo/"]
)
def test_what_is_no_event(key: str) -> None:
    assert KEYS.event_of(key) is None
