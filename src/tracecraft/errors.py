"""Every error tracecraft raises on purpose, in one tree.

    TracecraftError                 1  failed
      UsageError                    2  the call itself is wrong; nothing was written
      Refused                       3  somebody else's state says no
        Held                           another agent holds the step
        LostLease                      you no longer hold the step
        WrongState                     the step is not in a state that allows this
        VersionMismatch                the memory key changed meanwhile
        NameTaken                      the name belongs to somebody else
      Missing                       4  not found, or nothing to do
        NothingReady                   `next` found no step to hand out
      TimedOut                      5
      StepBlocked                   6
      StoreError                    7  unreachable, not allowed, or outcome unknown
        Unreachable                    no answer; nothing was written
        Denied                         the store refuses these credentials
          NoBucket                     the bucket does not exist
        Unknown                        a write went unanswered and may have been applied
        UnsafeStore                    the store does not keep the promises claims need
      BrokenRecord                  1  an object in the store is not what it should be
      Corrupt                       1  a file that was downloaded is not what was uploaded

Inside the ground floor two more carry no exit code of their own, because no caller above it sees them:
`NotFound` and `Conflict`, a store's plain answers.

Every error has a `code` for machines, a message that says what happened and what is now true, a `hint` that
says what to do next, and `fields` with the facts (who holds it, since when).
"""

from __future__ import annotations

from typing import Any, ClassVar


class TracecraftError(Exception):
    """Something failed. Base of everything raised here."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = fields

    def as_dict(self) -> dict[str, Any]:
        """The machine's view: code, message, hint and the facts."""
        return {"code": self.code, "message": self.message, "hint": self.hint, **self.fields}


class UsageError(TracecraftError):
    """The call is wrong: a bad name, a bad value, a missing setting. Nothing was written."""

    code = "usage"
    exit_code = 2


class Refused(TracecraftError):
    """Somebody else's state says no."""

    code = "refused"
    exit_code = 3


class Held(Refused):
    """Another agent holds the step. Fields: step, holder, fence, since, expires_at (by the store's clock)."""

    code = "held"


class LostLease(Refused):
    """The caller held the step and does not any more. Fields: step, holder, fence, state."""

    code = "lost_lease"


class WrongState(Refused):
    """The step's state does not allow this. Fields: step, state, agent."""

    code = "wrong_state"


class VersionMismatch(Refused):
    """The memory key is no longer at the version the caller expects. Fields: key, version."""

    code = "version_mismatch"


class NameTaken(Refused):
    """The name belongs to somebody else, or differs from an existing one only in case."""

    code = "name_taken"


class Missing(TracecraftError):
    """What was asked for is not there."""

    code = "not_found"
    exit_code = 4


class NothingReady(Missing):
    """`next` has nothing to hand out. Fields: reason (all_done, all_held, waiting_on_needs) and its details."""

    code = "nothing_ready"


class TimedOut(TracecraftError):
    """The time given ran out before the thing waited for happened."""

    code = "timed_out"
    exit_code = 5


class StepBlocked(TracecraftError):
    """A step waited for is blocked and will not complete by itself. Fields: step, agent, note."""

    code = "blocked"
    exit_code = 6


class StoreError(TracecraftError):
    """The store did not do what it was asked."""

    code = "store"
    exit_code = 7


class Unreachable(StoreError):
    """The store gave no answer, or one that says "not now". Nothing was written by this request."""

    code = "unreachable"


class Denied(StoreError):
    """The store refuses these credentials, or the bucket is not there."""

    code = "denied"


class NoBucket(Denied):
    """The bucket does not exist."""

    code = "no_bucket"


class Unknown(StoreError):
    """A write went unanswered: it may have been applied, now or a little later."""

    code = "unknown_outcome"

    def __init__(self, message: str, *, hint: str = "", throttled: bool = False, **fields: Any) -> None:
        super().__init__(message, hint=hint or "it may have been applied: look before you repeat", **fields)
        self.throttled = throttled


class UnsafeStore(StoreError):
    """The store does not decide conditional writes, so claims on it would not exclude each other."""

    code = "unsafe_store"


class BrokenRecord(TracecraftError):
    """An object in the store is not what it should be. Fields: key."""

    code = "broken_record"


class Corrupt(TracecraftError):
    """What was downloaded is not what was uploaded. Nothing was left on disk."""

    code = "corrupt"


class NotFound(Exception):
    """A store's answer: there is no object under this key."""


class Conflict(Exception):
    """A store's answer: the condition did not hold and this request was not applied.

    That says nothing about earlier requests with the same bytes; see `records.commit`.
    """
