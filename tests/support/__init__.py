"""Helpers of the tests: S3 servers to run against, a proxy that injects faults, and the processes behind them."""
