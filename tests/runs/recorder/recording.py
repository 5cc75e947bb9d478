"""Runs that are recorded for a test, by processes that can be killed, and what is read back of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tests
import tracecraft
from tests.support.world import World
from tracecraft.project import Project
from tracecraft.runs.fragments import Log
from tracecraft.runs.index import IndexEntry, read_index
from tracecraft.runs.log import Note, Writer
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.recorder.recovery import spools

RUN = "probe-0000abcd"
SECONDS = 60.0

_PRELUDE = f"""
import os, signal, sys, threading, time
from tracecraft.project import Project
from tracecraft.runs.log import Note
from tracecraft.runs.meta import RunMeta
from tracecraft.runs.recorder import Recorder
project = Project.open()
meta = RunMeta(run={RUN!r}, name="probe")
def note(number): recorder.log(Note(at=time.time(), text=str(number)))
def say(text): print(text, flush=True)
"""
OPEN = f"recorder = Recorder.open(project, {RUN!r}, via='sdk', meta=meta)\n"


def program(world: World, code: str, agent: str = "writer", *, opens: bool = True) -> subprocess.Popen[str]:
    """Run a program that records, on the machine of an agent. It has `recorder`, `note(number)` and `say(text)`."""
    paths = ":".join(str(Path(str(package.__file__)).parents[1]) for package in (tracecraft, tests))
    return subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + (OPEN if opens else "") + code],
        cwd=world.folder(agent),
        env=world.environment(agent, PYTHONPATH=paths),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def heard(process: subprocess.Popen[str], text: str) -> None:
    """Wait until a program says this."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == text:
            return
    raise AssertionError(f"it ended without saying {text!r}: {process.communicate()[1]}")


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for a program; what it said on stderr."""
    errors = process.communicate(timeout=SECONDS)[1]
    assert process.returncode == 0, errors
    return errors


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=SECONDS)


def numbers(project: Project, run: str = RUN) -> list[int]:
    """The numbers that were noted in a run, writer after writer."""
    log = Log(project, run)
    found = [read.line for writer in log.writers for read in log.of_writer(writer)]
    assert not log.gaps
    assert not log.broken
    return [int(line.text) for line in found if isinstance(line, Note)]


def writers(project: Project) -> list[Writer]:
    """The first line of every writer."""
    log = Log(project, RUN)
    firsts = [next(log.of_writer(writer)).line for writer in log.writers]
    return [line for line in firsts if isinstance(line, Writer)]


def fragments(project: Project) -> list[str]:
    return [info.key for info in project.store.list(project.layout.run_logs(RUN))]


def entries(project: Project) -> list[IndexEntry]:
    return read_index(project).entries


def waiting(project: Project) -> list[Path]:
    """The spools on this machine."""
    return list(spools(project))


def new_run(**fields: str) -> RunMeta:
    return RunMeta(run=RUN, name="probe", **fields)  # type: ignore[arg-type]  # the fields that tests give are text
