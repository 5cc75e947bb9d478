"""Shared memory: values, conditions, history, and what many writers at once leave."""

from __future__ import annotations

import multiprocessing
import threading
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from tests.primitives.team import AgingStore, Team
from tests.support.world import World
from tracecraft.doctor import examine
from tracecraft.errors import Missing, TracecraftError, UsageError, VersionMismatch
from tracecraft.localstate import LocalState
from tracecraft.memory import Entry, parse_value
from tracecraft.project import Project

WRITERS = 20
TIMES = 20


def deep(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        "text",
        "",
        "1.10",
        "null",
        7,
        1.5,
        True,
        None,
        [],
        {},
        {"a": [1, {"b": None}]},
        "ü \u202e \U0001f600",
        "line\nbreak\ttab",
        deep(99),
    ],
)
def test_a_value_comes_back_as_it_was_set(team: Team, value: object) -> None:
    me = team.agent("me")
    me.memory.set("a.b", value)
    entry = team.agent("other").memory.get("a.b")
    assert (entry.value, entry.set_by) == (value, "me")
    assert type(entry.value) is type(value)


def test_ten_megabytes_come_back(folder_world: World) -> None:
    project = folder_world.open("me")
    value = "ä" * (5 << 20)
    project.memory.set("big", value)
    assert project.memory.get("big").value == value


@pytest.mark.parametrize("value", ["x" * (17 << 20), deep(101)])
def test_what_no_reader_could_take_is_refused(team: Team, value: object) -> None:
    with pytest.raises(UsageError, match=r"too much|nested deeper"):
        team.agent("me").memory.set("big", value)
    assert team.store.written == []


@pytest.mark.parametrize("key", ["", "a..b", ".a", "a.", "_a", "a._b", "../x", "a/b", "a\0b", "a b", "x" * 513, "ü"])
def test_bad_keys_are_refused(team: Team, key: str) -> None:
    with pytest.raises(UsageError):
        team.agent("me").memory.set(key, "x")
    assert team.store.written == []


def test_dots_are_folders(team: Team) -> None:
    team.agent("me").memory.set("build.status.last", "ok")
    assert team.store.json("demo/memory/build/status/last.json")["value"] == "ok"


def test_what_is_not_there_is_missing(team: Team) -> None:
    me = team.agent("me")
    for look in (me.memory.get, me.memory.history, me.memory.delete):
        with pytest.raises(Missing):
            look("nothing")


@pytest.mark.parametrize(
    ("text", "as_json", "value"),
    [
        ("1.10", False, "1.10"),
        ("1.10", True, 1.1),
        ("true", False, "true"),
        ('{"a": 1}', False, {"a": 1}),
        (" [1, 2]", False, [1, 2]),
        ("{broken", False, "{broken"),
        ('"quoted"', False, '"quoted"'),
        ('"quoted"', True, "quoted"),
        ("null", True, None),
    ],
)
def test_a_value_given_as_text(text: str, as_json: bool, value: object) -> None:
    assert parse_value(text, as_json=as_json) == value


@pytest.mark.parametrize("text", ["{broken", "nonsense", "[" * 100_000])
def test_what_is_called_json_must_be_json(text: str) -> None:
    with pytest.raises(UsageError):
        parse_value(text, as_json=True)


# Conditions


def test_if_absent(team: Team) -> None:
    me, other = team.agent("me"), team.agent("other")
    assert me.memory.set("k", "first", if_absent=True).value == "first"
    with pytest.raises(VersionMismatch) as refused:
        other.memory.set("k", "second", if_absent=True)
    assert refused.value.exit_code == 3
    assert refused.value.fields == {"key": "k", "version": me.memory.get("k").version}
    me.memory.delete("k")
    assert other.memory.set("k", "third", if_absent=True).value == "third"


