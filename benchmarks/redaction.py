"""How fast secrets are found, in how much memory, and which: on transcripts, on long lines, and on the labelled corpus.

The transcripts are those in the folder that TRACECRAFT_TEST_SAMPLES names, else some that are made up.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.measure import BenchmarkError
from tests.sessions.redaction import corpus, hostile
from tracecraft.sessions.redaction import KnownSecret, Redactor
from tracecraft.sessions.redaction.rules import RULES

SAMPLES = "TRACECRAFT_TEST_SAMPLES"
_ROOT = Path(__file__).parents[1]
_LIMIT = 600.0


@dataclass(frozen=True)
class Size:
    """How much is done. `hostile` is the length of a line that is made to be slow, `corpora` how often it is drawn."""

    megabytes: int
    runs: int
    hostile: int
    corpora: int


FULL = Size(megabytes=100, runs=5, hostile=1024 * 1024, corpora=3)
QUICK = Size(megabytes=2, runs=1, hostile=64 * 1024, corpora=1)


def main(folder: Path, size: Size) -> None:
    """Measure and keep the numbers."""
    transcripts = _transcripts()
    engines = ["aho-corasick", *(["hyperscan"] if find_spec("hyperscan") else [])]
    measured = {
        "size": asdict(size),
        "rules": len(RULES),
        "ruleset": Redactor().ruleset,
        "transcripts": transcripts.facts,
        "speed": [_speed(engine, transcripts.data, size) for engine in engines],
        "flushes": [_fresh(engine, size) for engine in engines],
        "long_line_kib": [_long_line() for _ in range(size.runs)],
        "hostile": [_hostile(name, size.hostile) for name in hostile.LINES],
        "corpus": _corpus(size.corpora),
        "findings": transcripts.findings(),
    }
    results.write(folder, "redaction", measured)


@dataclass(frozen=True)
class Transcripts:
    """What is redacted for speed: files by name, with their lines."""

    files: Mapping[str, bytes]
    real: bool

    @property
    def data(self) -> bytes:
        return b"".join(self.files.values())

    @property
    def facts(self) -> dict[str, Any]:
        data = self.data
        return {"real": self.real, "files": len(self.files), "bytes": len(data), "lines": data.count(b"\n")}

    def findings(self) -> list[dict[str, Any]]:
        """What is redacted in each file: of transcripts without secrets, the false positives."""
        redactor, found = Redactor(), []
        for name, data in self.files.items():
            counts: Counter[str] = Counter()
            for _ in redactor.redact([data], counts):
                pass
            found += [{"file": name, "rule": rule, "count": count} for rule, count in counts.items()]
        return found


def _transcripts() -> Transcripts:
    if folder := os.environ.get(SAMPLES):
        paths = [path for path in sorted(Path(folder).rglob("*")) if path.suffix in (".jsonl", ".json")]
        if not paths:
            raise BenchmarkError(f"{SAMPLES} names a folder without transcripts: {folder}")
        named = {str(path.relative_to(folder)): path.read_bytes().rstrip(b"\n") + b"\n" for path in paths}
        return Transcripts(named, real=True)
    return Transcripts({"made up": b"".join(_made_up(random.Random("made up")))}, real=False)


def _made_up(source: random.Random) -> Iterator[bytes]:
    """Text in which one word of twenty is one that goes before a secret, and lines full of ids and signatures."""
    words = ["file", "line", "test", "that", "reads", "what", "was", "written", "and", "returns", "an", "error"]
    for line in corpus.noise(source, 200):
        yield line
        for _ in range(20):
            text = [source.choice(words) for _ in range(source.randrange(10, 400))]
            text[::20] = [source.choice(RULES).keywords[0].text.decode() for _ in text[::20]]
            content = [{"type": "text", "text": " ".join(text)}]
            yield json.dumps({"type": "assistant", "message": {"content": content}}).encode() + b"\n"


def _known() -> list[KnownSecret]:
    source = random.Random("known")
    return [KnownSecret(f"env-KEY_{number}", "".join(source.choices(corpus.ALNUM, k=40))) for number in range(20)]


def _speed(engine: str, data: bytes, size: Size) -> dict[str, Any]:
    """Seconds for the transcripts, repeated, with known values: one core, in this process."""
    redactor = Redactor(_known(), engine=engine)
    times = max(1, size.megabytes * 1_000_000 // len(data))
    seconds = []
    for _ in range(size.runs + 1):
        began = time.perf_counter()
        for _ in redactor.redact((data for _ in range(times)), Counter()):
            pass
        seconds.append(time.perf_counter() - began)
    return {"engine": engine, "bytes": times * len(data), "seconds": seconds[1:]}


_FLUSH = """
import json, sys, time
import click, msgspec, pathlib, re, tracecraft.errors
began = time.perf_counter()
import os
from collections import Counter
from tracecraft.sessions.redaction import Redactor, known_secrets
imported = time.perf_counter()
known = known_secrets(pathlib.Path(sys.argv[2]), os.environ)
looked = time.perf_counter()
redactor = Redactor(known, engine=sys.argv[1])
line = json.dumps({"type": "user", "text": "a token of what was said, key by key. " * 24}).encode() + bytes([10])
for _ in redactor.redact([line] * 11, Counter()):
    pass
print(json.dumps([imported - began, looked - imported, time.perf_counter() - looked]))
"""


def _fresh(engine: str, size: Size) -> dict[str, Any]:
    """Seconds that redaction adds to a new process that flushes 10 KB: import, known values, first lines."""
    runs = [json.loads(_said("-c", _FLUSH, engine, "/nonexistent")) for _ in range(max(3, 4 * size.runs))]
    return {
        "engine": engine,
        "imports": [run[0] for run in runs],
        "known": [run[1] for run in runs],
        "lines": [run[2] for run in runs],
    }


def _long_line() -> int:
    """Peak memory that a line of 64 MB adds, in KiB."""
    from tests.sessions.redaction.test_hostile import LONG_LINE

    return int(_said("-c", LONG_LINE).split()[1])


def _hostile(name: str, length: int) -> dict[str, Any]:
    """Seconds for a line that is made to be slow, as JSON and as plain text."""
    began = time.perf_counter()
    hostile.main(name, length)
    return {"line": name, "bytes": 2 * length, "seconds": time.perf_counter() - began}


def _corpus(times: int) -> dict[str, Any]:
    """How many secrets of the corpus were missed, and how many near misses and other lines were redacted."""
    redactor = Redactor()
    counts: Counter[str] = Counter()
    for seed in range(times):
        for rule in RULES:
            source = random.Random(f"{seed} {rule.name}")
            for sample in corpus.positives(rule, source):
                counts["secrets"] += 1
                counts["missed"] += sample.secret.encode() in _redacted(redactor, sample)
            for sample in corpus.near_misses(rule, source):
                counts["near misses"] += 1
                counts["redacted"] += _redacted(redactor, sample) != sample.line
        for line in corpus.noise(random.Random(seed), 1000):
            counts["other lines"] += 1
            counts["other lines redacted"] += _redacted(redactor, corpus.Sample(line)) != line
    return dict(counts)


def _redacted(redactor: Redactor, sample: corpus.Sample) -> bytes:
    return b"".join(redactor.redact([sample.line], Counter(), text=sample.text))


def _said(*arguments: str) -> str:
    command: Sequence[str] = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_LIMIT, check=False)
    if done.returncode:
        raise BenchmarkError(f"a process of the benchmark failed:\n{done.stderr[-2000:]}")
    return done.stdout
