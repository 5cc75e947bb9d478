"""The long runs. `make soak` runs them together with the races, faults and interop tests at full size."""
