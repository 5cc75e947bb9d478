"""The files that runs kept: each content once per project, used by any number of runs, collected when no run uses it.

Who uses a file says so first (`refs/<run>`) and only then looks whether it is there. Who collects says so first
(`going/<id>`) and only then looks whether anybody uses it. Of two who do so at once at least one sees the other, for a
listing shows what was written before it began:

- The collector sees the user: it leaves the file, and takes back its mark.
- The user sees the collector's mark: it cannot know whether it was seen, so it waits until the mark is gone, and then
  uploads the file if it is not there. A collector deletes within PROMPT seconds of its look, or not at all. So one that
  died leaves a mark that means nothing after SETTLED seconds: then the user uploads the file whatever it saw.

Marks have names of their own, so no collector takes back another's. Seconds are counted on clocks that go on while a
machine sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tracecraft import clock
from tracecraft.errors import NotFound
from tracecraft.records import new_id, read_many
from tracecraft.runs.index import read_index
from tracecraft.runs.meta import RunMeta
from tracecraft.store import both, delete_many
from tracecraft.tally import Tally

if TYPE_CHECKING:
    from tracecraft.project import Project
    from tracecraft.store import Info

PROMPT = 10.0
"""Seconds between looking for users and deleting, at most."""
SETTLED = 300.0
"""Seconds after which nobody deletes any more who looked before: PROMPT, and the longest that a request is tried."""
YOUNG = 3600.0
"""Seconds for which a file stays in any case."""
_NOTHING = b"{}\n"
_WAVE = 64


class Unused(NamedTuple):
    """What nobody needs: files that no run uses, and the keys of uses by runs that were deleted and of marks of
    collectors that died."""

    files: dict[str, Info]
    uses: Sequence[str]
    marks: Sequence[str]


class _Blob(msgspec.Struct):
    """What lies there of one file."""

    data: Info | None = None
    users: list[str] = []
    marks: list[Info] = []


def keep(project: Project, sha256: str, run: str, upload: Callable[[str], object]) -> bool:
    """Make sure that a file is there and stays while the run does. `upload` is called with the key where it is not.

    Returns whether it was uploaded. May take SETTLED seconds where somebody collects at that moment and dies.
    """
    project.store.put(project.layout.blob_user(sha256, run), _NOTHING)
    patience = clock.Deadline(SETTLED)
    there, going = both(project.store, partial(_is_there, project, sha256), partial(_is_going, project, sha256))
    while going and not patience.passed:
        time.sleep(clock.jitter(0.2, 0.5))
        going = _is_going(project, sha256)
        there = not going and _is_there(project, sha256)
    if there and not going:
        return False
    upload(project.layout.blob(sha256))
    return True


def survey(project: Project) -> Unused:
    """What `collect` would remove. Nothing is written."""
    blobs = _look(project)
    deleted = _deleted(project, {user for blob in blobs.values() for user in blob.users})
    layout, now = project.layout, project.now_by_store()
    uses = [layout.blob_user(sha, user) for sha, blob in blobs.items() for user in blob.users if user in deleted]
    files = {
        sha: blob.data
        for sha, blob in blobs.items()
        if blob.data is not None and set(blob.users) <= deleted and now - blob.data.modified > YOUNG
    }
    marks = [mark.key for blob in blobs.values() for mark in blob.marks if now - mark.modified > YOUNG]
    return Unused(files, uses, marks)


def tally_of(unused: Unused, files: Iterable[Info]) -> Tally:
    """What these files come to, and the uses and marks that go with them."""
    tally = Tally()
    for info in files:
        tally.add(info)
    tally.counts["files"] = tally.objects
    if unused.uses:
        tally.counts["uses by deleted runs"] = len(unused.uses)
    tally.requests = 4 * tally.objects + len(unused.uses) + len(unused.marks)
    return tally


def collect(project: Project, unused: Unused) -> list[Info]:
    """Remove what is unused; returns the files that went. One that was taken into use since stays."""
    delete_many(project.store, [*unused.uses, *unused.marks])
    gone: list[Info] = []
    chosen = list(unused.files.items())
    for start in range(0, len(chosen), _WAVE):
        wave = chosen[start : start + _WAVE]
        went = project.store.together([partial(_remove, project, sha) for sha, _ in wave])
        gone.extend(info for (_, info), is_gone in zip(wave, went, strict=True) if is_gone)
    return gone


def _remove(project: Project, sha256: str) -> bool:
    """Remove a file that nobody uses. The mark is there first; see above."""
    layout, store = project.layout, project.store
    mark = layout.blob_collector(sha256, new_id())
    store.put(mark, _NOTHING)
    prompt = clock.Deadline(PROMPT)
    is_used = next(iter(store.list(layout.blob_users(sha256))), None) is not None
    removes = not is_used and not prompt.passed
    if removes:
        store.delete(layout.blob(sha256))
    store.delete(mark)
    return removes


def _look(project: Project) -> dict[str, _Blob]:
    found: dict[str, _Blob] = {}
    for info in project.store.list(project.layout.blobs()):
        sha256, what, name = project.layout.blob_part_of(info.key) or ("", "", "")
        blob = found.setdefault(sha256, _Blob()) if sha256 else _Blob()
        if what == "data":
            blob.data = info
        elif what == "refs":
            blob.users.append(name)
        elif what == "going":
            blob.marks.append(info)
    return found


def _deleted(project: Project, runs: Iterable[str]) -> set[str]:
    """Which of these runs were deleted: the index tells whom to ask about, their records tell the truth."""
    told = {entry.run for entry in read_index(project).entries if entry.head.deleted}
    keys = {project.layout.run_meta(run): run for run in told & set(runs)}
    found = read_many(project.store, keys, RunMeta, project.broken)
    return {keys[key] for key, stored in found.items() if stored.record.deleted_at}


def _is_there(project: Project, sha256: str) -> bool:
    try:
        project.store.head(project.layout.blob(sha256))
    except NotFound:
        return False
    return True


def _is_going(project: Project, sha256: str) -> bool:
    return next(iter(project.store.list(project.layout.blob_collectors(sha256))), None) is not None
