"""run list, inspect, compare, metrics, delete, reindex, as a person and a program see them."""

from __future__ import annotations

import os
import time

import pytest

from tests.runs.bulk import Made, make_run, put_loose, put_run
from tests.support.world import World
from tracecraft.runs import log
from tracecraft.runs.log import Known

RUN = "prompt-comparison-v2-3fa9c1d2"
EVIL = "\x1b[31mred\u202e\x9b"


def traced() -> Made:
    """A run of two agents with nested spans, one of which failed and one of which never ended."""
    made = make_run(100, name="prompt comparison v2", points=8)
    made.meta.run = RUN
    made.meta.captured.command = ["python", "train.py", EVIL]
    [lines] = made.logs.values()
    began = lines[-1].at

    def add(line: Known, at: float) -> None:
        line.id, line.at = len(lines) + 1, began + at
        lines.append(line)

    agent = "researcher"
    add(log.Span(span="a1", name="researcher", kind="agent", agent=agent, model="claude-sonnet-4-5"), 1)
    add(log.Span(span="b1", name="search", kind="tool_call", parent="a1", agent=agent), 2)
    add(log.Input(span="b1", value={"query": "multi-agent " + EVIL}), 2)
    add(log.Output(span="b1", value=["paper"] * 300), 3)
    add(log.SpanEnd(span="b1"), 3.5)
    add(log.Usage(span="a1", agent=agent, model="no-such-model", input=500, output=5), 4)
    add(log.Span(span="c1", name="write", parent="a1", agent="writer"), 5)
    add(log.SpanEnd(span="c1", status="failed", error=f"ValueError: bad\n{EVIL}"), 6)
    add(log.Span(span="d1", name="left", parent="a1", agent="writer"), 7)
    add(log.Note(text=f"first {EVIL}"), 8)
    add(log.Artifact(name="report.md", sha256="ab" * 32, size=1234), 9)
    return made


@pytest.fixture
def world(folder_world: World) -> World:
    project = folder_world.open()
    made = [*(make_run(n) for n in range(12)), traced()]
    for one in made:
        put_run(project, one)
    put_loose(project, made)
    return folder_world


def lines(text: str) -> list[str]:
    return text.splitlines()


def harmless(text: str) -> bool:
    return not any(mark in text for mark in ("\x1b", "\u202e", "\x9b"))


def test_list(world: World) -> None:
    done = world.run("a", "run", "list", "--limit", "2")
    heads, first, second, more = lines(done.out)
    assert heads.split()[:3] == ["RUN", "STATUS", "STARTED"]
    assert first.startswith(f"{RUN}  completed")
    assert "unpriced" in first
    assert second.startswith("run-0000000b")
    assert more == "11 more: --limit 0"


def test_runs_is_run_list(world: World) -> None:
    listed = world.run("a", "run", "list", "--status", "failed")
    assert world.run("a", "runs", "--status", "failed") == listed
    assert world.run("a", "runs") == world.run("a", "run", "list")
    assert world.run("a", "--json", "runs").json == world.run("a", "runs", "list", "--json").json
    assert world.run("a", "runs", "inspect", "3fa9") == world.run("a", "run", "inspect", "3fa9")
    unknown = world.run("a", "runs", "lst", exits=2)
    assert "No such command 'lst'" in unknown.err


def test_list_is_cut_to_the_terminal(world: World) -> None:
    done = world.run("a", "runs", COLUMNS="80")
    assert max(map(len, lines(done.out))) <= 80
    assert RUN in done.out
    assert max(map(len, lines(world.run("a", "runs").out))) > 80


def test_list_selects_and_sorts(world: World) -> None:
    query = ["--metric", "metric_0>0.4", "--param", "lr=0.1", "--sort", "metric:metric_0", "--json"]
    runs = world.run("a", "runs", *query).json["runs"]
    values = [run["metrics"]["metric_0"] for run in runs]
    assert values == sorted(values, reverse=True)
    assert all(value > 0.4 for value in values)
    assert {run["params"]["lr"] for run in runs} == {0.1}
    assert [run["run"] for run in world.run("a", "runs", "--tag", "shard-3", "--json").json["runs"]] == ["run-00000003"]
    assert world.run("a", "runs", "--since", "1h", "--json").json == {"schema": 1, "runs": [], "total": 0}
    assert world.run("a", "runs", "--status", "running").out == "no runs\n"


@pytest.mark.parametrize("query", [["--metric", "score"], ["--sort", "size"], ["--param", "x"], ["--status", "odd"]])
def test_list_refuses_what_it_does_not_understand(world: World, query: list[str]) -> None:
    done = world.run("a", "runs", *query, exits=2)
    assert "next: " in done.err


