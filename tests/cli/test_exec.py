"""exec: the command it runs keeps its input, output, status, signals and terminal, and never outlives the claim."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.streams import PATIENCE, Stream, objects, streaming, until
from tests.support.world import World

SLEEPER = "echo $$; exec sleep 300"
STUBBORN = "trap '' TERM; echo $$; while :; do sleep 0.1; done"


def state(world: World, step: str = "job") -> tuple[str, str | None, int]:
    view = world.open().steps.view(step)
    return view.state, view.agent, view.fence


def is_gone(pid: int) -> bool:
    """Whether a process is over; a zombie is."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@contextmanager
def running(world: World, script: str, *options: str, agent: str = "a", **more: str) -> Iterator[tuple[Stream, int]]:
    """`exec job` of a shell script whose first line of output is the pid to watch."""
    with streaming(world, agent, "exec", "job", *options, "--", "sh", "-c", script, **more) as stream:
        yield stream, int(stream.line())


def test_success_completes_with_the_handoff(world: World) -> None:
    handoff = ("--note", "built", "--to", "b", "--next-action", "test it")
    done = world.run("a", "exec", "job", *handoff, "--", "echo", "out")
    assert done.out == "out\n"
    assert state(world) == ("complete", "a", 1)
    written = world.run("b", "handoff", "job", "--json").json["handoff"]
    assert (written["note"], written["next_agent"], written["next_action"]) == ("built", "b", "test it")


def test_failure_releases(world: World) -> None:
    done = world.run("a", "exec", "job", "--", "sh", "-c", "exit 7", exits=7)
    assert done.out == ""
    assert state(world)[0] == "pending"
    assert "ended with status 7" in world.run("b", "claim", "job", "--json").json["note"]


def test_failure_blocks_when_asked(folder_world: World) -> None:
    folder_world.run("a", "exec", "job", "--on-fail", "blocked", "--note", "no disk", "--", "false", exits=1)
    assert state(folder_world) == ("blocked", "a", 1)
    assert "no disk" in folder_world.run("b", "wait-for", "job", exits=6).err


@pytest.mark.parametrize("status", [0, 1, 2, 3, 100, 103, 255])
def test_the_exit_status_is_the_commands(folder_world: World, status: int) -> None:
    folder_world.run("a", "exec", "job", "--", "sh", "-c", f"exit {status}", exits=status)


def test_arguments_pass_as_they_are(folder_world: World) -> None:
    words = ["", " ", "two words", "$HOME", "'", '"', "*", "--json", "--", "-n", "é\n"]
    script = "import json, sys; print(json.dumps(sys.argv[1:]))"
    done = folder_world.run("a", "exec", "job", "--", sys.executable, "-c", script, *words)
    assert json.loads(done.out) == words


def test_input_and_output_pass_as_they_are(folder_world: World) -> None:
    data = bytes(range(256)) * 1000
    done = subprocess.run(
        [sys.executable, "-m", "tracecraft", "exec", "job", "--", "cat"],
        cwd=folder_world.folder("a"),
        env=folder_world.environment("a"),
        input=data,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, data, b"")
    assert folder_world.run("a", "exec", "two", "--", "sh", "-c", "echo oops >&2").err == "oops\n"


def test_the_command_knows_what_it_works_on(folder_world: World) -> None:
    names = ("STEP", "FENCE", "AGENT", "PROJECT")
    script = "; ".join(f"echo $TRACECRAFT_{name}" for name in names)
    done = folder_world.run("a", "exec", "Job.1", "--project", "other", "--", "sh", "-c", script)
    assert done.out.split() == ["job-1", "1", "a", "other"]


def test_tracecraft_inside_speaks_of_the_same_project(folder_world: World) -> None:
    """However the outer command was told where the store is."""
    store = (folder_world.root / "elsewhere").as_uri()
    inner = (sys.executable, "-m", "tracecraft", "memory", "set", "from.inside", "yes")
    folder_world.run("a", "exec", "job", "--store", store, "--project", "other", "--agent", "c", "--", *inner)
    entry = folder_world.run("a", "memory", "get", "from.inside", "--json", "--store", store, "--project", "other").json
    assert (entry["value"], entry["set_by"]) == ("yes", "c")
    folder_world.run("a", "memory", "get", "from.inside", exits=4)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_command(folder_world: World, number: signal.Signals) -> None:
    script = f"trap 'echo caught; exit 9' {number.name[3:]}; echo $$; while :; do sleep 0.05; done"
    with running(folder_world, script) as (stream, pid):
        stream.process.send_signal(number)
        assert stream.line() == "caught"
        assert stream.process.wait(PATIENCE) == 9
        assert is_gone(pid)
    assert state(folder_world)[0] == "pending"


