"""Runs as OpenTelemetry traces in OTLP/JSON Lines: each line is a complete export request.

Names are those of the semantic conventions for generative AI. They are still in development, so the version they are
of is written beside them. Identifiers are made from those of the run, so a second export gives the same trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from tracecraft import __version__
from tracecraft.runs.cost import cost_of
from tracecraft.runs.exporting.happenings import Arrow, Happening, arrows
from tracecraft.runs.exporting.trace import Trace, Used, Whole, as_text, only
from tracecraft.runs.log import Usage

if TYPE_CHECKING:
    from tracecraft.project import Project

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/1.42.0"

_SPANS_PER_LINE = 256
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_ERROR_TYPE = re.compile(r"[A-Za-z_][\w.]*")
_INTERNAL, _CLIENT = 1, 3
_OK, _ERROR = 1, 2

Json = dict[str, Any]


def write(project: Project, runs: Iterable[str], happened: dict[str, list[Happening]]) -> Iterator[bytes]:
    """Export requests, one a line, of at most 256 spans each. The span of a run comes after those within it."""
    for run in runs:
        trace = Trace(project, run, happened.get(run, ()))
        spans = _Spans(trace).all()
        while some := list(islice(spans, _SPANS_PER_LINE)):
            yield msgspec.json.encode(_request(trace, some)) + b"\n"


def _request(trace: Trace, spans: list[Json]) -> Json:
    captured = trace.meta.captured
    resource = {
        "service.name": "tracecraft",
        "host.name": captured.host,
        "process.pid": captured.pid or None,
        "process.command_args": captured.command,
        "vcs.ref.head.revision": captured.commit,
        "vcs.ref.head.name": captured.branch,
        "tracecraft.project": trace.project.name,
    }
    scope = {"scope": {"name": "tracecraft", "version": __version__}, "schemaUrl": SCHEMA_URL, "spans": spans}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}


class _Spans:
    """The spans of one run."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._run = trace.meta.run
        self._links: dict[str, list[Json]] = {}
        for arrow in arrows(trace.happened):
            self._link(arrow)

    def all(self) -> Iterator[Json]:
        loose: dict[tuple[str, str, str], tuple[Used, float, float]] = {}
        for item in self._trace.items():
            if isinstance(item, Whole):
                yield self._of(item)
            elif isinstance(item, Usage) and not item.span:
                used, first, _ = loose.get((item.agent, item.provider, item.model), (Used(), item.at, item.at))
                used.add(item)
                loose[item.agent, item.provider, item.model] = used, first, item.at
        for (agent, provider, model), (used, first, last) in loose.items():
            yield self._calls(f"{agent}/{provider}/{model}", agent, used, first, last)
        yield self._of_run()

    def _of(self, span: Whole) -> Json:
        name, kind, attributes = _convention(span)
        events = [_event("tracecraft.note", at, {"text": text}) for at, text in span.notes]
        known = span.parent in self._trace.extents and span.parent != span.id
        return self._span(
            span_id_of(self._run, span.id),
            span_id_of(self._run, span.parent) if known else root_id_of(self._run),
            name,
            kind,
            (span.extent.start, span.extent.end),
            {**attributes, **_usage(span.used), "tracecraft.span.unfinished": not span.extent.ended or None},
            [*events, *map(_happening, span.happened)],
            span.status,
            span.error,
        )

    def _calls(self, key: str, agent: str, used: Used, first: float, last: float) -> Json:
        """What was used outside of every span, as one span for each model of an agent."""
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": used.model, "gen_ai.agent.name": agent}
        return self._span(
            span_id_of(self._run, f"calls/{key}"),
            root_id_of(self._run),
            f"chat {used.model}".strip(),
            _CLIENT,
            (first, last),
            {**attributes, **_usage(used)},
            [],
            "",
            "",
        )

    def _of_run(self) -> Json:
        trace, meta, summary = self._trace, self._trace.meta, self._trace.summary
        cost = cost_of(summary)
        attributes = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": meta.name,
            "tracecraft.run.id": meta.run,
            "tracecraft.run.status": trace.status,
            "tracecraft.run.group": meta.group,
            "tracecraft.run.parent": meta.parent,
            "tracecraft.run.tags": summary.tag_names,
            "tracecraft.run.cost.usd": cost.dollars,
            "tracecraft.run.cost.source": cost.source,
            "tracecraft.run.cost.unpriced": cost.unpriced,
            **{f"tracecraft.param.{name}": given.value for name, given in summary.params.items()},
            **{f"tracecraft.metric.{name}": metric.last for name, metric in summary.metrics.items()},
        }
        if meta.parent:
            self._links.setdefault(root_id_of(self._run), []).append(
                _linked(trace_id_of(meta.parent), root_id_of(meta.parent), {"tracecraft.link": "parent"})
            )
        outside = [_happening(event) for event in trace.happened if event.span not in trace.extents]
        status = {"completed": "ok", "failed": "failed"}.get(trace.status, "")
        return self._span(
            root_id_of(self._run),
            "",
            f"invoke_workflow {meta.name}".strip(),
            _INTERNAL,
            (trace.start, trace.end),
            attributes,
            outside,
            status,
            meta.error,
        )

    def _span(
        self,
        id: str,
        parent: str,
        name: str,
        kind: int,
        time: tuple[float, float],
        attributes: Mapping[str, Any],
        events: list[Json],
        status: str,
        error: str,
    ) -> Json:
        span: Json = {
            "traceId": trace_id_of(self._run),
            "spanId": id,
            "name": name or "(unnamed)",
            "kind": kind,
            "startTimeUnixNano": _nanos(time[0]),
            "endTimeUnixNano": _nanos(max(time)),
            "attributes": _attributes({**attributes, "error.type": _error_type(error) if status == "failed" else None}),
            "events": events,
            "links": self._links.get(id, []),
            "status": {"code": _ERROR, "message": error} if status == "failed" else {"code": _OK} if status else {},
        }
        return {**span, "parentSpanId": parent} if parent else span

    def _link(self, arrow: Arrow) -> None:
        """Where a message or handoff was taken in one span and sent in another, the first links to the second."""
        if arrow.taken is None:
            return
        sent, taken = self._span_of(arrow.sent), self._span_of(arrow.taken)
        if sent != taken:
            told = {"tracecraft.link": arrow.kind, "tracecraft.from": arrow.sent.agent, "tracecraft.to": arrow.to}
            self._links.setdefault(taken, []).append(_linked(trace_id_of(self._run), sent, told))

    def _span_of(self, event: Happening) -> str:
        known = event.span in self._trace.extents
        return span_id_of(self._run, event.span) if known else root_id_of(self._run)


