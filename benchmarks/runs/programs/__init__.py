"""Programs that are measured as whole processes, each by the Python of its own environment.

All take the same arguments and print what they did as one line of JSON. `workload.py` says what it is.
"""