def test_if_version(team: Team) -> None:
    me, other = team.agent("me"), team.agent("other")
    version = me.memory.set("k", 1).version
    assert version == other.memory.get("k").version
    newer = other.memory.set("k", 2, if_version=version).version
    with pytest.raises(VersionMismatch) as refused:
        me.memory.set("k", 3, if_version=version)
    assert refused.value.fields["version"] == newer
    assert me.memory.get("k").value == 2


def test_equal_content_is_another_version(team: Team) -> None:
    me = team.agent("me")
    assert me.memory.set("k", "same").version != me.memory.set("k", "same").version


def test_a_version_of_a_key_that_is_gone(team: Team) -> None:
    me = team.agent("me")
    version = me.memory.set("k", 1).version
    me.memory.delete("k")
    with pytest.raises(VersionMismatch, match="no value any more") as refused:
        me.memory.set("k", 2, if_version=version)
    assert refused.value.fields["version"] is None


def test_a_version_of_a_key_that_never_was(team: Team) -> None:
    with pytest.raises(VersionMismatch):
        team.agent("me").memory.set("k", 2, if_version="made-up")
    with pytest.raises(Missing):
        team.agent("me").memory.get("k")


def test_update_starts_from_nothing(team: Team) -> None:
    me = team.agent("me")
    seen: list[object] = []

    def change(value: object) -> str:
        seen.append(value)
        return "set"

    me.memory.update("k", change)
    me.memory.delete("k")
    me.memory.update("k", change)
    assert seen == [None, None]


# Lists and history


def test_list(team: Team) -> None:
    me = team.agent("me")
    for key in ("build.b", "build.a", "other", "builder"):
        me.memory.set(key, key)
    me.memory.set("gone", 1)
    me.memory.delete("gone")
    assert [entry.key for entry in me.memory.list()] == ["build.a", "build.b", "builder", "other"]
    assert [entry.key for entry in me.memory.list("build.")] == ["build.a", "build.b"]


def test_history_keeps_every_version(team: Team) -> None:
    me, other = team.agent("me"), team.agent("other")
    me.memory.set("k", 1)
    other.memory.set("k", 2, if_version=me.memory.get("k").version)
    me.memory.update("k", lambda value: value + 1)
    me.memory.delete("k")
    other.memory.set("k", 9, if_absent=True)
    past = me.memory.history("k")
    assert [(version.value, version.set_by, version.deleted) for version in past] == [
        (1, "me", False),
        (2, "other", False),
        (3, "me", False),
        (None, "me", True),
        (9, "other", False),
    ]
    assert [version.value for version in me.memory.history("k", limit=2)] == [None, 9]


def test_the_history_of_one_key_is_not_that_of_another(team: Team) -> None:
    me = team.agent("me")
    me.memory.set("build", "above")
    me.memory.set("build.status", "below")
    assert [version.value for version in me.memory.history("build")] == ["above"]
    assert [version.value for version in me.memory.history("build.status")] == ["below"]


class Killed(BaseException):
    """The writer's process ends here."""