def test_a_command_killed_by_a_signal(folder_world: World) -> None:
    with running(folder_world, SLEEPER) as (stream, _pid):
        stream.process.send_signal(signal.SIGTERM)
        assert stream.process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert state(folder_world)[0] == "pending"


def test_a_signal_at_the_first_moment_is_not_lost(folder_world: World) -> None:
    """A command may tell its supervisor's parent that it runs before the supervisor does anything more."""
    for _ in range(5):
        with running(folder_world, "echo $$; kill -USR1 $PPID; sleep 300") as (stream, pid):
            assert stream.process.wait(PATIENCE) == 128 + signal.SIGUSR1
            assert is_gone(pid)
        assert state(folder_world)[0] == "pending"


def test_a_command_that_is_not_there(folder_world: World) -> None:
    done = folder_world.run("a", "exec", "job", "--", "no-such-command", exits=102)
    assert "no-such-command" in done.err
    assert done.out == ""
    assert state(folder_world)[0] == "pending"
    (folder_world.folder("a") / "data").write_text("no program")
    folder_world.run("a", "exec", "job", "--", "./data", exits=102)
    assert state(folder_world)[0] == "pending"


@pytest.mark.parametrize(
    ("inner", "ends"),
    [
        (["complete", "job", "--note", "by itself"], "complete"),
        (["complete", "job", "--needs-review"], "needs_review"),
        (["complete", "job", "--blocked"], "blocked"),
        (["release", "job"], "pending"),
    ],
)
@pytest.mark.parametrize("status", [0, 4])
def test_the_command_ends_the_step_itself(folder_world: World, inner: list[str], ends: str, status: int) -> None:
    command = f"{sys.executable} -m tracecraft {' '.join(inner)} > log || exit 99; exit {status}".replace(
        "by itself", "'by itself'"
    )
    folder_world.run("a", "exec", "job", "--", "sh", "-c", command, exits=status)
    assert state(folder_world)[0] == ends


def test_held_by_another(world: World) -> None:
    world.open("b").steps.claim("job")
    done = world.run("a", "exec", "job", "--json", "--", "sh", "-c", "echo ran; touch ran", exits=103)
    assert done.out == ""
    assert (done.error["code"], done.error["holder"]) == ("held", "b")
    assert not (world.folder("a") / "ran").exists()
    assert state(world) == ("in_progress", "b", 1)


def test_the_lease_is_renewed_while_the_command_runs(folder_world: World) -> None:
    """Longer than the lease and its grace."""
    with running(folder_world, SLEEPER, "--ttl", "5s") as (stream, pid):
        until(lambda: folder_world.open().steps.view("job").rev >= 6, "the lease was renewed for 8 seconds")
        folder_world.run("b", "claim", "job", exits=3)
        assert not is_gone(pid)
        stream.process.send_signal(signal.SIGTERM)
        assert stream.process.wait(PATIENCE) == 128 + signal.SIGTERM


@pytest.mark.parametrize(("script", "how"), [(SLEEPER, "ends on SIGTERM"), (STUBBORN, "ignores SIGTERM")])
def test_lease_lost_to_a_thief(folder_world: World, script: str, how: str) -> None:
    with running(folder_world, script, "--ttl", "5s", "--json") as (stream, pid):
        folder_world.run("b", "claim", "job", "--steal")
        after = step_objects(folder_world)
        assert stream.process.wait(PATIENCE) == 103, how
        assert is_gone(pid)
        until(lambda: any("lost_lease" in line for line in stream.errors), "the error is told")
    assert state(folder_world) == ("in_progress", "b", 2)
    assert step_objects(folder_world) == after


def test_lease_lost_on_any_store(world: World) -> None:
    with running(world, SLEEPER, "--ttl", "5s") as (stream, pid):
        world.run("b", "claim", "job", "--steal")
        assert stream.process.wait(PATIENCE) == 103
        assert is_gone(pid)
    assert state(world) == ("in_progress", "b", 2)


