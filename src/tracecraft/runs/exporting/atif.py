"""Runs as trajectories of agents (ATIF 1.7), one JSON document a line for each run.

Each agent has a trajectory. Those of the others are embedded in the lead's: of the agent that started the run, which
also has what is about the run itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec

from tracecraft import __version__
from tracecraft.clock import iso
from tracecraft.runs.cost import Share, cost_of
from tracecraft.runs.exporting.happenings import Happening
from tracecraft.runs.exporting.trace import Trace, Used, Whole, as_text, only
from tracecraft.runs.log import Line, Note, Usage

if TYPE_CHECKING:
    from tracecraft.project import Project

SCHEMA = "ATIF-v1.7"

_IN_MEMORY = 32 << 20

Json = dict[str, Any]


def write(project: Project, runs: Iterable[str], happened: dict[str, list[Happening]]) -> Iterator[bytes]:
    """A trajectory for each run, on a line, in pieces."""
    for run in runs:
        yield from _Trajectory(Trace(project, run, happened.get(run, ()))).pieces()
        yield b"\n"


class _Place(NamedTuple):
    """Where a step lies in the file of steps, and when it began."""

    at: float
    offset: int
    size: int


class _Steps:
    """The steps of every agent. Their contents are in a file where they are many."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (lives as this does)
        self._end = 0
        self._of: dict[str, list[_Place]] = {}

    def add(self, agent: str, at: float, step: Json) -> None:
        data = msgspec.json.encode({"timestamp": iso(at), **step})
        self._file.seek(self._end)
        self._file.write(data)
        self._of.setdefault(agent, []).append(_Place(at, self._end, len(data)))
        self._end += len(data)

    def of(self, agent: str) -> Iterator[bytes]:
        """An agent's steps by time, numbered from 1."""
        for number, place in enumerate(sorted(self._of[agent], key=lambda place: place.at), 1):
            self._file.seek(place.offset)
            yield f'{{"step_id":{number},'.encode() + self._file.read(place.size)[1:]


