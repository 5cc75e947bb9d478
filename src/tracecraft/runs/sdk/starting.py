"""Begins runs, takes up those that ended, and finds the current one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tracecraft import clock, layout
from tracecraft.errors import Conflict, Missing, Unreachable, UsageError, WrongState
from tracecraft.project import Project
from tracecraft.records import commit, read
from tracecraft.runs.meta import Resumed, RunMeta
from tracecraft.runs.recorder import Recorder
from tracecraft.runs.recorder.capture import capture
from tracecraft.runs.sdk.context import here, surroundings
from tracecraft.runs.sdk.ending import open_runs
from tracecraft.runs.sdk.running import Run
from tracecraft.runs.sdk.setting import Setting

_LONGEST_NAME = 200
_LONGEST_SLUG = 40
_ROUNDS = 20


def new_run_id(name: str) -> str:
    """An id for a run of this name: what of it a name may have, and eight random hexadecimal digits."""
    slug = layout.valid_name(name.lower(), "run")[:_LONGEST_SLUG].strip("-._") or "run"
    return f"{slug}-{layout.new_short_id()}"


def checked_name(what: str, text: str) -> str:
    """A name of a run or a group. Raises UsageError."""
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_NAME or not text.isprintable():
        raise UsageError(
            f"not the name of a {what}: {str(text)[:80]!r}", hint=f"1 to {_LONGEST_NAME} characters on one line"
        )
    return text


def start(
    setting: Setting,
    name: str,
    *,
    group: str,
    parent: str | None,
    tags: Sequence[str],
    params: Mapping[str, Any],
) -> Run:
    """A new run. No request is made here. Raises UsageError."""
    meta = RunMeta(
        run=new_run_id(checked_name("run", name)),
        name=name,
        started_at=clock.now(),
        agent=setting.project.agent if setting.project.has_agent else "",
        group=checked_name("group", group) if group else "",
        parent=_outer() if parent is None else layout.segment("run", parent) if parent else "",
        captured=capture(),
    )
    return _with_given(Run(setting, meta, _recorder(setting, meta.run, meta)), tags, params)


def take_up(setting: Setting, given: str, *, tags: Sequence[str], params: Mapping[str, Any]) -> Run:
    """A run that was begun before goes on. Raises Missing, UsageError, WrongState for a deleted one, StoreError."""
    from tracecraft.runs.finding import find

    recorder = _recorder(setting, find(setting.project, given), None)
    meta = resumed(setting.project, recorder.run, recorder.writer)
    return _with_given(Run(setting, meta, recorder), tags, params)


def _with_given(run: Run, tags: Sequence[str], params: Mapping[str, Any]) -> Run:
    if isinstance(tags, str):
        raise UsageError("tags are given as a list", hint=f'tags=["{tags}"]')
    run.add_tags(*tags)
    if params:
        run.log_params(params)
    return run


def resumed(project: Project, run: str, writer: str) -> RunMeta:
    """The record of a run that goes on, as it was written. Raises Missing, WrongState, StoreError."""
    key = project.layout.run_meta(run)
    for _ in range(_ROUNDS):
        found = read(project.store, key, RunMeta)
        if found is None:
            raise Missing(f"no run {run}", hint="tracecraft run list", run=run)
        before = found.record
        if before.deleted_at:
            raise WrongState(f"the run {run} was deleted", hint="begin a new one", run=run, state="deleted")
        again = Resumed(at=clock.now(), writer=writer, host=os.uname().nodename)
        record = msgspec.structs.replace(
            before, status="running", ended_at="", error="", exit=None, resumed=[*before.resumed, again]
        )
        try:
            return commit(project.store, key, record, found).record
        except Conflict:
            continue
    raise Unreachable(f"{key} keeps changing", hint="try again")


def current_run() -> Run | None:
    """The run that the code is in; in a child process of one, that of its parent, which this process then joins."""
    place = here.get()
    if place is not None and not (place.run._ended and place.run._pid == os.getpid()):
        return place.run
    only = open_runs.only()
    if only is not None:
        return only
    try:
        inherited = surroundings.inherited()
    except UsageError:
        return None
    return _join(inherited.run, inherited.span) if inherited.run else None


def _outer() -> str:
    """The run in which a new one is nested; empty where there is none."""
    place = here.get()
    return place.run.id if place is not None else surroundings.inherited().run


def _join(run: str, span: str) -> Run:
    from tracecraft.runs.sdk import setting_in_force

    known = open_runs.joined(run)
    if known is not None:
        return known
    setting = setting_in_force()
    return Run(setting, RunMeta(run=run, name=run), _recorder(setting, run, None), joined=True, within=span)


def _recorder(setting: Setting, run: str, meta: RunMeta | None) -> Recorder:
    agent = setting.project.agent if setting.project.has_agent else ""
    return Recorder.open(setting.project, run, via="sdk", agent=agent, redact=setting.redact, meta=meta)
