"""Runs a command as a run: its output becomes lines of the log, its status that of the run.

The output goes on to where it would have gone, as it comes. The record waits for no store: what cannot be sent lies on
disk until it can.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import msgspec

from tracecraft import clock
from tracecraft.childprocess import Watchdog, give_terminal, has_terminal, passing_signals, wait_for_child
from tracecraft.errors import UsageError
from tracecraft.runs import log
from tracecraft.runs.beginning import checked_name, new_run_id
from tracecraft.runs.meta import RunMeta, Status
from tracecraft.runs.recorder import Recorder
from tracecraft.runs.recorder.capture import capture

if TYPE_CHECKING:
    from tracecraft.project import Project

_CHUNK = 64 << 10
_LONGEST = 128 << 10
"""Bytes of a line that are recorded together; the rest comes as another line."""
_LAST_WORDS = 1.0
"""Seconds that what a command left running may hold its output open."""
_INTERRUPTED = (129, 130, 131, 143)
"""Statuses of a command that was stopped: SIGHUP, SIGINT, SIGQUIT, SIGTERM."""


def run_recorded(
    project: Project,
    name: str,
    command: Sequence[str],
    *,
    group: str = "",
    lines: Sequence[log.Known] = (),
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a command as a run with these lines; its exit status (128 + n for signal n).

    `environment` is what the command finds in its environment beside the caller's. Raises UsageError when it cannot be
    run; then there is no run.
    """
    agent = project.agent if project.has_agent else ""
    meta = RunMeta(
        run=new_run_id(checked_name("run", name)),
        name=name,
        started_at=clock.now(),
        agent=agent,
        group=checked_name("group", group) if group else "",
        parent=project.run,
        captured=capture(command=command),
    )
    with Watchdog() as watchdog, passing_signals() as signals:
        child = _start(project, meta, command, environment or {}, watchdog)
        signals.to(child.pid)
        recorder = Recorder.open(project, meta.run, via="exec", agent=agent, meta=meta)
        for line in lines:
            line.at, line.agent = time.time(), agent
            recorder.log(line)
        tees = [_Tee(recorder, agent, stream, child) for stream in ("stdout", "stderr")]
        try:
            status = wait_for_child(child, signals)
        finally:
            give_terminal(os.getpgrp())
        deadline = clock.Deadline(_LAST_WORDS)
        for tee in tees:
            tee.finish(deadline)
        recorder.close(meta=_ended(meta, status))
    return status


def _start(
    project: Project, meta: RunMeta, command: Sequence[str], environment: Mapping[str, str], watchdog: Watchdog
) -> subprocess.Popen[bytes]:
    foreground = has_terminal()

    def introduce() -> None:
        watchdog.guard(os.getpid())
        if foreground:
            give_terminal(os.getpid())

    variables = {"TRACECRAFT_RUN": meta.run, "TRACECRAFT_PROJECT": project.name, **environment}
    if meta.agent:
        variables["TRACECRAFT_AGENT"] = meta.agent
    inherited = {key: value for key, value in os.environ.items() if key != "TRACECRAFT_SPAN"}
    try:
        # No other thread of Python runs yet, so the child may safely introduce itself.
        return subprocess.Popen(
            command,
            process_group=0,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**inherited, **variables},
            preexec_fn=introduce,  # noqa: PLW1509
        )
    except OSError as error:
        if foreground:
            give_terminal(os.getpgrp())
        raise UsageError(
            f"cannot run {command[0]}: {error.strerror}", hint="check the command; no run was started"
        ) from None


def _ended(meta: RunMeta, status: int) -> RunMeta:
    how: Status = "completed" if not status else "cancelled" if status in _INTERRUPTED else "failed"
    error = "" if how == "completed" else f"ended with status {status}"
    return msgspec.structs.replace(meta, status=how, ended_at=clock.now(), error=error, exit=status)


class _Tee:
    """Passes on one stream of a command, and records it in whole lines, from a thread of its own."""

    def __init__(
        self, recorder: Recorder, agent: str, stream: Literal["stdout", "stderr"], child: subprocess.Popen[bytes]
    ) -> None:
        self._recorder = recorder
        self._agent = agent
        self._stream = stream
        pipe = child.stdout if stream == "stdout" else child.stderr
        self._from = pipe.fileno() if pipe else -1
        self._to = 1 if stream == "stdout" else 2
        self._rest = b""
        self._done = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"tracecraft-{stream}", daemon=True)
        self._thread.start()

    def finish(self, deadline: clock.Deadline) -> None:
        """Record what is left when the stream has ended, or the time is over."""
        self._thread.join(deadline.left)
        with self._lock:
            self._done = True
            self._record(self._rest)

    def _run(self) -> None:
        with suppress(OSError):
            while chunk := os.read(self._from, _CHUNK):
                self._pass_on(chunk)
                with self._lock:
                    if not self._done:
                        self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        data = self._rest + chunk
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) > _LONGEST:
            whole = len(data)
        self._rest = data[whole:]
        self._record(data[:whole])

    def _record(self, data: bytes) -> None:
        if data:
            text = data.decode(errors="replace")
            self._recorder.log(log.Text(stream=self._stream, text=text, at=time.time(), agent=self._agent))

    def _pass_on(self, chunk: bytes) -> None:
        """Nobody may read any more, as behind `head`; the record goes on."""
        with suppress(OSError):
            while chunk:
                chunk = chunk[os.write(self._to, chunk) :]
