"""Sends what programs that died left of their runs on this machine, before a command speaks of runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracecraft.cli.face import Face


def send_leftovers(face: Face) -> None:
    """Costs a look into a folder where nothing was left. A store that is away is a notice."""
    folder = face.project.local.folder / "runs"
    try:
        if not os.listdir(folder):
            return
    except OSError:
        return
    from tracecraft.runs.recorder.recovery import recover

    recovered = recover(face.project)
    if recovered.failure:
        face.project.say(f"records of runs wait in {folder}: {recovered.failure}")
