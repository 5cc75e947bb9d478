"""run inspect: a run step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tracecraft.cli.face import Face, command
from tracecraft.cli.output import indented, one_line, show_size, table
from tracecraft.cli.run_naming import find_run
from tracecraft.cli.run_output import (
    cost_document,
    facts,
    fitted,
    is_utf8,
    metrics_document,
    params_document,
    share_document,
    short,
    show_cost,
    show_seconds,
    show_value,
    terminal_width,
)
from tracecraft.clock import iso
from tracecraft.runs.log import Artifact, Line, Metrics, Note, Usage
from tracecraft.runs.plotting import show_number, sparkline

if TYPE_CHECKING:
    from tracecraft.runs.cost import Cost, Share
    from tracecraft.runs.inspecting import Whole
    from tracecraft.runs.spans import Node, Value

_SHORT, _WIDTH = 400, 120
_LINES = 20
_MARKS = {"ok": "ok", "failed": "FAILED", "running": "running", "unfinished": "unfinished"}


@command("inspect", acts=False, tidies_up=True)
@click.argument("run_id", metavar="[ID]", required=False)
@click.option("--full", is_flag=True, help="Inputs, outputs and values whole, not only their beginnings.")
def inspect_run(face: Face, run_id: str | None, full: bool) -> None:
    """Show a run step by step: durations, inputs and outputs, nesting; its metrics, files and cost.

    ID is a run's id, the beginning of it or of its hex part, or its name; without it the current run.

    \b
    Example:
      tracecraft run inspect 3fa9c1d2
    """
    from tracecraft.runs.cost import cost_of
    from tracecraft.runs.inspecting import inspect

    whole = inspect(face.project, find_run(face, run_id))
    cost = cost_of(whole.view.summary)
    for gap in whole.view.gaps:
        face.project.say(f"lines {gap.first} to {gap.last} of writer {gap.writer} are missing")
    for broken in whole.view.broken:
        face.project.say(broken)
    if face.json:
        face.show(_document(whole, cost, full), "")
    else:
        face.show({}, "\n".join(_told(whole, cost, full)))


def _told(whole: Whole, cost: Cost, full: bool) -> Iterator[str]:
    yield from _head(whole, cost)
    summary = whole.view.summary
    if summary.params:
        yield "params"
        params = {name: show_value(given.value) for name, given in sorted(summary.params.items())}
        yield from (f"  {line}" for line in facts(params if full else {n: _cut(v) for n, v in params.items()}))
    if summary.metrics:
        rows = [
            (name, show_number(m.last), show_number(m.min), show_number(m.max), m.count,
             sparkline(m.points, utf8=is_utf8()) if len(m.points) > 1 else "")
            for name, m in sorted(summary.metrics.items())
        ]  # fmt: skip
        yield fitted(rows, heads=("METRIC", "LAST", "MIN", "MAX", "VALUES", ""))
    if whole.artifacts:
        yield table(
            [(a.name, _size(a), a.sha256[:12] or "-") for a in whole.artifacts.values()],
            heads=("FILE", "SIZE", "SHA256"),
        )
    yield from _spent(cost)
    timeline = list(_timeline(whole, full))
    yield from ["timeline", *timeline] if timeline else []
    yield from _output(whole, full)


def _head(whole: Whole, cost: Cost) -> Iterator[str]:
    from tracecraft.runs.times import duration

    view, meta, summary = whole.view, whole.view.meta, whole.view.summary
    captured = meta.captured
    took = duration(meta.started_at, meta.ended_at, view.status, summary.last)
    commit = " ".join(filter(None, (captured.commit[:12], captured.branch, "(changed)" if captured.dirty else "")))
    yield f"{one_line(meta.run)}  {one_line(meta.name)}".rstrip()
    yield from facts(
        {
            "status": view.status + (f": {meta.error}" if meta.error else ""),
            "took": show_seconds(took) + f", from {meta.started_at[:19].replace('T', ' ')}",
            "exit": "" if meta.exit is None else str(meta.exit),
            "agents": ", ".join(summary.agents) or meta.agent,
            "group": meta.group,
            "parent": meta.parent,
            "tags": ", ".join(summary.tag_names),
            "resumed": f"{len(meta.resumed)} times" if meta.resumed else "",
            "command": _cut(" ".join(captured.command)),
            "in": " ".join(filter(None, (captured.cwd, f"on {captured.host}" if captured.host else ""))),
            "python": captured.python,
            "git": commit,
            "cost": show_cost(cost) + (f" ({cost.source})" if cost.source else ""),
            "unpriced": ", ".join(model or "(not told)" for model in cost.unpriced),
            "lost": f"{summary.lost} lines could be kept nowhere" if summary.lost else "",
        }
    )


def _spent(cost: Cost) -> Iterator[str]:
    """Usage and cost by agent, then by model."""
    rows = [
        (name or "(not told)", share.calls, share.tokens.input, share.tokens.cache_read, share.tokens.output,
         show_cost(share) or "-")
        for shares in (cost.by_agent, cost.by_model)
        for name, share in shares.items()
    ]  # fmt: skip
    if rows:
        yield fitted(rows, heads=("AGENT, MODEL", "CALLS", "INPUT", "OF IT CACHED", "OUTPUT", "COST"))


def _timeline(whole: Whole, full: bool) -> Iterator[str]:
    tree, began = whole.tree, whole.view.summary.first
    for line in tree.loose:
        if isinstance(line, Note):
            yield f"  {_since(line.at, began)}  note: {_text(line.text, full, '    ')}"
    for depth, node in tree.walk():
        yield from _step(node, "  " * (depth + 1), began, full)
    if tree.left_out:
        yield f"  {tree.left_out} further spans: tracecraft run export {one_line(whole.view.meta.run)} --format jsonl"


def _output(whole: Whole, full: bool) -> Iterator[str]:
    """The end of what a command wrote; what it wrote to standard error is marked."""
    lines = whole.output.lines()
    shown = lines if full else lines[-_LINES:]
    before = f", the last {len(shown)} of {len(lines)} lines" if len(shown) < len(lines) else ""
    more = ", more is in the log" if whole.output.left_out else ""
    if shown:
        yield f"output{before}{more}"
    for stream, line in shown:
        mark = "!" if stream == "stderr" else " "
        yield f" {mark}{one_line(line) if full else _cut(line)}"


def _step(node: Node, margin: str, began: float, full: bool) -> Iterator[str]:
    kind = f" [{node.kind}]" if node.kind != "step" else ""
    who = " ".join(filter(None, (node.agent, node.model and f"({node.model})")))
    cells = (show_seconds(node.seconds), _MARKS.get(node.status, node.status), node.name + kind, who)
    yield f"{margin}{_since(node.started, began)}  {one_line('  '.join(filter(None, cells)))}"
    inner = margin + " " * 10
    for name, values in (("in", node.inputs), ("out", node.outputs)):
        yield from (f"{inner}{name}: {_value(value, full, inner)}" for value in values)
    if node.error:
        yield f"{inner}error: {_text(node.error, full, inner)}"
    for line in node.within:
        told = _within(line, full, inner)
        if told:
            yield f"{inner}{told}"


def _within(line: Line, full: bool, margin: str) -> str:
    match line:
        case Note():
            return f"note: {_text(line.text, full, margin)}"
        case Metrics():
            step = "" if line.step is None else f" at step {show_number(line.step)}"
            return _cut("metrics: " + ", ".join(f"{n} {show_number(v)}" for n, v in line.values.items()) + step)
        case Artifact():
            return one_line(f"file: {line.name} ({_size(line)})")
        case Usage():
            model = f" of {line.model}" if line.model else ""
            return one_line(f"tokens: {line.input} in, {line.output} out{model}")
    return ""


def _value(value: Value, full: bool, margin: str) -> str:
    cut = f" ({value.cut} bytes more were not kept)" if value.cut else ""
    return _text(show_value(value.value), full, margin) + cut


def _text(text: str, full: bool, margin: str) -> str:
    return indented(text, margin + "  ") if full else _cut(text)


def _cut(text: str) -> str:
    return short(one_line(text), (terminal_width() or _WIDTH) - 10)


def _since(at: float, began: float) -> str:
    return f"+{show_seconds(max(0.0, at - began))}".rjust(8)


def _size(artifact: Artifact) -> str:
    if artifact.files:
        return f"{len(artifact.files)} files, {show_size(sum(size for _, _, size in artifact.files))}"
    return show_size(artifact.size)


def _document(whole: Whole, cost: Cost, full: bool) -> dict[str, Any]:
    view, summary, meta = whole.view, whole.view.summary, msgspec.to_builtins(whole.view.meta)
    hidden = ("id", "ids", "__extra__", "alive", "deleted_at")
    return {
        **{name: value for name, value in meta.items() if name not in hidden},
        "status": view.status,
        "tags": summary.tag_names,
        "params": params_document(summary),
        "metrics": metrics_document(summary),
        "agents": summary.agents,
        "tokens": msgspec.structs.asdict(cost.tokens),
        "cost": cost_document(cost),
        "cost_by_agent": _shares(cost.by_agent),
        "cost_by_model": _shares(cost.by_model),
        "artifacts": [msgspec.to_builtins(artifact) for artifact in whole.artifacts.values()],
        "notes": [line.text for line in whole.tree.loose if isinstance(line, Note)],
        "spans": [_span(node, depth, full) for depth, node in whole.tree.walk()],
        "spans_left_out": whole.tree.left_out,
        "output": [{"stream": stream, "line": line} for stream, line in whole.output.lines()[0 if full else -_LINES :]],
        "lost": summary.lost,
        "gaps": [gap._asdict() for gap in view.gaps],
        "broken": list(view.broken),
    }


def _shares(shares: Mapping[str, Share]) -> dict[str, Any]:
    return {
        name: {"calls": share.calls, "tokens": msgspec.structs.asdict(share.tokens), "cost": share_document(share)}
        for name, share in shares.items()
    }


def _span(node: Node, depth: int, full: bool) -> dict[str, Any]:
    """A span for machines: those in it follow it, deeper by one."""
    return {
        "span": node.span,
        "depth": depth,
        "name": node.name,
        "kind": node.kind,
        "agent": node.agent or None,
        "model": node.model or None,
        "status": node.status,
        "error": node.error or None,
        "started_at": iso(node.started),
        "duration_s": node.seconds,
        "inputs": [_given(value, full) for value in node.inputs],
        "outputs": [_given(value, full) for value in node.outputs],
        "within": [msgspec.to_builtins(line) for line in node.within],
    }


def _given(value: Value, full: bool) -> dict[str, Any]:
    """A value as it is, or the beginning of its JSON where it is long."""
    text = msgspec.json.encode(value.value).decode()
    cut = {"cut": value.cut} if value.cut else {}
    return {"value": value.value, **cut} if full or len(text) <= _SHORT else {"begins": text[:_SHORT], **cut}
