"""Where the code is, a run follows: into threads, pools, asyncio's tasks, decorated functions, forks and processes."""

from __future__ import annotations

import pytest

from tests.runs.programs import only_run, run, runs
from tests.support.world import World
from tracecraft.runs import log


def test_threads_and_their_pools(folder_world: World) -> None:
    program = """
        import threading
        from concurrent.futures import ThreadPoolExecutor

        def work(name):
            tracecraft.current_run().step(name).end()

        tracecraft.init()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(tracecraft.current_run).result() is None
            with tracecraft.run("x") as run, run.agent("ann") as ann:
                with ann.step("outer"):
                    thread = threading.Thread(target=work, args=["in thread"])
                    thread.start()
                    thread.join()
                    pool.submit(work, "in old pool").result()
                    with ThreadPoolExecutor(2) as fresh:
                        list(fresh.map(work, ["in new pool", "in new pool too"]))
            assert pool.submit(tracecraft.current_run).result() is None
    """
    run(folder_world, program)
    found = only_run(folder_world)
    inner = found.spans.keys() - {"ann", "outer"}
    assert {found.parent_of(name) for name in inner} == {"outer"}
    assert len(inner) == 4
    assert {found.spans[name].agent for name in inner} == {"ann"}


def test_threads_keep_their_own_run_method_and_results(folder_world: World) -> None:
    program = """
        import threading

        class Worker(threading.Thread):
            def run(self):
                self.seen = tracecraft.current_run()

        with tracecraft.run("x") as run:
            worker = Worker()
            worker.start()
            worker.join()
            assert worker.seen is run
            assert "run" not in vars(worker)
    """
    run(folder_world, program)


def test_many_runs_at_once_keep_apart(folder_world: World) -> None:
    program = """
        from concurrent.futures import ThreadPoolExecutor
        import threading
        everybody = threading.Barrier(4, timeout=60)

        def experiment(number):
            with tracecraft.run(f"run-{number}") as run:
                everybody.wait()
                for value in range(50):
                    tracecraft.current_run().log_metric("m", number * 1000 + value)
                    child = threading.Thread(target=lambda: tracecraft.current_run().log_metric("child", number))
                    child.start()
                    child.join()

        tracecraft.init()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(experiment, range(4)))
    """
    run(folder_world, program)
    found = runs(folder_world)
    for number in range(4):
        one = found[f"run-{number}"]
        measured = [line.values["m"] for line in one.of(log.Metrics) if "m" in line.values]
        assert measured == [number * 1000 + value for value in range(50)]
        assert {line.values["child"] for line in one.of(log.Metrics) if "child" in line.values} == {number}


def test_threads_can_be_left_alone(folder_world: World) -> None:
    program = """
        import threading
        start = threading.Thread.start
        tracecraft.init()
        assert threading.Thread.start is not start
        tracecraft.init(threads=False)
        assert threading.Thread.start is start
    """
    run(folder_world, program)


def test_asyncio(folder_world: World) -> None:
    program = """
        import asyncio

        async def work(agent, name):
            async with agent.step(name):
                await asyncio.sleep(0)
                tracecraft.current_run().step(f"in {name}").end()

        async def main():
            async with tracecraft.run("x") as run:
                async with run.agent("ann") as ann:
                    await asyncio.gather(*(work(ann, f"task {number}") for number in range(3)))
                    await ann.aio.send("bob", "hello")
                    await ann.aio.claim("design")
                    await ann.aio.complete("design")
                    await ann.aio.wait_for("design", timeout=30)
                    await ann.aio.shared_memory.set("k", [1])
                    assert await ann.aio.shared_memory.get("k") == [1]
                    assert await ann.aio.inbox() == []
                    await asyncio.to_thread(lambda: tracecraft.current_run().step("in a thread").end())
            assert tracecraft.current_run() is None

        asyncio.run(main())
    """
    run(folder_world, program)
    found = only_run(folder_world)
    for number in range(3):
        assert found.parent_of(f"in task {number}") == f"task {number}"
        assert found.parent_of(f"task {number}") == "ann"
    assert found.parent_of("in a thread") == "ann"
    assert found.status == "completed"


