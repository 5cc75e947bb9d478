"""Sessions are found by what is enough of their ids, and only those that are what they say."""

from __future__ import annotations

import msgspec
import pytest

from tests.sessions.stored import (
    put_session,
)  # fmt: skip
from tests.support.world import World
from tracecraft.errors import BrokenRecord, Missing, UsageError
from tracecraft.records import commit
from tracecraft.sessions.finding import Sessions
from tracecraft.sessions.upkeep import delete_session

two_stores = pytest.mark.parametrize("world", ["folder", "ministack"], indirect=True)


@two_stores
def test_a_session_is_found_by_what_is_enough_of_its_id(world: World) -> None:
    project = world.open()
    for session_id in ("aa-1", "aa-12", "ab-1"):
        put_session(project, [b"x\n"], session_id=session_id)
    put_session(project, [b"x\n"], session_id="ab-1", harness="codex")
    sessions = Sessions(project)
    assert sessions.find("aa-12").record.session_id == "aa-12"
    assert sessions.find("aa-1").record.session_id == "aa-1", "an exact id is not the beginning of another"
    assert sessions.find("codex/ab").record.harness == "codex"
    with pytest.raises(UsageError, match="codex/ab-1, pi/ab-1"):
        sessions.find("ab")
    for unknown in ("b", "codex/aa", "pi/x"):
        with pytest.raises(Missing):
            sessions.find(unknown)
    for none in ("", "codex/"):
        with pytest.raises(UsageError):
            sessions.find(none)


def test_short_ids_are_long_enough_to_tell_sessions_apart(folder_world: World) -> None:
    project = folder_world.open()
    ids = ["0190c0de-1111", "0190c0de-1122", "11111111-2222", "x"]
    for session_id in ids:
        put_session(project, [b"x\n"], session_id=session_id)
    short = Sessions(project).short_ids()
    assert sorted(short.values()) == ["0190c0de-111", "0190c0de-112", "11111111", "x"]
    for name, shortened in short.items():
        assert Sessions(project).find(shortened).record.session_id == name.session_id


def test_the_newest_come_first_and_deleted_ones_do_not_come(folder_world: World) -> None:
    project = folder_world.open()
    ids = [f"s-{n}" for n in range(40)]
    for session_id in ids:
        put_session(project, [b"x\n"], session_id=session_id)
    delete_session(project, Sessions(project).find("s-5"))
    shown = [stored.record.session_id for stored in Sessions(project).newest_first()]
    assert shown == [session_id for session_id in reversed(ids) if session_id != "s-5"]


def test_manifests_that_are_broken_or_of_another_session_are_told_and_passed_over(folder_world: World) -> None:
    project = folder_world.open()
    good = put_session(project, [b"x\n"], session_id="good")
    project.store.put(project.layout.manifest("pi", "broken"), b"{")
    lying = msgspec.structs.replace(good, session_id="other")
    commit(project.store, project.layout.manifest("pi", "lying"), lying, None)
    escaping = msgspec.structs.replace(
        good, session_id="escaping", parts=[msgspec.structs.replace(good.parts[0], uuid="../../../x")]
    )
    commit(project.store, project.layout.manifest("pi", "escaping"), escaping, None)
    assert [stored.record.session_id for stored in Sessions(project).newest_first()] == ["good"]
    assert len(project.broken) == 3
    for name in ("broken", "lying", "escaping"):
        with pytest.raises(BrokenRecord, match=name):
            Sessions(world_again := folder_world.open()).find(name)
        assert not world_again.broken