def test_killed_with_its_whole_command(world: World) -> None:
    """kill -9 of exec ends the command's group, and the same agent takes the step again without waiting."""
    script = f"sleep 300 & echo $!; exec {sys.executable} -c 'import time; time.sleep(300)'"
    with running(world, script) as (stream, grandchild):
        stream.process.kill()
        stream.process.wait(PATIENCE)
        until(lambda: is_gone(grandchild), "the command's group is gone")
    until(lambda: world.run("a", "claim", "job", exits=None).code == 0, "the agent has its step again", 20)
    assert state(world)[:2] == ("in_progress", "a")


def test_what_the_command_leaves_running_is_stopped_with_the_lease(folder_world: World) -> None:
    """Its leader ends on SIGTERM, another of its group does not care."""
    script = "sh -c \"trap '' TERM; while :; do sleep 0.1; done\" & echo $!; exec sleep 300"
    with running(folder_world, script, "--ttl", "5s") as (stream, pid):
        folder_world.run("b", "claim", "job", "--steal")
        assert stream.process.wait(PATIENCE) == 103
        until(lambda: is_gone(pid), "the other is gone too", 5)


def test_killed_with_a_stubborn_command(folder_world: World) -> None:
    with running(folder_world, STUBBORN) as (stream, pid):
        stream.process.kill()
        until(lambda: is_gone(pid), "the watchdog has killed the command")


def test_nobody_else_takes_it_before_the_lease_has_run_out(folder_world: World) -> None:
    with running(folder_world, SLEEPER, "--ttl", "1h") as (stream, pid):
        stream.process.kill()
        until(lambda: is_gone(pid), "the command is gone")
    assert folder_world.run("b", "claim", "job", "--json", exits=3).error["holder"] == "a"


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, world: World, *arguments: str) -> None:
        self.output = b""
        environment = world.environment("a")
        folder = world.folder("a")
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, "-m", "tracecraft", *arguments], environment)  # noqa: S606

    def type(self, data: bytes) -> None:
        os.write(self._fd, data)

    def read_until(self, part: bytes) -> None:
        deadline = time.monotonic() + PATIENCE
        while part not in self.output:
            assert time.monotonic() < deadline, self.output
            self._read()

    def end(self) -> int:
        """Its exit code, once it has ended."""
        deadline = time.monotonic() + PATIENCE
        while True:
            pid, raw = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self._fd)
                return os.waitstatus_to_exitcode(raw)
            assert time.monotonic() < deadline, self.output
            self._read()

    def _read(self) -> None:
        ready, _, _ = select.select([self._fd], [], [], 0.05)
        try:
            self.output += os.read(self._fd, 10_000) if ready else b""
        except OSError:
            time.sleep(0.01)


def test_control_c_reaches_the_command(folder_world: World) -> None:
    script = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.05; done"
    terminal = Terminal(folder_world, "exec", "job", "--", "sh", "-c", script)
    terminal.read_until(b"ready")
    terminal.type(b"\x03")
    terminal.read_until(b"interrupted")
    assert terminal.end() == 5
    assert state(folder_world)[0] == "pending"


def test_the_command_has_the_terminal(folder_world: World) -> None:
    script = "test -t 0 && test -t 1 && echo ready && read line && echo got $line"
    terminal = Terminal(folder_world, "exec", "job", "--", "sh", "-c", script)
    terminal.read_until(b"ready")
    terminal.type(b"words\n")
    terminal.read_until(b"got words")
    assert terminal.end() == 0
    assert state(folder_world)[0] == "complete"


def test_control_z_stops_both_and_both_go_on(folder_world: World) -> None:
    terminal = Terminal(folder_world, "exec", "job", "--", "sh", "-c", "echo ready; read line; echo got $line")
    terminal.read_until(b"ready")
    terminal.type(b"\x1a")
    until(lambda: os.waitpid(terminal.pid, os.WUNTRACED | os.WNOHANG)[0], "exec has stopped too")
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.type(b"words\n")
    terminal.read_until(b"got words")
    assert terminal.end() == 0


def step_objects(world: World) -> dict[str, Any]:
    """The claim and its views, and who ended what."""
    return {key: etag for key, etag in objects(world).items() if "/steps/" in key}