def test_a_cancelled_task_cancels_its_run(folder_world: World) -> None:
    program = """
        import asyncio

        async def work():
            async with tracecraft.run("x") as run:
                run.log_metric("m", 1)
                await asyncio.sleep(60)

        async def main():
            task = asyncio.create_task(work())
            await asyncio.sleep(0.05)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                print("cancelled")

        asyncio.run(main())
    """
    assert run(folder_world, program).out == "cancelled\n"
    found = only_run(folder_world)
    assert (found.status, found.metrics) == ("cancelled", {"m": 1})


DECORATED = """
    import asyncio

    @tracecraft.step
    def plain(a, b=2):
        return a + b

    @tracecraft.step("named", kind="tool_call", io=False)
    def quiet(secret):
        return plain(secret)

    @tracecraft.step
    async def waiting(a):
        await asyncio.sleep(0)
        return plain(a)

    @tracecraft.step
    def counting(n):
        for i in range(n):
            plain(i)
            yield i
        return "done"

    @tracecraft.step(name="acounting")
    async def acounting(n):
        for i in range(n):
            plain(i)
            yield i

    class Thing:
        @tracecraft.step
        def method(self, a):
            return a

    @tracecraft.step
    def failing():
        raise ValueError("no")

    def echo():
        got = yield 1
        try:
            yield got
        except KeyError:
            yield "caught"

    async def collect():
        return [i async for i in acounting(2)]

    def all_of_them():
        assert plain(1) == 3
        assert quiet(1) == 3
        assert asyncio.run(waiting(1)) == 3
        generator = counting(2)
        seen = [next(generator), next(generator)]
        try:
            next(generator)
        except StopIteration as stop:
            assert stop.value == "done"
        assert seen == [0, 1]
        assert asyncio.run(collect()) == [0, 1]
        assert Thing().method(5) == 5
        echoing = tracecraft.step(echo)()
        assert (next(echoing), echoing.send("x"), echoing.throw(KeyError)) == (1, "x", "caught")
        echoing.close()
        try:
            failing()
        except ValueError:
            pass
        else:
            raise SystemExit("it did not fail")
        assert plain.__name__ == "plain"
        assert asyncio.iscoroutinefunction(waiting)
"""


def test_decorated_functions_are_steps(folder_world: World) -> None:
    run(folder_world, DECORATED + '\n    with tracecraft.run("x"):\n        all_of_them()')
    found = only_run(folder_world)
    spans = {line.span: line for line in found.of(log.Span)}
    inputs = {spans[line.span].name: line.value for line in found.of(log.Input)}
    outputs = {spans[line.span].name: line.value for line in found.of(log.Output)}
    assert inputs["Thing.method"] == {"a": 5}
    assert inputs["waiting"] == {"a": 1}
    assert outputs["waiting"] == 3
    assert "named" not in inputs
    assert "named" not in outputs
    assert found.spans["named"].kind == "tool_call"
    parents = [spans[span.parent].name if span.parent else "" for span in spans.values() if span.name == "plain"]
    assert sorted(parents) == ["", "acounting", "acounting", "counting", "counting", "named", "waiting"]
    failed = {spans[line.span].name for line in found.of(log.SpanEnd) if line.status == "failed"}
    assert failed == {"failing"}
    assert len(found.of(log.SpanEnd)) == len(spans)


def test_decorated_functions_are_themselves_without_a_run(folder_world: World) -> None:
    run(folder_world, DECORATED + "\n    all_of_them()")
    assert runs(folder_world) == {}


def test_a_generators_caller_is_not_in_its_step(folder_world: World) -> None:
    program = """
        @tracecraft.step
        def numbers():
            yield 1
            yield 2

        with tracecraft.run("x") as run:
            for number in numbers():
                run.step(f"of caller {number}").end()
    """
    run(folder_world, program)
    found = only_run(folder_world)
    assert (found.parent_of("of caller 1"), found.parent_of("of caller 2")) == ("", "")


CHILD = """
import tracecraft
@tracecraft.step
def work(): pass
work()
tracecraft.current_run().log_metric('child', 1)
with tracecraft.run('nested') as nested:
    nested.log_metric('m', 2)
"""


