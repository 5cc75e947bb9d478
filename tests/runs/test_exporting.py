"""Exports of runs, read back as their readers would."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runs.bulk import Made, make_run, put_loose, put_run
from tests.runs.consumers import check_atif, check_chrome_trace, decode_otlp
from tests.runs.recorded import (
    AT,
    CHILD,
    HOSTILE,
    LEAD,
    OPEN,
    OVERLAP,
    RESEARCH,
    RUN,
    SEARCH,
    SONNET,
    THINK,
    WRITE,
    write_events,
    write_run,
)
from tests.support.world import World
from tracecraft.errors import Missing
from tracecraft.project import Project
from tracecraft.runs import log
from tracecraft.runs.cost import cost_of
from tracecraft.runs.exporting.formats import Format, export_run, export_runs
from tracecraft.runs.exporting.lanes import Lanes, Slice
from tracecraft.runs.exporting.otlp import root_id_of, trace_id_of
from tracecraft.runs.reading import lines, raw_lines, read_run

FORMATS: Sequence[Format] = get_args(Format)


@pytest.fixture
def project(folder_world: World) -> Project:
    project = folder_world.open()
    write_run(project)
    write_events(project)
    return project


def exported(project: Project, kind: Format) -> bytes:
    return b"".join(export_run(project, RUN, kind))


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


# csv


def test_csv_of_a_run_has_every_value_it_measured(project: Project) -> None:
    rows = rows_of(exported(project, "csv"))
    *losses, strange = [(row["step"], row["value"]) for row in rows if row["metric"] == "loss"]
    assert [(float(step), float(value)) for step, value in losses] == [(step, 1 / (step + 1)) for step in range(5)]
    assert strange == ("", "nan")
    assert {row["run"] for row in rows} == {RUN}
    assert {row["metric"] for row in rows} == {"loss", "accuracy", "'=evil"}


def test_csv_of_runs_has_a_row_each_and_no_formula(project: Project) -> None:
    many = [make_run(number, metrics=2) for number in range(3)]
    for made in many:
        put_run(project, made)
    rows = rows_of(b"".join(export_runs(project, [RUN, *(made.meta.run for made in many)], "csv")))
    assert [row["run"] for row in rows] == [RUN, *(made.meta.run for made in many)]
    ours, view = rows[0], read_run(project, RUN)
    assert (ours["param.lr"], ours["param.prompt"]) == ("0.1", "'" + HOSTILE)
    assert json.loads(ours["param.nested"]) == {"a": [1, None]}
    assert ours["tags"] == "'=1+1 nightly"
    assert float(ours["metric.loss"]) == 0.2
    assert float(ours["cost_usd"]) == pytest.approx(cost_of(view.summary).dollars)
    assert ours["unpriced"] == "mystery"
    assert (ours["duration_s"], ours["status"], ours["missing_lines"]) == ("60.0", "completed", "0")
    assert rows[1]["metric.loss"] == ""
    assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for row in rows for cell in [*row, *row.values()])


# jsonl


def test_jsonl_loses_nothing(project: Project) -> None:
    documents = [json.loads(line) for line in exported(project, "jsonl").splitlines()]
    assert documents[0]["meta"] == json.loads(project.store.get(project.layout.run_meta(RUN)).data)
    told = [document["line"] for document in documents[1:-1]]
    assert told == [json.loads(line) for line in raw_lines(project, RUN)]
    for writer in (LEAD, CHILD):
        ids = [document["line"]["id"] for document in documents[1:-1] if document["writer"] == writer]
        assert ids == list(range(1, len(ids) + 1))
    assert documents[-1]["end"] == {"lines": len(told), "gaps": [], "broken": []}


def test_unknown_kinds_of_lines_and_unknown_fields_stay(project: Project) -> None:
    key = project.layout.fragment(RUN, "cccccccccccccccc", 1, 1)
    strange = b'{"type":"hologram","id":1,"at":1.50,"big":123456789012345678901234567890}'
    project.store.put(key, strange + b"\n")
    assert strange in exported(project, "jsonl")


def test_missing_lines_are_told(project: Project) -> None:
    project.store.delete(project.layout.fragment(RUN, LEAD, 5, 8))
    for kind in FORMATS:
        project.notices.clear()
        data = exported(project, kind)
        assert any(f"the lines 5 to 8 of the writer {LEAD} are missing" in notice for notice in project.notices), kind
    assert data
    end = json.loads(exported(project, "jsonl").splitlines()[-1])["end"]
    assert end["gaps"] == [{"writer": LEAD, "first": 5, "last": 8}]


# chrome-trace


def test_chrome_trace_keeps_its_rules_and_has_every_span(project: Project) -> None:
    events = check_chrome_trace(exported(project, "chrome-trace"))
    slices = {event["args"]["span"]: event for event in events if event["ph"] == "X" and "span" in event["args"]}
    assert set(slices) == {RESEARCH, SEARCH, THINK, WRITE, OVERLAP, OPEN}
    search = slices[SEARCH]
    assert (search["ts"], search["dur"]) == (round((AT + 2) * 1e6), 2_000_000)
    assert search["args"]["input"] == {"query": HOSTILE}
    assert slices[OPEN]["args"]["status"] == "unfinished"
    assert slices[OVERLAP]["args"]["error"] == "ValueError: no"
    assert slices[THINK]["args"]["tokens"] == {"input": 1000, "output": 20, "cache_read": 800}


def test_overlapping_spans_of_an_agent_lie_in_lanes_of_their_own(project: Project) -> None:
    events = check_chrome_trace(exported(project, "chrome-trace"))
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {"(run)", "researcher", "researcher 2", "writer"} <= set(names.values())
    slices = {event["args"].get("span"): event for event in events if event["ph"] == "X"}
    assert slices[SEARCH]["tid"] != slices[OVERLAP]["tid"]


def test_messages_and_handoffs_are_arrows_and_claims_are_instants(project: Project) -> None:
    events = check_chrome_trace(exported(project, "chrome-trace"))
    arrows = [(event["ph"], event["cat"], event["ts"]) for event in events if event["ph"] in "sf"]
    micros = {after: round((AT + after) * 1e6) for after in (2.5, 10.0, 11.0, 13.0)}
    assert sorted(arrows) == sorted(
        [
            ("s", "message", micros[2.5]),
            ("f", "message", micros[10.0]),
            ("s", "handoff", micros[11.0]),
            ("f", "handoff", micros[13.0]),
        ]
    )
    instants = [event["name"] for event in events if event["ph"] == "i" and event["cat"].startswith("claim")]
    assert instants == ["claim survey", "claim.refused paper", "claim paper"]


def test_counters_end_with_what_the_run_used(project: Project) -> None:
    events = check_chrome_trace(exported(project, "chrome-trace"))
    cost = cost_of(read_run(project, RUN).summary)
    costs = [event["args"]["usd"] for event in events if event["ph"] == "C" and event["name"] == "cost"]
    tokens = [event["args"] for event in events if event["ph"] == "C" and event["name"] == "tokens"]
    assert costs == sorted(costs)
    assert costs[-1] == pytest.approx(cost.dollars)
    assert tokens[-1] == {"input": cost.tokens.input, "output": cost.tokens.output}


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=40))
def test_in_a_lane_slices_only_nest(pairs: list[tuple[int, int]]) -> None:
    slices = [Slice(str(n), "a", min(pair), max(pair)) for n, pair in enumerate(pairs)]
    lanes = Lanes(["a"], slices)
    events = [
        {"ph": "X", "name": "s", "pid": 1, "tid": lanes.of_slice(s.key), "ts": s.start, "dur": s.end - s.start}
        for s in slices
    ]
    check_chrome_trace(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}).encode())
    assert set(lanes.names.values()) == {("a", n + 1) for n in range(len(lanes.names))}


# otlp


def attributes(item: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in item.attributes}


def test_otlp_is_decoded_by_opentelemetry(project: Project) -> None:
    spans = decode_otlp(exported(project, "otlp"))
    by_name = {span.name: span for span in spans}
    assert {span.trace_id.hex() for span in spans} == {trace_id_of(RUN)}
    assert len({span.span_id for span in spans}) == len(spans)
    root = by_name["invoke_workflow prompt comparison"]
    assert (root.span_id.hex(), root.parent_span_id) == (root_id_of(RUN), b"")
    ids = {span.span_id for span in spans}
    assert all(span.parent_span_id in ids for span in spans if span is not root)
    search, think = by_name["execute_tool search"], by_name[f"chat {SONNET}"]
    assert search.span_id.hex() == SEARCH
    assert search.parent_span_id.hex() == RESEARCH
    assert json.loads(attributes(search)["gen_ai.tool.call.arguments"]) == {"query": HOSTILE}
    assert search.start_time_unix_nano == round((AT + 2) * 1e6) * 1000
    told = attributes(think)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (1000, 20)
    assert told["gen_ai.usage.cache_read.input_tokens"] == 800
    assert told["tracecraft.cost.usd"] == pytest.approx((200 * 3 + 800 * 0.3 + 20 * 15) / 1e6)
    assert (by_name["overlap"].status.code, attributes(by_name["overlap"])["error.type"]) == (2, "ValueError")
    assert "invoke_agent researcher" in by_name
    assert attributes(by_name["never done"])["tracecraft.span.unfinished"] is True


def test_otlp_tells_of_all_tokens_once(project: Project) -> None:
    spans = decode_otlp(exported(project, "otlp"))
    cost = cost_of(read_run(project, RUN).summary)
    used = [attributes(span) for span in spans]
    assert sum(told.get("gen_ai.usage.input_tokens", 0) for told in used) == cost.tokens.input
    assert sum(told.get("tracecraft.cost.usd", 0.0) for told in used) == pytest.approx(cost.dollars)


def test_otlp_has_what_agents_did_together_as_events_and_links(project: Project) -> None:
    spans = {span.span_id.hex(): span for span in decode_otlp(exported(project, "otlp"))}
    assert [event.name for event in spans[RESEARCH].events] == ["tracecraft.claim"]
    assert [event.name for event in spans[WRITE].events] == [
        "tracecraft.inbox.read",
        "tracecraft.ack",
        "tracecraft.claim",
    ]
    outside = [event.name for event in spans[root_id_of(RUN)].events]
    assert outside == ["tracecraft.send", "tracecraft.complete", "tracecraft.claim.refused"]
    links = [(link.span_id.hex(), attributes(link)["tracecraft.link"]) for link in spans[WRITE].links]
    assert links == [(SEARCH, "message"), (root_id_of(RUN), "handoff")]


def test_a_run_within_a_run_links_to_it(folder_world: World) -> None:
    project = folder_world.open()
    write_run(project, parent="outer-00000001")
    (root,) = [span for span in decode_otlp(exported(project, "otlp")) if not span.parent_span_id]
    assert [link.trace_id.hex() for link in root.links] == [trace_id_of("outer-00000001")]


# atif


def test_atif_has_a_trajectory_for_each_agent(project: Project) -> None:
    document = json.loads(exported(project, "atif"))
    check_atif(document)
    assert document["agent"]["name"] == "lead"
    others = {other["agent"]["name"]: other for other in document["subagent_trajectories"]}
    assert set(others) == {"researcher", "writer"}
    steps = others["researcher"]["steps"]
    assert [step["timestamp"] for step in steps] == sorted(step["timestamp"] for step in steps)
    (search,) = [step for step in steps if step.get("tool_calls")]
    assert search["tool_calls"][0]["arguments"] == {"query": HOSTILE}
    assert json.loads(search["observation"]["results"][0]["content"]) == ["paper 1", {"n": 2}]
    (think,) = [step for step in steps if step["message"] == "the answer"]
    assert (think["llm_call_count"], think["model_name"], think["metrics"]["prompt_tokens"]) == (1, SONNET, 1000)
    assert think["metrics"]["cached_tokens"] == 800
    (claim,) = [step for step in steps if step["message"] == "claim survey"]
    assert claim["extra"]["tracecraft"] == {"type": "claim", "subject": "survey", "span": RESEARCH, "fence": 1}


def test_atif_totals_come_to_what_the_run_cost(project: Project) -> None:
    document = json.loads(exported(project, "atif"))
    cost = cost_of(read_run(project, RUN).summary)
    every = [document, *document["subagent_trajectories"]]
    assert sum(one["final_metrics"]["total_prompt_tokens"] for one in every) == cost.tokens.input
    dollars = [one["final_metrics"].get("total_cost_usd", 0.0) for one in every]
    assert sum(dollars) == pytest.approx(cost.dollars)
    assert document["extra"]["cost"]["unpriced"] == ["mystery"]
    metrics = [step["metrics"] for one in every for step in one["steps"] if "metrics" in step]
    assert sum(one["prompt_tokens"] for one in metrics) == cost.tokens.input


# all of them


def check_atifs(data: bytes) -> None:
    for line in data.splitlines():
        check_atif(json.loads(line))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_second_export_is_the_same(project: Project, kind: Format) -> None:
    assert exported(project, kind) == exported(project, kind)


@pytest.mark.parametrize("kind", FORMATS)
def test_several_runs_and_none(project: Project, kind: Format) -> None:
    write_run(project, "second-22222222", agent="")
    check: dict[str, Callable[[bytes], Any]] = {
        "csv": rows_of,
        "jsonl": lambda data: [json.loads(line) for line in data.splitlines()],
        "chrome-trace": check_chrome_trace,
        "otlp": decode_otlp,
        "atif": check_atifs,
    }
    for runs in ([], [RUN], [RUN, "second-22222222"]):
        check[kind](b"".join(export_runs(project, runs, kind)))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_run_that_is_not_there(project: Project, kind: Format) -> None:
    with pytest.raises(Missing):
        list(export_run(project, "nobody-00000000", kind))


@pytest.mark.parametrize("kind", FORMATS)
def test_lines_that_make_no_sense_do_not_stop_an_export(folder_world: World, kind: Format) -> None:
    """Ends without a beginning, times beyond every calendar, a span that is its own parent, an empty run."""
    project = folder_world.open()
    odd: list[log.Known] = [
        log.SpanEnd(id=1, at=-5.0, span="zz"),
        log.Span(id=2, at=1e300, span="loop", name="", parent="loop", kind=""),
        log.Input(id=3, at=1.0, span="loop", value=10**30),
        log.Usage(id=4, at=1e18, span="gone", model="", input=-5, call="c"),
        log.Metrics(id=5, at=0.0, values={"": 1e308}),
        log.Note(id=6, at=2.0, text=""),
    ]
    made = make_run(1)
    put_run(project, Made(made.meta, {LEAD: odd}))
    empty = make_run(2)
    put_run(project, Made(empty.meta, {}))
    for run in (made.meta.run, empty.meta.run):
        data = b"".join(export_run(project, run, kind))
        if kind == "chrome-trace":
            check_chrome_trace(data)
        elif kind == "otlp":
            decode_otlp(data)
        elif kind == "atif":
            check_atif(json.loads(data))


# run export


def test_the_command_writes_a_file_whole_or_not_at_all(folder_world: World) -> None:
    project = folder_world.open()
    many = [make_run(number) for number in range(3)]
    for made in many:
        put_run(project, made)
    put_loose(project, many)
    folder = folder_world.folder("ada")
    run = many[0].meta.run
    told = folder_world.run("ada", "run", "export", run[:12], "--format", "jsonl", "-o", "run.jsonl", "--json").json
    assert (told["format"], told["runs"], told["size"]) == ("jsonl", 1, (folder / "run.jsonl").stat().st_size)
    assert (folder / "run.jsonl").stat().st_mode & 0o777 == 0o600
    said = folder_world.run("ada", "run", "export", "--all", "--format", "csv", "--output", "-").out
    assert {row["run"] for row in rows_of(said.encode())} == {made.meta.run for made in many}
    assert folder_world.run("ada", "run", "export", run, "--format", "jsonl").out == (folder / "run.jsonl").read_text()


def test_the_command_that_fails_leaves_what_was_there(folder_world: World) -> None:
    project = folder_world.open()
    made = make_run(1)
    put_run(project, made)
    put_loose(project, [made])
    project.store.put(project.layout.run_meta(made.meta.run), b"{broken")
    target = folder_world.folder("ada") / "runs.csv"
    target.write_text("before")
    for arguments in (["--all"], [made.meta.run]):
        folder_world.run("ada", "run", "export", *arguments, "--format", "otlp", "-o", "runs.csv", exits=1)
    assert target.read_text() == "before"
    assert [path.name for path in target.parent.iterdir()] == ["runs.csv"]


@pytest.mark.parametrize("arguments", [[], ["an-id", "--all"]])
def test_the_command_wants_one_run_or_all(folder_world: World, arguments: list[str]) -> None:
    error = folder_world.run("ada", "run", "export", *arguments, "--format", "csv", "--json", exits=2).error
    assert error["code"] == "usage"


def test_an_unknown_run_is_not_found(folder_world: World) -> None:
    folder_world.run("ada", "run", "export", "nobody", "--format", "csv", exits=4)


def test_exports_agree_with_the_log_about_its_lines(project: Project, tmp_path: Path) -> None:
    told = [json.loads(line)["line"]["id"] for line in exported(project, "jsonl").splitlines()[1:-1]]
    assert told == [line.id for _, line in lines(project, RUN)]
