"""Runs one program and writes down how long it took and how much memory it had at most.

python -I -S spawned.py REPORT PROGRAM [ARGUMENT...]

Peak memory, as wait4 tells it, begins at the size of the process that was forked. So this one stays small: it imports
only what is built into the interpreter. `measure.py` runs it and reads the report: seconds, KiB, exit status.
"""

import posix
import sys
import time


def main(report: str, argv: list[str]) -> None:
    began = time.monotonic()
    child = posix.posix_spawn(argv[0], argv, posix.environ)
    _, status, usage = posix.wait4(child, 0)
    seconds = time.monotonic() - began
    kib = usage.ru_maxrss // 1024 if sys.platform == "darwin" else usage.ru_maxrss
    with open(report, "w") as file:
        file.write(f"{seconds} {kib} {posix.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
