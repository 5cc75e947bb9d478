"""What the readers of exports demand of them: rules of the formats, each naming what breaks it."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from typing import Any

Json = dict[str, Any]


def check_chrome_trace(data: bytes) -> list[Json]:
    """The events of a Chrome trace that keeps the rules of the JSON format; fails where it does not."""
    document = json.loads(data)
    assert document["displayTimeUnit"] in ("ms", "ns")
    events: list[Json] = document["traceEvents"]
    slices: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    flows: dict[int, list[Json]] = defaultdict(list)
    for event in events:
        assert event["ph"] in ("M", "X", "i", "C", "s", "f"), event
        assert all(type(event[field]) is int and event[field] >= 0 for field in ("pid", "tid", "ts")), event
        assert isinstance(event["name"], str), event
        assert event["name"], event
        where = (event["pid"], event["tid"])
        match event["ph"]:
            case "X":
                assert type(event["dur"]) is int, event
                assert event["dur"] >= 0, event
                slices[where].append((event["ts"], event["ts"] + event["dur"]))
            case "i":
                assert event["s"] in ("g", "p", "t")
            case "C":
                assert event["args"]
                assert all(isinstance(value, int | float) for value in event["args"].values())
            case "M":
                assert event["name"] in ("process_name", "process_sort_index", "thread_name", "thread_sort_index")
            case _:
                assert type(event["id"]) is int, event
                flows[event["id"]].append(event)
    for where, found in slices.items():
        _check_nesting(where, found)
    for flow in flows.values():
        _check_flow(flow, slices)
    return events


def _check_nesting(where: tuple[int, int], found: list[tuple[int, int]]) -> None:
    """Slices of one thread may contain each other, and may not overlap otherwise."""
    ends: list[int] = []
    for start, end in sorted(found, key=lambda pair: (pair[0], -pair[1])):
        while ends and ends[-1] <= start:
            ends.pop()
        assert not ends or end <= ends[-1], (where, start, end, ends)
        ends.append(end)


def _check_flow(flow: list[Json], slices: dict[tuple[int, int], list[tuple[int, int]]]) -> None:
    """A flow begins once, ends once, not before it began, and each end lies in a slice."""
    start, finish = sorted(flow, key=lambda event: event["ph"], reverse=True)
    assert (start["ph"], finish["ph"], finish["bp"]) == ("s", "f", "e")
    assert (start["name"], start["cat"]) == (finish["name"], finish["cat"])
    assert start["ts"] <= finish["ts"]
    for event in flow:
        around = slices[event["pid"], event["tid"]]
        assert any(begin <= event["ts"] <= end for begin, end in around), event


def decode_otlp(data: bytes) -> list[Any]:
    """The spans in export requests, decoded by OpenTelemetry's own definition of them; unknown fields are refused."""
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans = []
    for line in data.splitlines():
        request = ParseDict(_with_base64(json.loads(line)), ExportTraceServiceRequest())
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                assert scope.schema_url
                spans.extend(scope.spans)
    return spans


def _with_base64(document: Any) -> Any:
    """OTLP writes ids in hex where protobuf's own JSON has bytes in base64; everything else is the same."""
    if isinstance(document, list):
        return [_with_base64(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        name: _base64(value) if name in ("traceId", "spanId", "parentSpanId") else _with_base64(value)
        for name, value in document.items()
    }


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def check_atif(document: Json) -> None:
    """The rules of ATIF 1.7 that a trajectory of ours could break."""
    allowed = {
        *("schema_version", "session_id", "trajectory_id", "agent", "steps", "notes", "final_metrics", "extra"),
        *("continued_trajectory_ref", "subagent_trajectories"),
    }
    assert set(document) <= allowed
    assert document["schema_version"] == "ATIF-v1.7"
    assert document["agent"]["name"]
    assert document["agent"]["version"]
    assert [step["step_id"] for step in document["steps"]] == list(range(1, len(document["steps"]) + 1))
    assert document["steps"]
    for step in document["steps"]:
        _check_step(step)
    others = document.get("subagent_trajectories", [])
    names = [other["trajectory_id"] for other in others]
    assert len(set(names)) == len(names)
    for other in others:
        check_atif(other)
    for step in document["steps"]:
        for result in step.get("observation", {}).get("results", []):
            for reference in result.get("subagent_trajectory_ref", []):
                assert reference["trajectory_id"] in names


def _check_step(step: Json) -> None:
    assert set(step) <= {
        *("step_id", "timestamp", "source", "model_name", "message", "reasoning_content", "tool_calls", "observation"),
        *("metrics", "llm_call_count", "extra"),
    }
    assert isinstance(step["message"], str)
    if step["source"] != "agent":
        assert not {"model_name", "reasoning_content", "tool_calls", "metrics"} & set(step)
    if step.get("llm_call_count") == 0:
        assert "metrics" not in step
    calls = {call["tool_call_id"] for call in step.get("tool_calls", [])}
    for call in step.get("tool_calls", []):
        assert isinstance(call["arguments"], dict)
    for result in step.get("observation", {}).get("results", []):
        assert result.get("source_call_id", next(iter(calls), None)) in {*calls, None}