def test_inspect(world: World) -> None:
    done = world.run("a", "run", "inspect", "prompt comparison v2")
    out = done.out
    assert harmless(out)
    assert out.startswith(f"{RUN}  prompt comparison v2\n")
    shown = lines(out)
    steps = shown[shown.index("timeline") + 1 :]
    assert "note: first" in steps[0]
    assert [line.strip().split("  ", 1)[1] for line in steps if "+" in line[:14] and "note" not in line] == [
        "-  unfinished  researcher [agent]  researcher (claude-sonnet-4-5)",
        "1.5s  ok  search [tool_call]  researcher",
        "1.0s  FAILED  write  writer",
        "-  unfinished  left  writer",
    ]
    assert 'in: {"query":"multi-agent' in out
    assert "error: ValueError: bad\\n" in out
    assert "unpriced  no-such-model" in out
    assert max(map(len, shown)) <= 140
    whole = world.run("a", "run", "inspect", RUN, "--full").out
    assert '"paper","paper"' in whole
    assert len(whole) > len(out) + 2000


def test_inspect_as_json(world: World) -> None:
    done = world.run("a", "run", "inspect", "3fa9c1d2", "--json")
    assert harmless(done.out)
    told = done.json
    assert (told["run"], told["status"]) == (RUN, "completed")
    spans = {span["name"]: span for span in told["spans"]}
    assert [(span["name"], span["depth"], span["status"]) for span in told["spans"]] == [
        ("researcher", 0, "unfinished"), ("search", 1, "ok"), ("write", 1, "failed"), ("left", 1, "unfinished")
    ]  # fmt: skip
    assert spans["search"]["inputs"] == [{"value": {"query": "multi-agent " + EVIL}}]
    assert spans["search"]["outputs"][0]["begins"].startswith('["paper"')
    assert spans["search"]["duration_s"] == pytest.approx(1.5)
    assert told["cost"]["unpriced"] == ["no-such-model"]
    assert told["cost_by_model"]["no-such-model"]["cost"]["usd"] is None
    assert told["cost_by_agent"]["researcher"]["tokens"]["input"] == 500
    assert told["artifacts"][0]["name"] == "report.md"
    assert told["gaps"] == []
    whole = world.run("a", "run", "inspect", RUN, "--json", "--full").json
    assert whole["spans"][1]["outputs"] == [{"value": ["paper"] * 300}]


def test_inspect_shows_the_end_of_what_a_command_wrote(world: World) -> None:
    made = make_run(70)
    [recorded] = made.logs.values()
    for number in range(30):
        stream = "stderr" if number % 2 else "stdout"
        recorded.append(
            log.Text(id=len(recorded) + 1, at=recorded[-1].at, stream=stream, text=f"line {number} {EVIL}\n")
        )
    put_run(world.open(), made)
    shown = lines(world.run("a", "run", "inspect", made.meta.run).out)
    start = shown.index("output, the last 20 of 30 lines")
    assert [line[:10].rstrip() for line in shown[start + 1 : start + 3]] == ["  line 10", " !line 11"]
    assert all(map(harmless, shown))
    whole = world.run("a", "run", "inspect", made.meta.run, "--full", "--json").json["output"]
    assert len(whole) == 30
    assert whole[1] == {"stream": "stderr", "line": f"line 1 {EVIL}"}


def test_inspect_says_what_is_missing(world: World) -> None:
    project = world.open()
    [info] = project.store.list(project.layout.run_logs("run-00000003"))
    data = project.store.get(info.key).data.splitlines(keepends=True)
    project.store.put(project.layout.fragment("run-00000003", f"{3:016x}", 4, 5), b"".join(data[3:]))
    project.store.delete(info.key)
    done = world.run("a", "run", "inspect", "run-00000003")
    assert "note: lines 1 to 3 of writer 0000000000000003 are missing" in done.err


def test_which_run(world: World) -> None:
    ambiguous = world.run("a", "run", "inspect", "run-", "--json", exits=2)
    assert len(ambiguous.error["candidates"]) == 12
    missing = world.run("a", "run", "inspect", "nothing", "--json", exits=4)
    assert missing.error["code"] == "not_found"
    assert world.run("a", "run", "inspect", exits=2).err.startswith("error: no run is named")
    assert world.run("a", "run", "inspect", TRACECRAFT_RUN=RUN).out.startswith(RUN)


