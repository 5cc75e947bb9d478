"""Replay: what happened in a project or a run, in order, and the state that follows from it at any moment."""