def trace_id_of(run: str) -> str:
    return sha256(f"trace/{run}".encode()).hexdigest()[:32]


def root_id_of(run: str) -> str:
    """The id of the span that is the run itself."""
    return sha256(f"root/{run}".encode()).hexdigest()[:16]


def span_id_of(run: str, span: str) -> str:
    """A span's own id, where it can be one."""
    if _SPAN_ID.fullmatch(span) and span.strip("0"):
        return span
    return sha256(f"span/{run}/{span}".encode()).hexdigest()[:16]


def _convention(span: Whole) -> tuple[str, int, Json]:
    """A span's name, kind and attributes as the conventions have them for what it is."""
    attributes: Json = {
        "gen_ai.agent.name": span.agent,
        "gen_ai.request.model": span.model,
        "tracecraft.span.kind": span.kind,
    }
    told, back = only(span.inputs), only(span.outputs)
    match span.kind:
        case "tool_call":
            tool = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": span.name,
                "gen_ai.tool.call.id": span.id,
                "gen_ai.tool.call.arguments": _text(told),
                "gen_ai.tool.call.result": _text(back),
            }
            return f"execute_tool {span.name}", _INTERNAL, {**attributes, **tool}
        case "model_call":
            model = span.model or (span.used.model if span.used else "") or span.name
            call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
            name, kind = f"chat {model}", _CLIENT
        case "agent":
            call = {"gen_ai.operation.name": "invoke_agent"}
            name, kind = f"invoke_agent {span.agent or span.name}", _INTERNAL
        case _:
            call = {}
            name, kind = span.name, _INTERNAL
    contents = {"tracecraft.input": _text(told), "tracecraft.output": _text(back)}
    return name, kind, {**attributes, **call, **contents}


def _usage(used: Used | None) -> Json:
    if used is None:
        return {}
    return {
        "gen_ai.provider.name": used.provider,
        "gen_ai.usage.input_tokens": used.tokens.input,
        "gen_ai.usage.output_tokens": used.tokens.output,
        "gen_ai.usage.cache_read.input_tokens": used.tokens.cache_read,
        "gen_ai.usage.cache_creation.input_tokens": used.tokens.cache_write,
        "gen_ai.usage.reasoning.output_tokens": used.tokens.reasoning,
        "tracecraft.calls": used.calls,
        "tracecraft.cost.usd": used.dollars,
    }


def _happening(event: Happening) -> Json:
    told = {f"tracecraft.{name}": value for name, value in event.details.items()}
    return _event(
        f"tracecraft.{event.type}",
        event.at,
        {"tracecraft.subject": event.subject, "gen_ai.agent.name": event.agent, **told},
    )


def _event(name: str, at: float, attributes: Mapping[str, Any]) -> Json:
    return {"timeUnixNano": _nanos(at), "name": name, "attributes": _attributes(attributes)}


def _linked(trace: str, span: str, attributes: Mapping[str, Any]) -> Json:
    return {"traceId": trace, "spanId": span, "attributes": _attributes(attributes)}


def _attributes(values: Mapping[str, Any]) -> list[Json]:
    """Attributes without those that say nothing."""
    return [{"key": name, "value": _value(value)} for name, value in values.items() if value not in (None, "", [])]


def _value(value: Any) -> Json:
    match value:
        case bool():
            return {"boolValue": value}
        case int() if -(2**63) <= value < 2**63:
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list() if all(isinstance(item, str) for item in value):
            return {"arrayValue": {"values": [{"stringValue": item} for item in value]}}
    return {"stringValue": as_text(value)}


def _text(value: Any) -> str | None:
    return None if value is None else as_text(value)


def _error_type(error: str) -> str:
    """The name of an exception that a text of an error begins with."""
    found = _ERROR_TYPE.match(error)
    return found[0] if found and error[found.end() :].startswith((":", "(")) else "_OTHER"


def _nanos(seconds: float) -> str:
    return str(round(seconds * 1e6) * 1000)
