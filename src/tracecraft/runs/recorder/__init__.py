"""Recording: a run's lines go from memory to a file on this machine and from there into the store, behind the caller's
back. Nothing here raises into the work that is recorded, or makes it wait for a store."""

from tracecraft.runs.recorder.recorder import Recorder

__all__ = ["Recorder"]
