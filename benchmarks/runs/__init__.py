"""Runs: what it costs to log them and to read them back, beside MLflow's file store and trackio."""
