"""What mirroring needs of redaction, so that a mirror without any loads none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol


class Redactor(Protocol):
    """Takes secrets out of transcripts."""

    @property
    def ruleset(self) -> str | None:
        """The version of the rules, as it is kept with every part; None where nothing is taken out."""

    def redact(self, chunks: Iterable[bytes], counts: Counter[str], *, text: bool = False) -> Iterator[bytes]:
        """The chunks, whole lines together, without secrets; `counts` gets the number taken out by each rule.

        What comes out does not depend on how the lines were cut into chunks, or which came together.
        """


class Unredacted:
    """Leaves everything as it is, for stores that are trusted with secrets."""

    ruleset = None

    def redact(self, chunks: Iterable[bytes], counts: Counter[str], *, text: bool = False) -> Iterator[bytes]:
        yield from chunks
