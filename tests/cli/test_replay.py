"""replay and status --at as commands: printed, as JSON, played on a terminal with keys."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.world import World


@pytest.fixture
def played(folder_world: World) -> World:
    """A project in which a little happened."""
    world = folder_world
    for agent in ("a", "b"):
        world.run(agent, "init")
    world.run("a", "claim", "design")
    world.run("b", "claim", "design", exits=3)
    world.run("a", "memory", "set", "k", "one")
    world.run("a", "complete", "design", "--to", "b")
    return world


def test_not_on_a_terminal_it_is_printed_at_once(played: World) -> None:
    lines = played.run("a", "replay", "--speed", "0.001", "--step").out.splitlines()
    assert lines[0].startswith("project ")
    told = [line.split("  ")[-1].strip() for line in lines[2:]]
    assert told[2:] == [
        "claims design (fence 1)",
        "may not claim design: a has it",
        "k = one",
        "completes design, hands it to b",
    ]


def test_as_json_it_is_one_happening_a_line(played: World) -> None:
    documents = [json.loads(line) for line in played.run("a", "replay", "--json").out.splitlines()]
    assert [(item["lane"], item["kind"]) for item in documents] == [
        ("a", "agent"),
        ("b", "agent"),
        ("a", "claim"),
        ("b", "refusal"),
        ("a", "memory"),
        ("a", "done"),
    ]
    assert {item["schema"] for item in documents} == {1}
    assert documents[-1]["to"] == "b"
    assert documents[4]["changes"][0][:2] == ["memory", "k"]


def test_project_may_stand_without_a_name(played: World) -> None:
    whole = played.run("a", "replay").out
    assert played.run("a", "replay", "--project").out == whole
    assert played.run("a", "replay", "--project", "--speed", "10").out == whole
    assert "nothing happened" in played.run("a", "replay", "--project", "elsewhere").out


def test_it_is_cut_to_a_time(played: World) -> None:
    assert played.run("a", "replay", "--to", "1h").out.strip() == "nothing happened"
    assert len(played.run("a", "replay", "--from", "1h").out.splitlines()) == 8


def test_the_page_is_written(played: World) -> None:
    told = played.run("a", "replay", "--html", "page.html")
    assert "wrote page.html: 6 happenings" in told.out
    page = played.folder("a") / "page.html"
    assert page.read_text().startswith("<!doctype html>")
    assert played.run("a", "replay", "--html", "no/such/page.html", exits=1).err.startswith("error: cannot write")
    played.run("a", "replay", "--html", "x.html", "--json", exits=2)


def test_gaps_are_named(played: World) -> None:
    project = played.open("a")
    (lost,) = (entry.key for entry in project.events.timeline() if entry.name.type == "memory.set")
    project.store.delete(lost)
    for command in (["replay"], ["status", "--at", "0s"]):
        assert "memory k" in played.run("a", *command).err


def test_status_as_of_a_moment(played: World) -> None:
    (done,) = (entry for entry in played.open("a").events.timeline() if entry.name.type == "complete")
    before = f"{time.time() - done.modified + 0.001:.3f}s"
    now = played.run("a", "status", "--at", "0s", "--json").json
    assert [(step["step"], step["state"]) for step in now["steps"]] == [("design", "complete")]
    assert now["memory"][0]["value"] == "one"
    then = played.run("a", "status", "--at", "1h", "--json").json
    assert (then["steps"], then["memory"], then["gaps"]) == ([], [], [])
    assert "in_progress" in played.run("a", "status", "--at", before).out or float(before[:-1]) < 1
    played.run("a", "status", "--at", "1h", "--watch", exits=2)


# On a terminal


class Screen:
    """A terminal on which a command runs."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.master, self.process = master, process
        self.shown = ""

    def until(self, text: str) -> None:
        """Read what is shown until it contains a text."""
        deadline = time.monotonic() + 60
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.master], [], [], 1.0)[0]:
                self.shown += os.read(self.master, 65536).decode()

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())


@contextmanager
def screen(world: World, *arguments: str) -> Iterator[tuple[Screen, int]]:
    """A command on a terminal of its own, and that terminal's end to look at its settings."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tracecraft", "replay", *arguments],
        cwd=world.folder("a"),
        env=world.environment("a"),
        stdin=slave,
        stdout=slave,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Screen(master, process), slave
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def test_it_is_played_step_by_step_and_quit(played: World) -> None:
    with screen(played, "--step") as (terminal, slave):
        terminal.until("paused 0/6")
        assert not termios.tcgetattr(slave)[3] & termios.ICANON
        terminal.press(" ")
        terminal.until("completes design")
        terminal.until("end 6/6")
        terminal.press("s")
        terminal.until("step design: complete by a")
        terminal.press("\x1b[D")
        terminal.until("--- 5 of 6 ---")
        terminal.press("q")
        assert terminal.process.wait(timeout=60) == 0
        assert termios.tcgetattr(slave)[3] & termios.ICANON
        assert termios.tcgetattr(slave)[3] & termios.ECHO


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_terminal_is_as_it_was_however_it_ends(played: World, number: signal.Signals) -> None:
    with screen(played, "--step") as (terminal, slave):
        before = termios.tcgetattr(slave)
        terminal.until("paused 0/6")
        terminal.press("n")
        terminal.until("paused 1/6")
        terminal.process.send_signal(number)
        terminal.process.wait(timeout=60)
        after = termios.tcgetattr(slave)
        assert after[3] & termios.ICANON
        assert after[3] & termios.ECHO
        assert len(before) == len(after)


def test_nothing_but_its_own_modules_is_loaded_for_it(played: World, tmp_path: Path) -> None:
    """A page is made without anything heavy."""
    listing = tmp_path / "modules"
    code = (
        "import sys; from tracecraft.cli.app import run; run(['replay', '--html', 'page.html']);"
        f"open({str(listing)!r}, 'w').write(' '.join(sys.modules))"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=played.folder("a"),
        env=played.environment("a"),
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    loaded = set(listing.read_text().split())
    assert "tracecraft.replay.page" in loaded
    assert not loaded & {"asyncio", "obstore", "boto3", "pydantic", "rich", "curses", "genai_prices"}
