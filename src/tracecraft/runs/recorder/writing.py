"""One writer at work: its spool, the thread that writes into it, and the thread that sends from it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tracecraft import localprocess
from tracecraft.runs.log import Writer
from tracecraft.runs.recorder.courier import Courier
from tracecraft.runs.recorder.encoding import encoded
from tracecraft.runs.recorder.files import FileSender
from tracecraft.runs.recorder.notices import Notices
from tracecraft.runs.recorder.scribe import Mark, Scribe
from tracecraft.runs.recorder.sender import Sender
from tracecraft.runs.recorder.spool import Header, Spool, files_of, folder_of

if TYPE_CHECKING:
    from tracecraft.project import Project


class Writing:
    """What a process has of a run it writes into. After a fork the child needs another one."""

    def __init__(self, project: Project, header: Header, notices: Notices, *, forked: bool) -> None:
        self.header = header
        self.end: Mark | None = None
        self.spool = Spool(folder_of(project.local.folder), header)
        self.files = FileSender(project, header.run, files_of(self.spool.path))
        sender = Sender(project, header, self.spool)
        self.courier = Courier(sender, self.files, self.spool, notices, forked=forked)
        self.scribe = Scribe(self.spool, self.courier.lines, self.courier.mark)

    def introduce(self, via: str, agent: str) -> None:
        """The first line."""
        process = localprocess.name(os.getpid())
        self.scribe.put(
            encoded(
                Writer(at=time.time(), host=os.uname().nodename, pid=os.getpid(), process=process, agent=agent, via=via)
            )
        )

    def abandon(self) -> None:
        """In a forked child: this is its parent's. Takes no lock, for whoever held one is not here."""
        self.spool.abandon()
        self.courier.finished = self.courier.left = True
