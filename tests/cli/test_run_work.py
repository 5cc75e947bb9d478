"""run start, log-..., note, end, exec: what they leave in the store, what they print, and what they refuse."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runs.programs import only_run, runs
from tests.support.processes import wait_until
from tests.support.proxy import Match, Proxy
from tests.support.s3 import make_bucket
from tests.support.servers import Endpoint
from tests.support.world import World, finish
from tracecraft.runs import log


def started(world: World, *more: str) -> str:
    """Start a run; its id."""
    run = world.run("a", "run", "start", "x", *more, "--json").json["run"]
    assert isinstance(run, str)
    return run


def test_a_run_from_start_to_end(world: World) -> None:
    given = ("--param", "lr=0.1", "--param", "model=claude", "--tag", "nightly", "--group", "g")
    run = started(world, *given)
    (world.folder("a") / "out.txt").write_text("fine")
    sha = hashlib.sha256(b"fine").hexdigest()
    documents = [
        world.run("a", "run", *command.split(), "--json").json
        for command in (
            "log-metric loss 2.5 --step 1",
            "log-metric loss 1.5 --step 2",
            "log-param seed 7",
            "log-artifact answers out.txt",
            "log-usage --model m --input 100 --output 20 --cache-read 40 --cost 0.5 --call c",
            "log-usage --model m --uncached-input 10 --output 20 --cache-read 40 --cache-write 50",
            "note fine",
        )
    ]
    assert {document["run"] for document in documents} == {run}
    assert documents[3]["sha256"] == sha
    world.run("a", "claim", "design")
    ended = world.run("a", "run", "end", "--json").json
    assert (ended["run"], ended["status"]) == (run, "completed")
    world.run("a", "claim", "other")

    found = only_run(world)
    assert (found.status, found.meta.alive, found.meta.agent, found.meta.group) == ("completed", "agent", "a", "g")
    assert found.meta.captured.command[:3] == ["tracecraft", "run", "start"]
    assert [line.values for line in found.of(log.Params)] == [{"lr": 0.1, "model": "claude"}, {"seed": 7}]
    assert [(line.values, line.step) for line in found.of(log.Metrics)] == [({"loss": 2.5}, 1), ({"loss": 1.5}, 2)]
    assert found.of(log.Tags)[0].add == ["nightly"]
    assert found.of(log.Artifact)[0].sha256 == sha
    whole, apart = found.of(log.Usage)
    assert (whole.input, whole.cache_read, whole.cost, whole.call) == (100, 40, 0.5, "c")
    assert (apart.input, apart.cache_read, apart.cache_write) == (100, 40, 50)
    assert {line.agent for line in found.lines} == {"a"}
    claims = [world.open().steps.view(step).claim for step in ("design", "other")]
    assert [claim.record.run for claim in claims if claim] == [run, ""]
    row = world.run("a", "run", "list", "--json").json["runs"][0]
    assert (row["run"], row["status"]) == (run, "completed")


def test_one_run_is_current_for_an_agent_in_a_folder(folder_world: World) -> None:
    run = started(folder_world)
    refused = folder_world.run("a", "run", "start", "y", "--json", exits=3)
    assert (refused.error["code"], refused.error["run"]) == ("wrong_state", run)
    assert "tracecraft run end" in refused.error["hint"]
    folder_world.run("b", "run", "start", "y")
    folder_world.run("b", "run", "note", "of b")
    folder_world.run("a", "run", "end", "--status", "failed", "--error", "why")
    found = runs(folder_world)
    assert (found["x"].status, found["x"].meta.error, found["x"].lines) == ("failed", "why", [])
    assert [line.text for line in found["y"].of(log.Note)] == ["of b"]


def test_a_run_that_was_ended_elsewhere_is_not_in_the_way(folder_world: World) -> None:
    run = started(folder_world)
    folder_world.run("b", "run", "end", TRACECRAFT_RUN=run)
    folder_world.run("a", "run", "start", "y")
    assert runs(folder_world)["x"].status == "completed"


def test_ending_twice_tells_what_became_of_it(folder_world: World) -> None:
    run = started(folder_world)
    folder_world.run("a", "run", "end")
    again = folder_world.run("a", "run", "end", "--status", "failed", TRACECRAFT_RUN=run)
    assert "it had ended before, as completed" in again.err
    assert only_run(folder_world).status == "completed"


def test_a_run_is_resumed(folder_world: World) -> None:
    run = started(folder_world)
    folder_world.run("a", "run", "log-metric", "m", "1")
    folder_world.run("a", "run", "end")
    again = folder_world.run("a", "run", "start", "--resume", "x", "--tag", "again", "--json").json
    assert (again["run"], again["status"]) == (run, "running")
    folder_world.run("a", "run", "log-metric", "n", "2")
    folder_world.run("a", "run", "end", "--status", "cancelled")
    found = only_run(folder_world)
    assert (found.status, found.metrics, len(found.meta.resumed)) == ("cancelled", {"m": 1, "n": 2}, 1)


def test_the_environment_goes_first(folder_world: World) -> None:
    outer = started(folder_world)
    inner = folder_world.run("b", "run", "start", "inner", TRACECRAFT_RUN=outer)
    assert "stays the current run" in inner.err
    folder_world.run("b", "run", "note", "for outer", TRACECRAFT_RUN=outer, TRACECRAFT_SPAN="00112233aabbccdd")
    found = runs(folder_world)
    assert found["inner"].meta.parent == outer
    (note,) = found["x"].of(log.Note)
    assert (note.text, note.agent, note.span) == ("for outer", "b", "00112233aabbccdd")


REFUSED = {
    "run start": 2,
    "run start a --resume b": 2,
    "run start a --param lr": 2,
    "run start a --param =1": 2,
    "run start --resume nothing": 4,
    "run start a --parent nothing": 4,
    "run log-metric m 1": 2,
    "run log-metric m high": 2,
    "run note hello": 2,
    "run end": 2,
    "run end --status running": 2,
    "run log-usage --model m --output 1": 2,
    "run log-usage --model m --output 1 --input 1 --uncached-input 1": 2,
    "run log-usage --model m --output 1 --input 5 --cache-read 6": 2,
    "run log-usage --model m --output -1 --input 5": 2,
    "run log-artifact a nowhere": 2,
    "run exec a": 2,
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_is_refused_leaves_nothing(folder_world: World, command: str) -> None:
    result = folder_world.run("a", *command.split(), exits=REFUSED[command] + (100 if "exec" in command else 0))
    assert result.err
    project = folder_world.open()
    assert list(project.store.list(project.layout.runs())) == []


def test_a_run_that_is_not_there_or_was_deleted(folder_world: World) -> None:
    folder_world.run("a", "run", "note", "hello", TRACECRAFT_RUN="nothing-00000000", exits=4)
    run = started(folder_world)
    folder_world.run("a", "run", "end")
    folder_world.run("a", "run", "delete", run)
    folder_world.run("a", "run", "note", "hello", TRACECRAFT_RUN=run, exits=3)


def test_secrets_in_what_is_recorded_do_not_get_out(folder_world: World) -> None:
    key = "AKIAIOSFODNN7EXAMPL2"
    folder_world.run("a", "run", "start", "x", "--param", f"key={key}", "--tag", key)
    folder_world.run("a", "run", "note", key)
    folder_world.run("a", "run", "log-param", "k", key)
    folder_world.run("a", "run", "end", "--status", "failed", "--error", key)
    below = folder_world.root / "store" / folder_world.project / "runs"
    written = [path.read_bytes() for path in below.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not [data for data in written if key.encode() in data]


# exec


def test_a_command_is_a_run(world: World) -> None:
    script = "echo out; echo err >&2; printf half; tracecraft() { :; }; exit 3"
    result = world.run("a", "run", "exec", "job", "--param", "lr=1", "--tag", "t", "--", "sh", "-c", script, exits=3)
    assert (result.out, result.err) == ("out\nhalf", "err\n")
    found = only_run(world)
    assert (found.status, found.meta.exit, found.meta.error) == ("failed", 3, "ended with status 3")
    assert found.meta.captured.command == ["sh", "-c", script]
    said = {stream: "".join(line.text for line in found.of(log.Text) if line.stream == stream) for stream in _STREAMS}
    assert said == {"stdout": "out\nhalf", "stderr": "err\n"}
    assert found.of(log.Params)[0].values == {"lr": 1}
    assert found.of(log.Writer)[0].via == "exec"


_STREAMS = ("stdout", "stderr")


def test_what_a_command_does_is_part_of_its_run(folder_world: World) -> None:
    inside = "import tracecraft; tracecraft.current_run().log_metric('m', 1); tracecraft.run('inner').end()"
    script = f'{sys.executable} -c "{inside}" && {sys.executable} -m tracecraft run note hello'
    folder_world.run("a", "run", "exec", "job", "--", "sh", "-c", script)
    found = runs(folder_world)
    assert (found["job"].status, found["job"].meta.exit) == ("completed", 0)
    assert found["job"].metrics == {"m": 1}
    assert [line.text for line in found["job"].of(log.Note)] == ["hello"]
    assert found["inner"].meta.parent == found["job"].meta.run


def test_a_command_may_record_before_its_run_is_in_the_store(through_proxy: tuple[World, Proxy]) -> None:
    world, proxy = through_proxy
    asked = Match("GET", key="/meta.json")

    def until_it_was_asked_for() -> None:
        assert wait_until(lambda: sum(map(asked, proxy.requests)) > 3, seconds=60)

    proxy.on_request(1, until_it_was_asked_for, Match("PUT", key="/meta.json"), at="forwarded")
    world.run("a", "run", "exec", "job", "--", sys.executable, "-m", "tracecraft", "run", "note", "hi")
    assert [line.text for line in only_run(world).of(log.Note)] == ["hi"]


def test_a_command_that_cannot_be_run_is_no_run(folder_world: World) -> None:
    result = folder_world.run("a", "run", "exec", "job", "--", "no-such-command", exits=102)
    assert "no run was started" in result.err
    assert runs(folder_world) == {}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, "cancelled"), (signal.SIGINT, "cancelled")])
def test_signals_are_passed_on(folder_world: World, number: signal.Signals, status: str) -> None:
    process = folder_world.start("a", "run", "exec", "job", "--", "sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    (done,) = finish([process])
    assert done.code == 128 + number
    assert only_run(folder_world).status == status


def test_what_is_left_running_does_not_hold_the_run_open(folder_world: World) -> None:
    process = folder_world.start("a", "run", "exec", "job", "--", "sh", "-c", "sleep 300 & echo $!")
    assert process.stdout is not None
    left = int(process.stdout.readline())
    try:
        assert wait_until(lambda: process.poll() is not None, seconds=60)
        found = only_run(folder_world)
        assert (found.status, found.meta.exit) == ("completed", 0)
    finally:
        os.kill(left, signal.SIGKILL)
        process.communicate(timeout=60)


def test_a_command_does_not_outlive_the_one_who_records_it(folder_world: World) -> None:
    process = folder_world.start("a", "run", "exec", "job", "--", "sh", "-c", "echo $$; exec sleep 300")
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.kill()
    process.communicate(timeout=60)
    assert wait_until(lambda: not Path(f"/proc/{child}").exists(), seconds=60)
    folder_world.run("a", "run", "list")
    found = only_run(folder_world)
    assert found.meta.status == "running"
    assert [line.text for line in found.of(log.Text)] in ([], [f"{child}\n"])


def test_much_output_comes_through_whole(folder_world: World) -> None:
    script = "import sys; sys.stdout.write('x' * 1_000_000); print(); [print(n) for n in range(50_000)]"
    result = folder_world.run("a", "run", "exec", "job", "--", sys.executable, "-c", script)
    recorded = "".join(line.text for line in only_run(folder_world).of(log.Text))
    assert recorded == result.out
    assert len(recorded) > 1_000_000


# A store that is away


@pytest.fixture
def through_proxy(tmp_path: Path, ministack_endpoint: Endpoint) -> Iterator[tuple[World, Proxy]]:
    name = f"run-work-{uuid.uuid4().hex[:12]}"
    make_bucket(ministack_endpoint, name)
    with Proxy(ministack_endpoint.url) as proxy:
        yield World.in_bucket(tmp_path, ministack_endpoint, name, through=proxy.url), proxy


def test_a_store_that_is_away_is_said(through_proxy: tuple[World, Proxy]) -> None:
    world, proxy = through_proxy
    started(world)
    proxy.down = True
    world.run("a", "run", "log-metric", "m", "1", exits=7)
    world.run("a", "run", "end", exits=7)
    proxy.down = False
    world.run("a", "run", "log-metric", "m", "2")
    world.run("a", "run", "end")
    assert only_run(world).metrics == {"m": 2}


def test_a_command_runs_though_the_store_is_away(through_proxy: tuple[World, Proxy]) -> None:
    world, proxy = through_proxy
    proxy.down = True
    result = world.run("a", "run", "exec", "job", "--", "echo", "hello")
    assert result.out == "hello\n"
    assert "waits in" in result.err
    proxy.down = False
    world.run("a", "run", "list")
    found = only_run(world)
    assert (found.status, [line.text for line in found.of(log.Text)]) == ("completed", ["hello\n"])
