"""Runs written in formats that others read: tables, traces and trajectories. Each format is one file here."""
