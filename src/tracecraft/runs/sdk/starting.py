"""Begins runs, takes up those that ended, and finds the current one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from tracecraft import clock, layout
from tracecraft.errors import UsageError
from tracecraft.runs import log
from tracecraft.runs.beginning import checked_name, new_run_id, resumed
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.recorder import Recorder
from tracecraft.runs.recorder.capture import capture
from tracecraft.runs.sdk.context import here, surroundings, within_now
from tracecraft.runs.sdk.ending import open_runs
from tracecraft.runs.sdk.recording import params_line, tags_line
from tracecraft.runs.sdk.running import Run
from tracecraft.runs.sdk.setting import Setting


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
    lines = _given(tags, params)
    meta = RunMeta(
        run=new_run_id(checked_name("run", name)),
        name=name,
        started_at=clock.now(),
        agent=setting.project.agent if setting.project.has_agent else "",
        group=checked_name("group", group) if group else "",
        parent=within_now().run if parent is None else layout.segment("run", parent) if parent else "",
        captured=capture(),
    )
    return _begun(Run(setting, meta, _recorder(setting, meta.run, meta)), lines)


def take_up(setting: Setting, given: str, *, tags: Sequence[str], params: Mapping[str, Any]) -> Run:
    """A run that was begun before goes on. Raises Missing, UsageError, WrongState for a deleted one, StoreError."""
    from tracecraft.runs.finding import find

    lines = _given(tags, params)
    recorder = _recorder(setting, find(setting.project, given), None)
    meta = resumed(setting.project, recorder.run, recorder.writer)
    return _begun(Run(setting, meta, recorder), lines)


def _given(tags: Sequence[str], params: Mapping[str, Any]) -> list[log.Known]:
    """What a run is given at its start, as lines. Raises UsageError."""
    lines: list[log.Known] = [tags_line(tags)] if tags else []
    return [*lines, params_line(params)] if params else lines


def _begun(run: Run, lines: Sequence[log.Known]) -> Run:
    for line in lines:
        run._log(line)
    return run


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
