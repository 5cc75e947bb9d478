"""The benchmarks run, small, and their reports say what their logs say."""