def test_compare(world: World) -> None:
    done = world.run("a", "run", "compare", "00000001", "00000002", "--diff-only")
    heads, *rows = lines(done.out)
    assert heads.split() == ["run-00000001", "run-00000002"]
    names = [row.split("  ")[0] for row in rows]
    assert "seed" in names
    assert "model" not in names
    assert sum("*" in row for row in rows if row.startswith("metric_")) == 5
    everything = world.run("a", "run", "compare", "00000001", "00000002")
    assert "model" in everything.out
    told = world.run("a", "run", "compare", "00000001", "00000002", "--json").json
    [seed] = [line for line in told["lines"] if line["name"] == "seed"]
    assert (seed["section"], seed["values"], seed["differs"], seed["best"]) == ("params", [1, 2], True, [])


def test_compare_many(world: World) -> None:
    ids = [f"run-{n:08x}" for n in range(10)]
    done = world.run("a", "run", "compare", *ids, "--diff-only", COLUMNS="100")
    heads, *rows = lines(done.out)
    assert heads.startswith("RUN")
    assert [row.split()[0] for row in rows[:10]] == ids
    assert "more differ" in rows[10]
    group = world.run("a", "run", "compare", "--group", "group-1", "--json").json
    assert {run["run"] for run in group["runs"]} == {"run-00000001", "run-0000000b"}
    assert world.run("a", "run", "compare", "00000001", exits=2).err.startswith("error: fewer than two runs")


def test_metrics(world: World) -> None:
    done = world.run("a", "run", "metrics", RUN)
    assert lines(done.out)[0].split() == ["METRIC", "LAST", "MIN", "MAX", "VALUES"]
    assert len(lines(done.out)) == 6
    told = world.run("a", "run", "metrics", RUN, "--name", "metric_1", "--json").json
    assert list(told["metrics"]) == ["metric_1"]
    assert [point["step"] for point in told["metrics"]["metric_1"]["points"]] == list(range(8))
    missing = world.run("a", "run", "metrics", RUN, "--name", "nothing")
    assert (missing.out, "has no metric nothing" in missing.err) == ("no metrics\n", True)
    assert world.run("a", "run", "metrics", "nothing", exits=4)


def test_metrics_are_drawn(world: World) -> None:
    drawn = world.run("a", "run", "metrics", RUN, "--name", "metric_1", "--plot", PYTHONIOENCODING="utf-8").out
    assert any("\u2800" < character <= "\u28ff" for character in drawn)
    plain = world.run("a", "run", "metrics", RUN, "--plot", "--log", PYTHONIOENCODING="ascii").out
    assert plain.isascii()
    assert "*" in plain
    assert plain.count("logarithmic") == 5


def test_delete_and_reindex(world: World) -> None:
    done = world.run("a", "run", "delete", "3fa9c1d2", "00000001", "--json").json
    assert [one["run"] for one in done["deleted"]] == [RUN, "run-00000001"]
    world.run("a", "run", "inspect", RUN, exits=4)
    assert world.run("a", "runs", "--json").json["total"] == 11
    again = world.run("a", "run", "delete", RUN)
    assert again.out == f"deleted {RUN} (again; 0 objects were left)\n"
    assert world.run("a", "run", "reindex", "--json").json == {"schema": 1, "runs": 11, "deleted": 2, "entries": 13}
    assert world.run("a", "runs", "--json").json["total"] == 11


def test_a_running_run_is_not_deleted(world: World) -> None:
    made = make_run(50, status="running")
    put_run(world.open(), made)
    refused = world.run("a", "run", "delete", made.meta.run, "--json", exits=3)
    assert refused.error["code"] == "wrong_state"
    world.run("a", "run", "delete", made.meta.run, "--force")


def test_a_stale_run_is_told_so(world: World) -> None:
    project = world.open()
    made = make_run(60, status="running")
    put_run(project, made)
    put_loose(project, [made])
    assert world.run("a", "run", "inspect", made.meta.run, "--json").json["status"] == "running"
    then = time.time() - 120
    for key in (project.layout.run_meta(made.meta.run), project.layout.run_entry(made.meta.run, f"{60:016x}")):
        path = project.store.url.removeprefix("file://") + "/" + key
        os.utime(path, (then, then))
    assert world.run("a", "run", "inspect", made.meta.run, "--json").json["status"] == "stale"
    assert [run["run"] for run in world.run("a", "runs", "--status", "stale", "--json").json["runs"]] == [made.meta.run]


def test_looking_writes_nothing(world: World) -> None:
    project = world.open()
    before = {(info.key, info.etag) for info in project.store.list("demo/")}
    for words in (
        ["runs"],
        ["run", "inspect", RUN],
        ["run", "compare", "00000001", "00000002"],
        ["run", "metrics", RUN],
    ):
        world.run("a", *words, "--json")
    assert {(info.key, info.etag) for info in project.store.list("demo/")} == before
