"""Runs: what an experiment was given, what it measured, used and did, recorded line by line and read back."""