def test_child_processes(world: World) -> None:
    program = f"""
        import os, subprocess, sys
        with tracecraft.run("outer") as run:
            with run.step("calls") as step:
                subprocess.run([sys.executable, "-c", {CHILD!r}], check=True)
                subprocess.run([sys.executable, "-m", "tracecraft", "memory", "set", "k", "v"], check=True)
            assert os.environ["TRACECRAFT_RUN"] == run.id
        assert "TRACECRAFT_RUN" not in os.environ
        assert "TRACECRAFT_SPAN" not in os.environ
    """
    run(world, program)
    found = runs(world)
    outer, nested = found["outer"], found["nested"]
    assert outer.metrics == {"child": 1}
    assert outer.parent_of("work") == "calls"
    assert outer.status == "completed"
    assert nested.meta.parent == outer.meta.run
    assert world.open().memory.list()[0].value == "v"
    project = world.open()
    from tracecraft.memory import Value
    from tracecraft.records import read

    stored = read(project.store, project.layout.memory("k"), Value)
    assert stored is not None
    assert stored.record.run == outer.meta.run


@pytest.mark.parametrize("chosen", ["arguments", "a settings file"])
def test_child_processes_find_the_project_that_was_chosen(folder_world: World, chosen: str) -> None:
    arguments = 'project="other", store="./elsewhere"' if chosen == "arguments" else ""
    if not arguments:
        folder_world.run("a", "init", "--store", "./elsewhere", "--project", "other")
    program = f"""
        import os, subprocess, sys
        if not {arguments!r}:
            del os.environ["TRACECRAFT_STORE"], os.environ["TRACECRAFT_PROJECT"]
        tracecraft.init({arguments})
        with tracecraft.run("outer"):
            subprocess.run([sys.executable, "-c", {CHILD!r}], check=True, cwd="/")
    """
    run(folder_world, program)
    place = folder_world.folder("a") / "elsewhere"
    found = runs(World(folder_world.root, place.as_uri(), "other"))
    assert found.keys() == {"outer", "nested"}
    assert found["outer"].metrics == {"child": 1}


FORKED = """
    import os

    with tracecraft.run("outer") as run:
        with run.step("calls"):
            run.log_metric("before", 1)
            pid = os.fork()
            if not pid:
                run.step("in child").end()
                run.log_metric("child", 2)
                run.flush()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        run.log_metric("after", 3)
"""


def test_a_forked_child_is_another_writer(world: World) -> None:
    run(world, FORKED)
    found = only_run(world)
    assert found.metrics == {"before": 1, "child": 2, "after": 3}
    assert found.parent_of("in child") == "calls"
    assert len(found.of(log.Writer)) == 2
    assert found.status == "completed"


def test_a_forked_child_that_leaves_the_block_does_not_end_the_run(folder_world: World) -> None:
    program = """
        import os
        pid = None
        with tracecraft.run("outer") as run:
            with run.step("calls"):
                pid = os.fork()
                run.log_metric("parent" if pid else "child", 1)
        if pid:
            os.waitpid(pid, 0)
    """
    run(folder_world, program)
    found = only_run(folder_world)
    assert found.metrics == {"parent": 1, "child": 1}
    assert len(found.of(log.SpanEnd)) == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(folder_world: World, method: str) -> None:
    folder_world.folder("a").joinpath("work.py").write_text(
        "import tracecraft\n\n\n@tracecraft.step\ndef work(number):\n    return number\n"
    )
    program = f"""
        import multiprocessing, sys
        sys.path.insert(0, ".")
        from work import work

        if __name__ == "__main__":
            with tracecraft.run("outer") as run:
                with run.step("calls"):
                    pool = multiprocessing.get_context({method!r}).Pool(2)
                    assert pool.map(work, range(6)) == list(range(6))
                    pool.close()
                    pool.join()
    """
    run(folder_world, program)
    found = only_run(folder_world)
    outputs = sorted(line.value for line in found.of(log.Output))
    assert outputs == list(range(6))
    assert {found.parent_of("work")} == {"calls"}
