"""The tests of tracecraft, laid out as src/ is, and `support/`: the servers and faults they run against."""
