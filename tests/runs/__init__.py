"""Runs: their log, what they come to, cost, and how they are read, compared and exported."""
