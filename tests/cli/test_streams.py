"""status --watch, inbox --watch, memory watch, log -f: they go on until they are interrupted."""

from __future__ import annotations

import itertools
import signal

import pytest

from tests.support.streams import streaming, until
from tests.support.world import World

INTERRUPTED = -signal.SIGINT


def test_status_watch(folder_world: World) -> None:
    bob = folder_world.open("bob")
    with streaming(folder_world, "a", "status", "--watch", "--interval", "100ms", "--json") as status:
        assert status.json()["steps"] == []
        bob.steps.claim("design")
        shown = status.json()
        while not shown["steps"]:
            shown = status.json()
        assert shown["schema"] == 1
        assert shown["steps"][0] == {
            "step": "design", "state": "in_progress", "agent": "bob", "fence": 1, "unmet": [], "lease_ran_out": False,
        }  # fmt: skip
        bob.mailbox.send("a", "hello")
        while shown["unread"] == 0:
            shown = status.json()
        assert status.interrupt() == INTERRUPTED


def test_status_watch_as_text(folder_world: World) -> None:
    with streaming(folder_world, "a", "status", "--watch", "--interval", "100ms") as status:
        status.line_with("0 steps")
        folder_world.open("bob").steps.claim("design")
        status.line_with("design")
        assert status.interrupt() == INTERRUPTED


@pytest.mark.parametrize("as_json", [False, True])
def test_inbox_watch(world: World, as_json: bool) -> None:
    bob = world.open("bob")
    bob.mailbox.send("a", "waits already")
    with streaming(world, "a", "inbox", "--watch", *(["--json"] if as_json else [])) as inbox:

        def message() -> str:
            return inbox.json()["message"] if as_json else inbox.line().partition(": ")[2]

        assert message() == "waits already"
        bob.mailbox.send("a", "one")
        assert message() == "one"
        world.open("eve").mailbox.send("_broadcast", "two")
        assert message() == "two"
        until(lambda: world.open("a").mailbox.unread_count() == 0, "the last is marked as read")
        assert inbox.interrupt() == INTERRUPTED
    assert world.run("a", "inbox", "--new", "--json").json["messages"] == []


def test_memory_watch(world: World) -> None:
    memory = world.open("bob").memory
    counter = itertools.count()
    with streaming(world, "a", "memory", "watch", "build.*", "--json") as watch:

        def change() -> None:
            memory.set("other", next(counter))
            memory.set("build.status", next(counter))

        assert '"key":"build.status"' in watch.line_after(change)
        memory.set("build.end", "last")
        assert '"last"' in watch.line_with("build.end")
        memory.delete("build.end")
        assert '"deleted":true' in watch.line_with("build.end")
        assert watch.interrupt() == INTERRUPTED


def test_memory_watch_as_text(folder_world: World) -> None:
    memory = folder_world.open("bob").memory
    counter = itertools.count()
    with streaming(folder_world, "a", "memory", "watch") as watch:
        assert watch.line_after(lambda: memory.set("n", next(counter))).endswith("(bob)")
        memory.set("x", "multi\nline")
        assert watch.line_with("x = multi") == "x = multi"
        assert watch.line() == "    line  (bob)"
        assert watch.interrupt() == INTERRUPTED


def test_log_follow(world: World) -> None:
    bob = world.open("bob")
    bob.steps.claim("design")
    with streaming(world, "a", "log", "-f", "--json", "--type", "claim") as log:
        first = log.json()
        assert (first["schema"], first["type"], first["subject"]) == (1, "claim", "design")
        bob.memory.set("k", "v")
        bob.steps.claim("build")
        second = log.json()
        assert (second["agent"], second["type"], second["subject"]) == ("bob", "claim", "build")
        assert log.interrupt() == INTERRUPTED


def test_log_follow_as_text(folder_world: World) -> None:
    with streaming(folder_world, "a", "log", "-f") as log:
        counter = itertools.count()
        line = log.line_after(lambda: folder_world.open("bob").memory.set(f"k{next(counter)}", "v"))
        assert " bob memory.set k" in line
        assert log.interrupt() == INTERRUPTED
