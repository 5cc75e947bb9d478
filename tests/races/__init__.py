"""Races between real processes: one winner, no lost update, no lost message."""
