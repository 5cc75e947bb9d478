"""The index: for every writer of every run one entry with what it comes to, so that lists need not read logs.

It can always be made anew from the runs, and is never the truth about one. A living writer rewrites its entry as its
sign of life. Entries of those that ended are collected into segments (`compacting.py`).
"""

from __future__ import annotations

import msgspec

from tracecraft.runs.meta import Head
from tracecraft.runs.summary import Summary


class IndexEntry(msgspec.Struct, omit_defaults=True):
    """What one writer knows of a run. `rev` counts its versions; `at` is RFC 3339; `ended` says there will be no more.

    An entry of a writer named `_` was made by whoever changed the run from outside, or deleted it.
    """

    run: str
    writer: str
    rev: int = 0
    at: str = ""
    ended: bool = False
    head: Head = msgspec.field(default_factory=Head)
    summary: Summary = msgspec.field(default_factory=Summary)