class _Trajectory:
    """The trajectory of a run."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._meta = trace.meta
        self._lead = trace.meta.agent
        self._cost = cost_of(trace.summary)
        self._steps = _Steps()
        told = chain(trace.summary.agents, (event.agent for event in trace.happened))
        self._others = [agent for agent in dict.fromkeys(told) if agent not in ("", self._lead)]

    def pieces(self) -> Iterator[bytes]:
        self._collect()
        yield from self._document(self._lead, self._run_facts(), last=not self._others)
        for number, agent in enumerate(self._others):
            yield b',"subagent_trajectories":[' if number == 0 else b","
            yield from self._document(agent, None, last=True)
        yield b"]}" if self._others else b""

    def _collect(self) -> None:
        """Make all steps. Every trajectory begins with one, as it must have one."""
        start = self._trace.start
        params = {name: given.value for name, given in self._trace.summary.params.items()}
        self._add(self._lead, start, _said(f"run {self._meta.name or self._meta.run}", params=params or None))
        for agent in self._others:
            self._add(agent, start, _said(f"agent {agent} in run {self._meta.name or self._meta.run}"))
            self._add(self._lead, start, self._delegated(agent))
        for item in self._trace.items():
            if isinstance(item, Whole):
                self._add(item.agent, item.extent.start, _of_span(item))
            elif not item.span:
                self._of_line(item)
        for event in self._trace.happened:
            self._add(event.agent, event.at, _of_event(event))

    def _of_line(self, line: Line) -> None:
        match line:
            case Note():
                self._add(line.agent, line.at, _said(line.text))
            case Usage():
                used = Used()
                used.add(line)
                self._add(line.agent, line.at, _acted("", used, model=line.model))

    def _add(self, agent: str, at: float, step: Json) -> None:
        self._steps.add(agent or self._lead, at, step)

    def _delegated(self, agent: str) -> Json:
        """The lead's step that leads to another agent's trajectory."""
        result = {
            "content": f"agent {agent}",
            "subagent_trajectory_ref": [{"session_id": self._meta.run, "trajectory_id": self._id_of(agent)}],
        }
        return {**_acted(f"agent {agent}", None), "observation": {"results": [result]}}

    def _document(self, agent: str, facts: Json | None, *, last: bool) -> Iterator[bytes]:
        """A trajectory. One to which more is to be added is left open."""
        model = self._trace.models.get(agent) or (self._trace.models.get("") if agent == self._lead else None)
        described = {"name": agent or self._meta.name or self._meta.run, "version": "unknown"}
        head = {
            "schema_version": SCHEMA,
            "session_id": self._meta.run,
            "trajectory_id": self._id_of(agent),
            "agent": {**described, **({"model_name": model} if model else {})},
        }
        yield msgspec.json.encode(head)[:-1] + b',"steps":['
        for number, step in enumerate(self._steps.of(agent)):
            yield step if number == 0 else b"," + step
        tail: Json = {"final_metrics": self._totals(agent)}
        if facts is not None:
            tail["extra"] = facts
        yield b"]," + msgspec.json.encode(tail)[1 : None if last else -1]

    def _totals(self, agent: str) -> Json:
        shares = self._cost.by_agent
        own = [shares[name] for name in ({agent, ""} if agent == self._lead else {agent}) if name in shares]
        dollars = [share.dollars for share in own if share.dollars is not None]
        totals: Json = {
            "total_prompt_tokens": sum(share.tokens.input for share in own),
            "total_completion_tokens": sum(share.tokens.output for share in own),
            "total_cached_tokens": sum(share.tokens.cache_read for share in own),
        }
        if dollars:
            totals["total_cost_usd"] = sum(dollars)
        return totals

    def _run_facts(self) -> Json:
        """What is known of the run as a whole, the other agents included."""
        meta, summary = self._meta, self._trace.summary
        return {
            "exported_by": f"tracecraft {__version__}",
            "project": self._trace.project.name,
            "run": {"id": meta.run, "name": meta.name, "status": self._trace.status, "group": meta.group},
            "started_at": meta.started_at,
            "ended_at": meta.ended_at,
            "tags": summary.tag_names,
            "metrics": {name: metric.last for name, metric in summary.metrics.items()},
            "cost": _cost_document(self._cost, self._cost.source),
        }

    def _id_of(self, agent: str) -> str:
        return f"{self._meta.run}/{agent}" if agent and agent != self._lead else self._meta.run


def _of_span(span: Whole) -> Json:
    told, back = only(span.inputs), only(span.outputs)
    extra = {
        "span": span.id,
        "parent": span.parent or None,
        "kind": span.kind,
        "status": (span.status or None) if span.extent.ended else "unfinished",
        "error": span.error or None,
        "duration_s": round(span.extent.end - span.extent.start, 6),
    }
    if span.kind == "tool_call":
        arguments = told if isinstance(told, dict) else {} if told is None else {"input": told}
        call = {"tool_call_id": span.id, "function_name": span.name, "arguments": arguments}
        step = {**_acted("", span.used, extra), "tool_calls": [call]}
        return _with_result(step, span.error if back is None else back, span.id)
    if span.kind == "model_call":
        step = _acted("" if back is None else as_text(back), span.used or Used(calls=1), extra, span.model)
    else:
        step = _with_result(_acted(span.name, span.used, extra, span.model), back)
    if told is not None:
        step["extra"]["input"] = told
    return step


def _with_result(step: Json, content: Any, call: str = "") -> Json:
    if content in (None, ""):
        return step
    source = {"source_call_id": call} if call else {}
    return {**step, "observation": {"results": [{**source, "content": as_text(content)}]}}


def _of_event(event: Happening) -> Json:
    told = {"type": event.type, "subject": event.subject, "span": event.span or None, **event.details}
    return _acted(f"{event.type} {event.subject}".strip(), None, {"tracecraft": told})


def _said(text: str, **extra: Any) -> Json:
    """A step that no agent took."""
    known = {name: value for name, value in extra.items() if value is not None}
    return {"source": "system", "message": text, **({"extra": known} if known else {})}


def _acted(text: str, used: Used | None, extra: Json | None = None, model: str = "") -> Json:
    """A step that an agent took, with what it used where it called a model."""
    step: Json = {"source": "agent", "message": text, "llm_call_count": used.calls if used else 0}
    model = model or (used.model if used else "")
    if model and used:
        step["model_name"] = model
    if used and any(msgspec.structs.astuple(used.tokens)):
        step["metrics"] = _metrics(used)
    if extra:
        step["extra"] = {name: value for name, value in extra.items() if value is not None}
    return step


def _metrics(used: Used) -> Json:
    tokens = used.tokens
    metrics: Json = {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "cached_tokens": tokens.cache_read,
        "extra": {"cache_write": tokens.cache_write, "reasoning": tokens.reasoning, "provider": used.provider},
    }
    return metrics if used.dollars is None else {**metrics, "cost_usd": used.dollars}


def _cost_document(cost: Share, source: str | None) -> Json:
    return {"usd": cost.dollars, "source": source, "unpriced": cost.unpriced}
