"""Brings a writer's lines from where they wait into the store, as fragments, and keeps its index entry.

A fragment that was not acknowledged goes out again under the same key with the same bytes. Small fragments become one:
when enough have gathered, and at the end, the next one repeats their lines, and they are deleted when it is there.
So do those before a large one. Whatever is written twice counts once, for readers go by the numbers of lines.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tracecraft import clock
from tracecraft.errors import StoreError
from tracecraft.runs.compacting import compact_when_ended
from tracecraft.runs.log import decode
from tracecraft.runs.meta import BEAT_EVERY, RunMeta
from tracecraft.runs.recorder.record import Entry, RunRecord
from tracecraft.runs.recorder.redacting import Redaction
from tracecraft.runs.recorder.spool import CONTROL, Batch, Header
from tracecraft.runs.summary import Summing
from tracecraft.store import delete_many

if TYPE_CHECKING:
    from tracecraft.project import Project

CUT_EVERY = 0.45
"""Seconds between two fragments, at least, unless a full one waits."""
GATHERED = 64
"""Small fragments that become one."""
SMALL = 64 << 10
_FULL = 512 << 10


class Source(Protocol):
    """Where lines wait."""

    def take(self) -> Batch: ...

    def sent(self, batch: Batch) -> None: ...


class Fragment(NamedTuple):
    """Lines `first` to `last` as the store gets them."""

    first: int
    last: int
    data: bytes


class Sender:
    """Sends what waits in a source. `acknowledged` is the number of the last line that the store has."""

    def __init__(self, project: Project, header: Header, source: Source) -> None:
        self._project = project
        self._header = header
        self._source = source
        self._redaction = Redaction(on=header.redact)
        self._record = RunRecord(project, header.run, header.meta, self._redaction)
        self._entry = Entry(project, header.run, header.writer)
        self._summing = Summing()
        self._cut = 0
        self._taken: Batch | None = None
        self._pending: tuple[Fragment, Batch] | None = None
        self._small: list[Fragment] = []
        self._replaced: list[str] = []
        self._beat_at = 0.0
        self._cut_at = 0.0
        self.acknowledged = 0

    def resume_behind(self, covered: int) -> None:
        """The store has the lines up to `covered` from an earlier process; they are only added up."""
        self.acknowledged = covered
        self._entry.continue_from_store()

    def send(self, *, until: int = 0, last: bool = False) -> None:
        """Send what is due, and at once what waits up to line `until`; with `last` so that no small fragments stay.

        Raises StoreError, BrokenRecord and RunDeleted; then it may be called again.
        """
        while self._pending or self.acknowledged < until or last or clock.elapsed() >= self._cut_at:
            if self._pending is None and not self._cut_next(last):
                break
            if self._pending is not None:
                self._send_pending(*self._pending)
        if clock.elapsed() >= self._beat_at and self.acknowledged and not last:
            self.beat()
        self._delete_replaced()

    def beat(self) -> None:
        """Rewrite the index entry."""
        self._record.refresh()
        self._entry.write(self._record.meta, self._summing.summary, ended=False)
        self._beat_at = clock.elapsed() + BEAT_EVERY

    def finish(self, ending: RunMeta | None) -> None:
        """Say in the store that this writer is done and, with `ending`, how the run ended. Everything was sent."""
        if ending is None:
            self._record.refresh()
        else:
            self._record.end(ending)
        self._entry.write(self._record.meta, self._summing.summary, ended=True)
        self._delete_replaced()
        compact_when_ended(self._project, self._header.writer)

    @property
    def cut_in(self) -> float:
        """Seconds until a fragment may be cut."""
        return max(0.0, self._cut_at - clock.elapsed())

    @property
    def beat_in(self) -> float | None:
        """Seconds until the next sign of life; None before the first line is there."""
        return max(0.0, self._beat_at - clock.elapsed()) if self.acknowledged else None

    def _cut_next(self, last: bool) -> bool:
        """Make the next fragment of what waits, or at the end of small ones that are left; False where nothing waits.

        What waits may be lines that the store has already, and then there is no fragment of them.
        """
        self._taken = self._taken or self._source.take()
        fresh = self._fragment_of(self._redaction.lines(_without_controls(self._taken.data)))
        batch, self._taken = self._taken, None
        if self._small and fresh.data and fresh.first != self._small[-1].last + 1:
            self._small = []  # lines between them are elsewhere; a fragment must hold what its name tells
        gathers = last or len(self._small) >= GATHERED - 1 or len(fresh.data) >= SMALL
        gathered = self._small if gathers else []
        parts = [*gathered, fresh] if fresh.data else gathered
        if fresh.data or len(gathered) > 1:
            self._pending = _joined(parts), batch
            self._cut_at = 0.0 if len(batch.data) >= _FULL else clock.elapsed() + CUT_EVERY
        else:
            self._source.sent(batch)
        return bool(batch.data) or self._pending is not None

    def _fragment_of(self, data: bytes) -> Fragment:
        """The lines the store has not got yet. All of them are added up."""
        lines = data.splitlines(keepends=True)
        behind = 0
        first = 0
        for text in lines:
            line = decode(text)
            number = line.id if line is not None and line.id else self._cut + 1
            if line is not None:
                self._summing.feed(line)
            if number <= self.acknowledged:
                behind += len(text)
            else:
                first = first or number
            self._cut = number
        return Fragment(first, self._cut, data[behind:])

    def _send_pending(self, fragment: Fragment, batch: Batch) -> None:
        self._project.store.put(self._key(fragment), fragment.data)
        self._pending = None
        self._source.sent(batch)
        self.acknowledged = fragment.last
        if self._small and fragment.first <= self._small[0].first:
            self._replaced += map(self._key, self._small)
            self._small = []
        if len(fragment.data) < SMALL:
            self._small.append(fragment)

    def _delete_replaced(self) -> None:
        """Small fragments that a larger one repeats. Where that fails they are tried again, or stay and do no harm."""
        if self._replaced:
            with suppress(StoreError):
                delete_many(self._project.store, self._replaced)
                self._replaced = []

    def _key(self, fragment: Fragment) -> str:
        return self._project.layout.fragment(self._header.run, self._header.writer, fragment.first, fragment.last)


def _joined(fragments: list[Fragment]) -> Fragment:
    return Fragment(fragments[0].first, fragments[-1].last, b"".join(fragment.data for fragment in fragments))


def _without_controls(data: bytes) -> bytes:
    if not data.startswith(CONTROL) and b"\n" + CONTROL not in data:
        return data
    return b"".join(line for line in data.splitlines(keepends=True) if not line.startswith(CONTROL))
