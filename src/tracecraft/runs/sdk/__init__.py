"""The Python SDK: what `tracecraft.init`, `tracecraft.run`, `tracecraft.step` and `tracecraft.current_run` are.

Recording never makes the work wait for a store and never raises for its sake. See docs/runs.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from tracecraft import layout
from tracecraft.errors import UsageError
from tracecraft.project import Project
from tracecraft.runs.recorder.recovery import recover_in_background
from tracecraft.runs.sdk.agent import RunAgent, SharedMemory
from tracecraft.runs.sdk.context import follow_threads, leave_threads_alone, within_now
from tracecraft.runs.sdk.decorator import step
from tracecraft.runs.sdk.running import Run
from tracecraft.runs.sdk.setting import Setting, make_setting
from tracecraft.runs.sdk.span import Step
from tracecraft.runs.sdk.starting import current_run, start, take_up

__all__ = ["Run", "RunAgent", "SharedMemory", "Step", "current_run", "init", "run", "step"]

_setting: Setting | None = None


def init(
    project: str | None = None,
    *,
    store: str | None = None,
    agent: str | None = None,
    redact: bool = True,
    threads: bool = True,
) -> Project:
    """Choose where the runs of this process go. Without it, or without arguments, the settings in force decide.

    `store` is a URL or folder; where nothing names one, it is the folder store in the home. `agent` is who begins the
    runs. Without `redact` secrets are left in what is recorded. With `threads`, threads and the tasks of thread pools
    are part of the run of the code that starts them. No request is made. Raises UsageError.
    """
    global _setting  # noqa: PLW0603 - there is one setting of a process
    _setting = make_setting(store=store, project=project, agent=agent, redact=redact)
    if threads:
        follow_threads()
    else:
        leave_threads_alone()
    recover_in_background(_setting.project)
    return _setting.project


def setting_in_force() -> Setting:
    """What `init` chose. Raises UsageError."""
    if _setting is None:
        init()
    return cast(Setting, _setting)


def run(
    name: str = "",
    *,
    group: str = "",
    parent: str | None = None,
    tags: Sequence[str] = (),
    params: Mapping[str, Any] | None = None,
    resume: str = "",
    agent: str = "",
) -> Run:
    """Begin a run, best in a `with` block. Within another run it is nested in that one, unless `parent` says otherwise.

    `group` puts runs together, `tags` and `params` are recorded at its start. `agent` is who begins it, where that is
    not who `init` named. `resume` goes on with a run that ended or was left, by its id, the beginning of its id, or its
    name; only that makes requests, and raises Missing, WrongState and StoreError. Raises UsageError.
    """
    setting = setting_in_force()
    if agent:
        project = setting.project.seen_by(layout.name("agent", agent))
        project.within = within_now
        setting = setting._replace(project=project)
    if resume:
        if name or group or parent:
            raise UsageError("a run that is resumed has its name, group and parent", hint="tracecraft.run(resume=ID)")
        return take_up(setting, resume, tags=tags, params=params or {})
    return start(setting, name, group=group, parent=parent, tags=tags, params=params or {})
