"""Where the runs of this process go: the project that `init` chose, or that the settings name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tracecraft import config
from tracecraft.errors import UsageError
from tracecraft.localstate import make_own_folder
from tracecraft.project import Project
from tracecraft.runs.sdk.context import within_now


class Setting(NamedTuple):
    """`variables` are what child processes must be told to find the same project; `redact` is off only by wish."""

    project: Project
    variables: dict[str, str]
    redact: bool = True


def make_setting(*, store: str | None, project: str | None, agent: str | None, redact: bool) -> Setting:
    """The settings in force, with these before them; the store of those who name none is a folder in their home.

    Raises UsageError.
    """
    named_store = store or os.environ.get("TRACECRAFT_STORE") or ""
    if not named_store and config.find_file(Path.cwd()) is None:
        store = config.default_store().url
        _make_own_folder()
    settings = config.resolve(store=store, project=project, agent=agent)
    opened = Project.from_settings(settings)
    opened.within = within_now
    variables = {"TRACECRAFT_PROJECT": settings.project}
    if not settings.address.secret_key:
        # Where the settings file has keys too, children must find them there.
        variables["TRACECRAFT_STORE"] = settings.address.url
    return Setting(opened, variables, redact)


def _make_own_folder() -> None:
    try:
        make_own_folder(Path.home())
    except OSError as error:
        raise UsageError(
            f"cannot make a folder for runs in {Path.home()}: {error.strerror}",
            hint="name another store: tracecraft.init(store=...)",
        ) from None
