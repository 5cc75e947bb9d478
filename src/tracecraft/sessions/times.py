"""Times that entries tell: as moments that can be compared, and as the ids of sessions and turns have them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

LONGEST = 40
"""Characters of the longest time."""


def seconds_of(at: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time; one without a zone is taken as UTC."""
    told = moment(at)
    try:
        return told.timestamp() if told else None
    except OverflowError:
        return None


def moment(at: str) -> datetime | None:
    """A time as an entry has it; None where it tells none."""
    try:
        told = datetime.fromisoformat(at[:LONGEST])
    except ValueError:
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def is_older(turn: str, session: str) -> bool:
    """Whether both ids tell when they were made, and the turn's was made before the session's."""
    try:
        ids = UUID(turn), UUID(session)
    except ValueError:
        return False
    return all(each.version == 7 for each in ids) and ids[0].int >> 80 < ids[1].int >> 80
