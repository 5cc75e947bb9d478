"""The rule about time: nobody takes a step over before its lease can have run out.

A history has real times, on one clock. A sign of life was given at the earliest when it was called, and a takeover was
decided at the latest when it returned; so where these are less than the ttl apart, the lease had not run out, whatever
the clocks of agents and stores say. A sign counts if it was acknowledged before the takeover was called.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.linear.history import Operation
from tests.support.steptable import Told

_HELD_AGAIN = ("claimed", "already_yours", "stolen", "taken_over")


def early_takeovers(history: Sequence[Operation], ttl: float) -> list[str]:
    """Takeovers of one step that came while its holder had given a sign of life less than `ttl` seconds before."""
    return [
        f"{takeover.name}: taken over from {told.previous} {age:.2f} s after a sign of life, with a ttl of {ttl:g} s"
        for takeover in takeovers(history)
        if (told := told_by(takeover)) and (age := _age_of_lease(history, takeover, told)) is not None and age < ttl
    ]


def takeovers(history: Iterable[Operation]) -> list[Operation]:
    """What was taken from somebody whose lease had run out, as acknowledged."""
    return [operation for operation in history if operation.known and told_by(operation).said == "taken_over"]


def told_by(operation: Operation) -> Told:
    return Told(*(operation.answer or ("", "", None)))


def _age_of_lease(history: Sequence[Operation], takeover: Operation, told: Told) -> float | None:
    """At most so old was the last acknowledged sign of life of the hold that a takeover ended."""
    signs = [
        operation.called
        for operation in history
        if operation.agent == told.previous and operation.returned < takeover.called and _keeps(operation, told)
    ]
    return takeover.returned - max(signs) if signs else None


def _keeps(operation: Operation, lost: Told) -> bool:
    """Whether an operation proved the hold alive that ended under the fence before that of `lost`."""
    told = told_by(operation)
    proves = told.said in _HELD_AGAIN or (operation.action["do"] == "renew" and told.said == "done")
    return proves and lost.fence is not None and told.fence == lost.fence - 1
