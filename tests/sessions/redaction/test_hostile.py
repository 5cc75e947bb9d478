"""Lines made to be slow to read take as long as other lines of their length, and lines of any length little memory.

The limits are hundreds of times what linear work takes here; work that grew with the square of a line would not end.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sessions.redaction import hostile

ROOT = Path(__file__).parents[3]
SECONDS = 300
SIZE = 512 * 1024
MEGABYTE = 1024 * 1024


@pytest.mark.parametrize("name", hostile.LINES)
def test_a_hostile_line_is_read_in_linear_time(name: str) -> None:
    _run("-m", "tests.sessions.redaction.hostile", name, str(SIZE))


def test_eight_megabytes_of_what_begins_a_token() -> None:
    _run("-m", "tests.sessions.redaction.hostile", "prefixes of tokens", str(8 * MEGABYTE))


LONG_LINE = """
import random, re, resource, sys
from collections import Counter
from tracecraft.sessions.redaction import KnownSecret, Redactor

redactor, counts = Redactor([KnownSecret("env-A", "a9" * 20)]), Counter()
letters = b"abcdefghijklmnopqrstuvwxyz0123456789_"
secret = b" sk-ant-" + b"api03-" + bytes(random.Random(1).choices(letters, k=95)) + b" "
def peak():
    # On Linux getrusage() begins with what the parent had.
    if sys.platform == "linux":
        return int(re.search("VmHWM: *([0-9]+)", open("/proc/self/status").read().replace(chr(9), " "))[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def line(pieces):
    yield b'{"x":"'
    for number in range(pieces):
        yield secret + b"some text of a transcript, token by token. " * 1490
    yield b'"}' + bytes([10])
sum(map(len, redactor.redact([b"{}" + secret + bytes([10])], counts)))
before = peak()
size = sum(map(len, redactor.redact(line(1024), counts)))
assert size > 64_000_000, size
print(counts["anthropic-api-key"], peak() - before)
"""


def test_a_line_of_64_megabytes_takes_little_memory() -> None:
    found, kibibytes = map(int, _run("-c", LONG_LINE).split())
    assert found == 1025
    assert kibibytes < 16 * 1024


def _run(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, timeout=SECONDS, check=True, capture_output=True, text=True).stdout
