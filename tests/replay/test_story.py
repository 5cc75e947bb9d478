"""The story of a run and of a project: what is in it, in which order, with which changes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import pytest

from tests.primitives.team import Team
from tests.sessions.stored import put_session
from tests.sessions.stored import said as told_by_pi
from tracecraft import clock
from tracecraft.currentrun import Within
from tracecraft.errors import Held, Missing
from tracecraft.layout import BROADCAST
from tracecraft.project import Project
from tracecraft.records import commit
from tracecraft.replay.history import read_history
from tracecraft.replay.logged import MOST_OF_A_KIND, Logged
from tracecraft.replay.state import State, apply
from tracecraft.replay.story import Story, read_story
from tracecraft.runs.index import IndexEntry
from tracecraft.runs.log import (
    Artifact,
    Input,
    Known,
    Lost,
    Metrics,
    Note,
    Output,
    Span,
    SpanEnd,
    Usage,
    Writer,
    encode,
)
from tracecraft.runs.meta import RunMeta, head_of

RUN = "trial-0a1b2c3d"


def put_run(project: Project, lines: Sequence[Known], *, began: float, seconds: float = 60.0) -> None:
    """A run that ended, of one writer."""
    meta = RunMeta(
        run=RUN,
        name="trial",
        status="completed",
        started_at=clock.iso(began),
        ended_at=clock.iso(began + seconds),
        agent=project.agent,
    )
    commit(project.store, project.layout.run_meta(RUN), meta, None)
    numbered = [Writer(id=1, at=began, via="sdk"), *lines]
    for number, line in enumerate(numbered, 1):
        line.id = number
    data = b"".join(map(encode, numbered))
    project.store.put(project.layout.fragment(RUN, "0" * 16, 1, len(numbered)), data)
    entry = IndexEntry(run=RUN, writer="0" * 16, ended=True, head=head_of(meta))
    project.store.put(project.layout.run_entry(RUN, "0" * 16), msgspec.json.encode(entry))


def told(story: Story) -> list[tuple[str, str]]:
    return [(happening.kind, happening.title) for happening in story.happenings]


def state_after(story: Story) -> State:
    state = {section: dict(entries) for section, entries in story.base.items()}
    for happening in story.happenings:
        apply(state, happening.changes)
    return state


def within(project: Project, run: str) -> Project:
    project.within = lambda: Within(run, "")
    return project


def test_events_are_told_with_lanes_arrows_and_holds(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    ann.steps.claim("design")
    with pytest.raises(Held):
        bob.steps.claim("design")
    ann.mailbox.send("bob", "two\nfields")
    ann.mailbox.send(BROADCAST, "all of you")
    list(bob.mailbox.new())
    ann.steps.complete("design", outcome="blocked", note="no tests", to="bob")
    story = read_story(bob)
    assert told(story) == [
        ("claim", "claims design (fence 1)"),
        ("refusal", "may not claim design: ann has it"),
        ("message", "two fields"),
        ("message", "all of you"),
        ("read", "reads 2 messages"),
        ("blocked", "is blocked on design, hands it to bob: no tests"),
    ]
    assert [(item.lane, item.to, item.bad) for item in story.happenings] == [
        ("ann", "", False),
        ("bob", "", True),
        ("ann", "bob", False),
        ("ann", "*", False),
        ("bob", "", False),
        ("ann", "bob", True),
    ]
    assert story.lanes == ["ann", "bob"]
    assert story.happenings[0].until == story.happenings[-1].at
    assert state_after(story) == read_history(bob).state_at()


def test_a_run_has_its_own_events_lines_and_sessions(team: Team) -> None:
    ann, bob = team.agent("ann"), team.agent("bob")
    bob.memory.set("before", 1)
    within(ann, RUN).steps.claim("work")
    bob.memory.set("beside", 2)
    ann.steps.complete("work")
    now = time.time()
    lines: list[Known] = [
        Span(at=now, agent="ann", span="a" * 16, name="search", kind="tool_call"),
        Input(at=now, agent="ann", span="a" * 16, value={"query": "x"}),
        Output(at=now + 1, agent="ann", span="a" * 16, value="y" * 10_000),
        SpanEnd(at=now + 2, agent="ann", span="a" * 16, status="failed", error="boom"),
        Metrics(at=now + 3, values={"score": 0.5}),
        Usage(at=now + 4, agent="ann", model="m", input=10, output=2, cost=0.5),
        Note(at=now + 5, text="looks good"),
        Artifact(at=now + 6, name="report.md", sha256="0" * 64, size=5),
        Lost(at=now + 7, count=3),
    ]
    put_run(ann, lines, began=now - 1)
    at = clock.iso(now + 8)
    put_session(ann, [told_by_pi("user", "go on", at), told_by_pi("assistant", "done", at)], run=RUN)
    put_session(bob, [told_by_pi("user", "something else", at)], session_id="1" * 32)
    story = read_story(ann, RUN)
    assert story.title == "run trial"
    assert ("claim", "claims work (fence 1)") in told(story)
    assert ("said", "user: go on") in told(story)
    assert ("said", "user: something else") not in told(story)
    assert not any("beside" in title or "before" in title for _, title in told(story))
    expected = ["search", "score 0.5", "m: 10 in, 2 out, $0.5000", "looks good", "keeps report.md"]
    assert [title for kind, title in told(story) if kind in ("span", "metric", "usage", "note", "artifact")] == expected
    (span,) = (item for item in story.happenings if item.kind == "span")
    assert (span.until, span.bad, span.details["error"]) == (now + 2, True, "boom")
    assert span.details["input"] == {"query": "x"}
    assert len(span.details["output"]) < 5000
    assert story.lanes[0] == ""
    # What others did is no part of the story, but of the state.
    state = state_after(story)
    assert (state["memory"]["before"]["value"], state["memory"]["beside"]["value"]) == (1, 2)
    everything = read_story(ann)
    assert {"claims work (fence 1)", "before = 1", "looks good"} <= {title for _, title in told(everything)}


def test_a_run_that_is_not_there(team: Team) -> None:
    with pytest.raises(Missing):
        read_story(team.agent("ann"), "nothing-0a1b2c3d")


def test_from_and_to_leave_the_state_before(team: Team) -> None:
    ann = team.agent("ann")
    ann.steps.claim("a")
    ann.memory.set("k", 1)
    ann.steps.complete("a")
    entries = ann.events.timeline()
    for index, entry in enumerate(entries):
        team.store.age(entry.key, 100.0 - 10 * index)
    times = [entry.modified for entry in ann.events.timeline()]
    story = read_story(ann, since=times[1] - 1, until=times[1] + 1)
    assert told(story) == [("memory", "k = 1")]
    assert story.base["claims"]["a"]["state"] == "in_progress"
    assert state_after(story)["claims"]["a"]["state"] == "in_progress"


def test_gaps_are_part_of_the_story_and_the_end_is_what_the_store_holds(team: Team) -> None:
    ann = team.agent("ann")
    for step in ("a", "b"):
        ann.steps.claim(step)
    (lost,) = (entry for entry in ann.events.timeline() if entry.subject == "a")
    team.store.delete(lost.key)
    story = read_story(ann)
    assert [gap.subject for gap in story.gaps] == ["step a"]
    assert told(story)[-1] == ("gap", "step a: it is in the store, and no event tells how it came there")
    assert state_after(story)["claims"]["a"]["agent"] == "ann"


def test_lines_of_a_machine_whose_clock_is_wrong_are_moved(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = within(team.agent("ann"), RUN)
    real = time.time()
    ann.steps.claim("a")
    for entry in ann.events.timeline():
        team.store.age(entry.key, -3600)
    put_run(ann, [Note(at=real + 1, agent="ann", text="an hour behind")], began=real)
    (note,) = (item for item in read_story(ann, RUN).happenings if item.kind == "note")
    assert abs(note.at - real - 3601) < 60


def test_more_lines_than_anybody_could_look_at_are_thinned_and_counted() -> None:
    logged = Logged(RUN)
    for number in range(3 * MOST_OF_A_KIND):
        logged.feed(Metrics(id=number, at=float(number), values={"loss": 1.0}))
    logged.feed(Note(at=1.0, text="kept"))
    kept, left_out = logged.happenings()
    assert (len(kept), left_out) == (MOST_OF_A_KIND + 1, 2 * MOST_OF_A_KIND)
    assert "kept" in [item.title for item in kept]
