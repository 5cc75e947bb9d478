"""The command line with another patience: `python -m tests.faults.impatient SECONDS COMMAND...`.

A command that gets no answer gives up after a minute. Tests that are about what happens then need not wait that long.
"""

from __future__ import annotations

import sys

from tracecraft import records
from tracecraft.cli.app import run

if __name__ == "__main__":
    (records.commit.__kwdefaults__ or {})["patience"] = float(sys.argv[1])
    sys.exit(run(sys.argv[2:]))
