"""Programs that record runs with the SDK: what they recorded is in the store, as they nested it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.runs.programs import event_bodies, only_run, run, runs
from tests.support.world import World
from tracecraft.runs import log

EXAMPLE = """
    import tracecraft
    results = object()
    tracecraft.init(project="my-research")
    with tracecraft.run("prompt-comparison-v2") as run:
        with run.agent(name="researcher", model="claude-sonnet-4-20250514") as agent:
            with agent.step("search", kind="tool_call") as step:
                step.log_input({"query": "multi-agent coordination"})
                step.log_output(results)
            agent.shared_memory.set("findings", {"papers": 47})
            agent.send("writer", "Research complete")
        run.log_metrics({"quality_score": 0.92, "cost": 0.034})
"""


def of_project(world: World, name: str) -> World:
    return World(world.root, world.url, name, world.variables)


def test_the_example(world: World) -> None:
    run(world, EXAMPLE)
    there = of_project(world, "my-research")
    found = only_run(there)
    assert (found.status, found.meta.alive) == ("completed", "self")
    assert found.metrics == {"quality_score": 0.92, "cost": 0.034}
    assert found.spans["researcher"].model == "claude-sonnet-4-20250514"
    assert (found.spans["search"].kind, found.parent_of("search")) == ("tool_call", "researcher")
    assert found.statuses == {"researcher": "ok", "search": "ok"}
    (given,), (came,) = found.of(log.Input), found.of(log.Output)
    assert given.value == {"query": "multi-agent coordination"}
    assert re.fullmatch("<object object at .*>", came.value)
    assert given.agent == came.agent == "researcher"
    assert there.open("writer").mailbox.read()[0].message.run == found.meta.run
    assert there.open().memory.get("findings").value == {"papers": 47}
    assert there.open().agents.get("researcher") is not None
    bodies = event_bodies(there, ["memory.set", "send"])
    assert {(body["run"], body["span"]) for body in bodies} == {(found.meta.run, found.spans["researcher"].span)}


def test_the_example_on_the_default_store(tmp_path: Path) -> None:
    world = World.in_folder(tmp_path)
    run(world, EXAMPLE, TRACECRAFT_STORE="", TRACECRAFT_PROJECT="", TRACECRAFT_AGENT="")
    store = Path(world.environment("a")["HOME"]) / ".tracecraft" / "store"
    (meta,) = store.glob("my-research/runs/*/meta.json")
    assert json.loads(meta.read_bytes())["status"] == "completed"


def test_all_that_can_be_recorded(world: World) -> None:
    program = """
        from pathlib import Path
        import tracecraft

        Path("out").mkdir()
        Path("out/a.txt").write_text("same")
        Path("b.txt").write_text("same")
        with tracecraft.run("x", group="g", tags=["t1", "t2"], params={"lr": 0.1}) as run:
            run.log_param("seed", 7)
            run.log_params({"model": "m", "nested": {"a": [1]}})
            run.log_metric("loss", 2.5, step=1)
            run.log_metrics({"loss": 1.5, "acc": 0.5}, step=2)
            run.remove_tags("t2")
            run.note("fine")
            run.log_artifact("out")
            run.log_artifact("b.txt", name="the b")
            with run.agent("ann", model="m-1") as ann:
                cached = {"cached_tokens": 4}
                ann.log_usage({"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": cached})
                ann.log_usage(model="m-2", input=5, output=1, cost=0.5)
                ann.log_usage(object())
                with ann.step("in a step") as step:
                    step.log_usage(input=1, output=1)
            assert run.flush()
        assert run.end()
    """
    result = run(world, program)
    assert "nothing is said of tokens" in result.err
    found = only_run(world)
    assert found.meta.group == "g"
    assert [line.values for line in found.of(log.Params)] == [
        {"lr": 0.1},
        {"seed": 7},
        {"model": "m", "nested": {"a": [1]}},
    ]
    assert [(line.values, line.step) for line in found.of(log.Metrics)] == [
        ({"loss": 2.5}, 1),
        ({"loss": 1.5, "acc": 0.5}, 2),
    ]
    assert [(line.add, line.remove) for line in found.of(log.Tags)] == [(["t1", "t2"], []), ([], ["t2"])]
    assert [line.text for line in found.of(log.Note)] == ["fine"]
    first, second, third = found.of(log.Usage)
    assert (first.agent, first.model, first.input, first.cache_read) == ("ann", "m-1", 10, 4)
    assert (second.model, second.input, second.cost) == ("m-2", 5, 0.5)
    assert third.model == "m-1"
    folder, file = found.of(log.Artifact)
    sha = hashlib.sha256(b"same").hexdigest()
    assert (folder.name, folder.files) == ("out", [("a.txt", sha, 4)])
    assert (file.name, file.sha256) == ("the b", sha)
    project = world.open()
    blobs = [info.key for info in project.store.list(project.layout.blobs()) if info.key.endswith("/data")]
    assert blobs == [project.layout.blob(sha)]


def test_what_a_run_was_started_with_is_captured(folder_world: World) -> None:
    run(folder_world, 'with tracecraft.run("x"): pass')
    captured = only_run(folder_world).meta.captured
    assert captured.command[-1].endswith('with tracecraft.run("x"): pass')
    assert captured.cwd == str(folder_world.folder("a"))
    assert "msgspec" in captured.packages
    assert captured.python
    assert captured.host


FAILURES = {
    "raise ValueError('no good')": ("failed", "failed", "ValueError: no good"),
    "raise KeyboardInterrupt": ("cancelled", "failed", "KeyboardInterrupt"),
    "raise SystemExit(3)": ("failed", "failed", "SystemExit: 3"),
    "raise SystemExit(0)": ("completed", "ok", ""),
    "raise asyncio.CancelledError": ("cancelled", "failed", "CancelledError"),
}


@pytest.mark.parametrize("how", FAILURES)
def test_an_exception_ends_the_run_and_goes_on(folder_world: World, how: str) -> None:
    program = f"""
        import asyncio
        try:
            with tracecraft.run("x") as run, run.agent("ann") as ann, ann.step("s"):
                {how}
        except BaseException as error:
            print(type(error).__name__)
    """
    assert run(folder_world, program).out.strip() in how
    found = only_run(folder_world)
    status, of_step, error = FAILURES[how]
    assert (found.status, found.meta.error) == (status, error)
    assert set(found.statuses.values()) == {of_step}


def test_a_run_without_a_block_ends_with_its_process(folder_world: World) -> None:
    run(folder_world, 'tracecraft.run("fine").log_metric("m", 1)')
    run(folder_world, 'tracecraft.run("bad").log_metric("m", 1)\nraise ValueError("why")', exits=1)
    found = runs(folder_world)
    assert (found["fine"].status, found["fine"].metrics) == ("completed", {"m": 1})
    assert (found["bad"].status, found["bad"].meta.error) == ("failed", "ValueError: why")


def test_a_run_is_ended_by_hand_once(folder_world: World) -> None:
    program = """
        run = tracecraft.run("x")
        assert run.end("failed", "too slow") and run.end("completed")
        print(tracecraft.current_run())
    """
    assert run(folder_world, program).out == "None\n"
    found = only_run(folder_world)
    assert (found.status, found.meta.error) == ("failed", "too slow")


def test_the_project_carries_the_run_that_the_code_is_in(folder_world: World) -> None:
    program = """
        project = tracecraft.init()
        project.memory.set("before", 1)
        with tracecraft.run("x") as run:
            with run.step("s"):
                project.memory.set("within", 1)
        project.memory.set("after", 1)
    """
    run(folder_world, program)
    found = only_run(folder_world)
    bodies = {body["subject"]: body for body in event_bodies(folder_world, ["memory.set"])}
    assert (bodies["within"]["run"], bodies["within"]["span"]) == (found.meta.run, found.spans["s"].span)
    assert "run" not in bodies["before"]
    assert "run" not in bodies["after"]


def test_nested_runs_and_where_the_code_is(folder_world: World) -> None:
    program = """
        with tracecraft.run("outer") as outer:
            with outer.step("s"):
                with tracecraft.run("inner") as inner:
                    assert tracecraft.current_run() is inner
                assert tracecraft.current_run() is outer
                assert inner.id != outer.id
            with tracecraft.run("beside", parent=""):
                pass
        assert tracecraft.current_run() is None
    """
    run(folder_world, program)
    found = runs(folder_world)
    assert found["inner"].meta.parent == found["outer"].meta.run
    assert found["beside"].meta.parent == ""


def test_a_step_lies_in_the_step_the_code_is_in_and_else_in_its_agent(folder_world: World) -> None:
    program = """
        with tracecraft.run("x") as run:
            with run.agent("ann") as ann, run.agent("bob") as bob:
                with ann.step("by ann"):
                    with bob.step("asked of bob"):
                        pass
                with bob.step("by bob"):
                    run.log_metric("m", 1)
                by_hand = ann.step("by hand")
                by_hand.step("within").end()
                by_hand.end("failed", "why")
    """
    run(folder_world, program)
    found = only_run(folder_world)
    parents = {name: found.parent_of(name) for name in found.spans}
    assert parents == {
        "ann": "",
        "bob": "",
        "by ann": "ann",
        "asked of bob": "by ann",
        "by bob": "bob",
        "by hand": "ann",
        "within": "by hand",
    }
    assert found.statuses["by hand"] == "failed"
    assert found.of(log.Metrics)[0].agent == "bob"


def test_a_run_is_resumed(world: World) -> None:
    run(world, 'with tracecraft.run("x") as run: run.log_metric("m", 1)')
    first = only_run(world)
    again = """
        with tracecraft.run(resume="x", tags=["again"]) as run:
            run.log_metric("n", 2)
            raise SystemExit(1)
    """
    run(world, again, exits=1)
    found = only_run(world)
    assert found.meta.run == first.meta.run
    assert (found.status, found.metrics, len(found.meta.resumed)) == ("failed", {"m": 1, "n": 2}, 1)
    missing = run(world, 'tracecraft.run(resume="nothing")', exits=1)
    assert "Missing" in missing.err


def test_wrong_arguments_are_refused(folder_world: World) -> None:
    program = """
        from tracecraft.errors import UsageError
        run = tracecraft.run("x")
        calls = [
            lambda: tracecraft.run(""),
            lambda: tracecraft.run("x", tags="one"),
            lambda: tracecraft.run("two\\nlines"),
            lambda: tracecraft.run("x", resume="x"),
            lambda: run.log_metrics([1]),
            lambda: run.log_metrics({"m": "high"}),
            lambda: run.log_metric("", 1),
            lambda: run.log_params("a"),
            lambda: run.add_tags(7),
            lambda: run.log_artifact("nowhere"),
            lambda: run.log_usage(model="m", input=-1),
            lambda: run.agent("../x"),
            lambda: run.step(""),
            lambda: run.step("s").end("done"),
            lambda: run.end("done"),
        ]
        for number, call in enumerate(calls):
            try:
                call()
            except UsageError as error:
                assert error.message and error.hint, number
            else:
                raise SystemExit(f"call {number} was not refused")
        run.end()
    """
    run(folder_world, program)
    assert only_run(folder_world).status == "completed"


def test_agents_coordinate(world: World) -> None:
    program = """
        from tracecraft.errors import Held
        with tracecraft.run("x") as run:
            with run.agent("ann") as ann, run.agent("bob") as bob:
                assert ann.claim("design").step == "design"
                try:
                    bob.claim("design")
                except Held as held:
                    assert held.fields["holder"] == "ann"
                else:
                    raise SystemExit("both have it")
                ann.complete("design", note="two fields", to="bob")
                bob.wait_for("design", timeout=30)
                with bob.hold("build"):
                    pass
                ann.send("bob", "done", ack=True)
                ann.broadcast("all done")
                assert sorted(letter.message.message for letter in bob.inbox()) == ["all done", "done"]
                assert bob.inbox() == []
                memory = bob.shared_memory
                assert memory.get("count") is None and memory.get("count", 5) == 5
                memory.update("count", lambda count: (count or 0) + 1)
                assert ann.shared_memory.get("count") == 1
                assert memory.keys() == ["count"]
                memory.delete("count")
                ann.claim("other")
                ann.release("other", note="no time")
    """
    run(world, program)
    found = only_run(world)
    claims = [world.open().steps.view(step).claim for step in ("design", "build", "other")]
    assert {claim.record.run for claim in claims if claim} == {found.meta.run}
    assert [claim.record.state for claim in claims if claim] == ["complete", "complete", "pending"]


def test_nothing_is_redacted_by_wish_alone(folder_world: World) -> None:
    key = "AKIAIOSFODNN7EXAMPL2"
    run(folder_world, f'with tracecraft.run("shy") as run: run.note("{key}")')
    run(folder_world, f'tracecraft.init(redact=False)\nwith tracecraft.run("bold") as run: run.note("{key}")')
    found = runs(folder_world)
    assert "REDACTED" in found["shy"].of(log.Note)[0].text
    assert key not in "".join(found["shy"].meta.captured.command)
    assert found["bold"].of(log.Note)[0].text == key


def test_importing_is_free(folder_world: World) -> None:
    program = """
        import sys
        assert not [name for name in sys.modules if name.startswith("tracecraft.")]
        assert "msgspec" not in sys.modules
        assert "run" in dir(tracecraft) or tracecraft.run
        try:
            tracecraft.nothing
        except AttributeError as error:
            print(error)
    """
    assert run(folder_world, program).out == "module 'tracecraft' has no attribute 'nothing'\n"