class DyingStore(AgingStore):
    """Ends the writer when it is about to write below a folder."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        if "/memory/_history/" in key:
            raise Killed
        return super().put(key, data, if_absent=if_absent, if_match=if_match)


@pytest.mark.parametrize("conditional", [True, False])
def test_a_writer_killed_before_the_history_entry_loses_no_version(tmp_path: Path, conditional: bool) -> None:
    store = DyingStore()
    local = LocalState(store.url, "demo", tmp_path)
    with pytest.raises(Killed):
        Project(store, "demo", "me", local=local).memory.set("k", "last words", if_absent=conditional)
    healthy = AgingStore()
    healthy._objects = store._objects
    project = Project(healthy, "demo", "me", local=local)
    assert [version.value for version in project.memory.history("k")] == ["last words"]
    assert history_verdict(project) == "warning"
    assert history_verdict(project, repair=True) == "ok"
    assert history_verdict(project) == "ok"
    project.memory.set("k", "after")
    assert [version.value for version in project.memory.history("k")] == ["last words", "after"]


def test_a_deletion_that_is_not_in_the_history_is_repaired_too(team: Team) -> None:
    me = team.agent("me")
    me.memory.set("k", 1)
    me.memory.delete("k")
    entries = [info.key for info in team.store.list(me.layout.memory_history("k"))]
    team.store.delete(entries[-1])
    assert history_verdict(me) == "warning"
    assert history_verdict(me, repair=True) == "ok"
    me.memory.set("k", 2)
    assert [version.value for version in me.memory.history("k")] == [1, None, 2]


def history_verdict(project: Project, *, repair: bool = False) -> str:
    (verdict,) = {f.verdict for f in examine(project, agent=False, repair=repair) if f.check == "history"}
    return verdict


# Watching


def test_watch_shows_changes_of_matching_keys_only(team: Team) -> None:
    me, other = team.agent("me"), team.agent("other")
    me.memory.set("build.old", "before")
    stop = threading.Event()

    def keep_changing() -> None:
        for number in range(1000):
            if stop.wait(0.02):
                return
            other.memory.set("noise", number)
            other.memory.set("build.status", number)

    changing = threading.Thread(target=keep_changing)
    changing.start()
    try:
        watched = me.memory.watch("build.*")
        seen = [next(watched) for _ in range(3)]
    finally:
        stop.set()
        changing.join()
    entries = [entry for entry in seen if isinstance(entry, Entry)]
    assert [entry.key for entry in entries] == ["build.status"] * 3
    values = [entry.value for entry in entries]
    assert values == sorted(set(values))


def test_watch_tells_of_a_deletion(team: Team) -> None:
    me, other = team.agent("me"), team.agent("other")
    stop = threading.Event()

    def keep_deleting() -> None:
        for number in range(1000):
            other.memory.set("k", number)
            if stop.wait(0.05):
                return
            other.memory.delete("k")
            if stop.wait(0.05):
                return

    deleting = threading.Thread(target=keep_deleting)
    deleting.start()
    try:
        assert "k" in (change for change in me.memory.watch() if isinstance(change, str))
    finally:
        stop.set()
        deleting.join()


# Many at once


def _increment(world: World, agent: str, barrier: Barrier) -> None:
    project = world.open(agent)
    barrier.wait(120)
    for _ in range(TIMES):
        project.memory.update("count", lambda count: (count or 0) + 1)


def _set_blindly(world: World, agent: str, barrier: Barrier) -> None:
    project = world.open(agent)
    barrier.wait(120)
    for number in range(TIMES // 4):
        project.memory.set("last", f"{agent}/{number}")


def _run_together(world: World, work: Any) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WRITERS)
    writers = [context.Process(target=work, args=(world, f"agent-{n}", barrier)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(180)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS


def test_no_increment_is_lost(folder_world: World) -> None:
    _run_together(folder_world, _increment)
    project = folder_world.open()
    assert project.memory.get("count").value == WRITERS * TIMES
    assert sorted(version.value for version in project.memory.history("count")) == list(range(1, WRITERS * TIMES + 1))


def test_a_race_of_blind_sets_loses_no_history(folder_world: World) -> None:
    _run_together(folder_world, _set_blindly)
    project = folder_world.open()
    expected = {f"agent-{n}/{number}" for n in range(WRITERS) for number in range(TIMES // 4)}
    values = [version.value for version in project.memory.history("last")]
    assert len(values) == len(expected)
    assert set(values) == expected
    assert project.memory.get("last").value in {f"agent-{n}/{TIMES // 4 - 1}" for n in range(WRITERS)}


def test_without_an_agent_nothing_is_set(team: Team) -> None:
    team.agent("me").memory.set("k", 1)
    written = len(team.store.written)
    nobody = team.agent("")
    for act in (
        lambda: nobody.memory.set("k", 2),
        lambda: nobody.memory.update("k", lambda value: value),
        lambda: nobody.memory.delete("k"),
    ):
        with pytest.raises(TracecraftError, match="no agent"):
            act()
    assert len(team.store.written) == written
