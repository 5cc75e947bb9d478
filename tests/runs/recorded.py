"""A run as several agents and processes leave it, with everything that makes exporting one hard."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.runs.bulk import Made, put_run
from tracecraft import clock
from tracecraft.events import Event
from tracecraft.project import Project
from tracecraft.records import encode
from tracecraft.runs import log
from tracecraft.runs.log import Known
from tracecraft.runs.meta import Captured, RunMeta

RUN = "prompt-comparison-1f2e3d4c"
SONNET = "claude-sonnet-4-20250514"
AT = float(clock.now_ns() // 10**9)
"""When the run began. It is now, because the store times events when they are written."""

LEAD, CHILD = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
"""The writers."""

RESEARCH, SEARCH, THINK, WRITE, OVERLAP, OPEN = (f"{n:016x}" for n in range(1, 7))
"""Spans. `OVERLAP` begins within `SEARCH` and ends after it, `OPEN` never ends."""
HOSTILE = '=cmd|"</script><img src=x>\u202e\x1b[2J\n'


class _Writer:
    """Adds lines that are numbered, at seconds after the start."""

    def __init__(self) -> None:
        self.lines: list[Known] = []
        self._ids = count(1)

    def add(self, after: float, line: Known, agent: str = "", span: str = "") -> None:
        line.id, line.at, line.agent = next(self._ids), AT + after, agent
        line.span = span
        self.lines.append(line)


def meta(run: str = RUN, **fields: Any) -> RunMeta:
    known = {"started_at": clock.iso(AT), "ended_at": clock.iso(AT + 60), "status": "completed", "agent": "lead"}
    captured = Captured(command=["python", "run.py"], host="box", pid=7, commit="c0ffee", branch="main")
    return RunMeta(run=run, name="prompt comparison", captured=captured, **{**known, **fields})


def write_run(project: Project, run: str = RUN, **fields: Any) -> None:
    """Two writers, three agents, nested and overlapping spans, usage told several times, notes, metrics, params."""
    main, child = _Writer(), _Writer()
    main.add(0.0, log.Writer(host="box", pid=7, via="sdk"))
    main.add(0.1, log.Params(values={"lr": 0.1, "prompt": HOSTILE, "nested": {"a": [1, None]}}))
    main.add(0.1, log.Tags(add=["nightly", "=1+1"]))
    main.add(1.0, log.Span(name="research", kind="agent", model=SONNET), "researcher", RESEARCH)
    main.add(2.0, log.Span(name="search", kind="tool_call", parent=RESEARCH), "researcher", SEARCH)
    main.add(2.1, log.Input(value={"query": HOSTILE}), "researcher", SEARCH)
    main.add(3.0, log.Span(name="overlap", parent=RESEARCH), "researcher", OVERLAP)
    main.add(4.0, log.Output(value=["paper 1", {"n": 2}]), "researcher", SEARCH)
    main.add(4.0, log.SpanEnd(), "researcher", SEARCH)
    main.add(5.0, log.Span(name="think", kind="model_call", parent=RESEARCH, model=SONNET), "researcher", THINK)
    for output in (1, 20, 5):
        usage = log.Usage(model=SONNET, provider="anthropic", input=1000, output=output, cache_read=800, call="msg_1")
        main.add(5.5, usage, "researcher", THINK)
    main.add(6.0, log.Output(value="the answer"), "researcher", THINK)
    main.add(6.0, log.SpanEnd(), "researcher", THINK)
    main.add(7.0, log.SpanEnd(status="failed", error="ValueError: no"), "researcher", OVERLAP)
    main.add(7.5, log.Note(text=HOSTILE))
    for step in range(5):
        main.add(8.0 + step, log.Metrics(values={"loss": 1 / (step + 1), "=evil": 1.0}, step=step))
    main.add(19.0, log.Metrics(values={"loss": float("nan"), "accuracy": 0.5}))
    main.add(20.0, log.Span(name="never done", parent=RESEARCH), "researcher", OPEN)
    main.add(21.0, log.SpanEnd(), "researcher", RESEARCH)
    main.add(22.0, log.Usage(model="mystery", input=10, output=1))
    child.add(9.0, log.Writer(host="box", pid=8, via="exec"))
    child.add(9.5, log.Span(name="write", kind="agent", parent=RESEARCH), "writer", WRITE)
    for sum_so_far in (1, 2, 3):
        usage = log.Usage(
            model=SONNET, input=100 * sum_so_far, output=10, cost=0.25 * sum_so_far, call="session", running=True
        )
        child.add(9.5 + sum_so_far, usage, "writer", WRITE)
    child.add(15.0, log.Text(stream="stdout", text="done\n"), "writer")
    child.add(16.0, log.SpanEnd(), "writer", WRITE)
    put_run(project, Made(meta(run, **fields), {LEAD: main.lines, CHILD: child.lines}), fragment=4)


def write_events(project: Project, run: str = RUN) -> None:
    """A claim, a message that was read, one that was not, a handoff, and what is not the run's."""
    items = [
        _event(project, 1.5, "claim", "researcher", "survey", run=run, span=RESEARCH, fence=1),
        _event(project, 2.5, "send", "researcher", "writer", run=run, span=SEARCH, about="m/1_researcher_aa.json"),
        _event(project, 10.0, "inbox.read", "writer", "writer", run=run, span=WRITE, messages=["1_researcher_aa"]),
        _event(project, 10.2, "ack", "writer", "1_researcher_aa", run=run, span=WRITE),
        _event(project, 10.5, "send", "writer", "stranger", run=run, about="m/2_writer_bb.json"),
        _event(project, 11.0, "complete", "researcher", "survey", run=run, to="writer", note=HOSTILE),
        _event(project, 12.0, "claim.refused", "writer", "paper", run=run, holder="other"),
        _event(project, 13.0, "claim", "writer", "paper", run=run, span=WRITE, fence=2),
        _event(project, 14.0, "claim", "writer", "elsewhere", run="another-00000000"),
        _event(project, 14.0, "claim", "writer", "nowhere"),
    ]
    for key, data in items:
        project.store.put(key, data)


def _event(
    project: Project,
    after: float,
    kind: str,
    agent: str,
    subject: str,
    *,
    about: str = "",
    fence: int = 0,
    run: str = "",
    span: str = "",
    **more: Any,
) -> tuple[str, bytes]:
    body = Event(
        type=kind, agent=agent, subject=subject, at=clock.iso(AT + after), about=about, fence=fence, run=run, span=span,
        extra=more,
    )  # fmt: skip
    return project.layout.event(kind, agent, subject), encode(body)


def lines_of(data: bytes) -> Iterator[bytes]:
    yield from filter(None, data.split(b"\n"))
