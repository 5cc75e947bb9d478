"""Writers, compactors that are killed at random, and readers at once: no run is ever missing, none counts twice."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.runs.indexjobs import Worker, compact_on, write_entries
from tests.support.scale import measured, size
from tests.support.world import World
from tracecraft.project import Project
from tracecraft.runs import compacting
from tracecraft.runs.rows import Row, read_rows

KILLS, RUNS = size(60, 8), size(2000, 150)
PATIENCE = 240.0


def noted(files: list[Path]) -> set[str]:
    """The runs whose last entry was written. A line that is not whole is not noted yet."""
    lines = (line for file in files if file.exists() for line in file.read_text().splitlines(keepends=True))
    return {line.strip() for line in lines if line.endswith("\n")}


def seen(reader: Project) -> dict[str, Row]:
    found = read_rows(reader).rows
    assert len({row.run for row in found}) == len(found)
    assert reader.broken == []
    return {row.run: row for row in found}


def check(rows: dict[str, Row], runs: set[str]) -> None:
    assert runs - rows.keys() == set(), "runs are missing"
    for run in runs:
        assert rows[run].status == "completed"
        assert rows[run].summary.lines == 2


def test_compactors_are_killed_while_writers_write(world: World, tmp_path: Path) -> None:
    stop, notes = tmp_path / "stop", [tmp_path / "a.txt", tmp_path / "b.txt"]
    reader, chance = world.open("reader"), random.Random()
    writers = [Worker(write_entries, world, file.stem, file, stop) for file in notes]
    compactors = [Worker(compact_on, world, f"c{n}", stop) for n in range(2)]
    kills = looks = 0
    deadline = time.monotonic() + PATIENCE
    with measured("index", world.url.partition(":")[0]) as figures:
        while kills < KILLS or len(noted(notes)) < RUNS:
            assert time.monotonic() < deadline, (kills, len(noted(notes)))
            before = noted(notes)
            check(seen(reader), before)
            looks += 1
            time.sleep(chance.uniform(0, 0.2))  # not in hope of anything: wherever it is then is where it dies
            compactors[kills % 2].kill()
            compactors[kills % 2] = Worker(compact_on, world, f"c{kills % 2}", stop)
            kills += 1
        stop.touch()
        assert all(worker.ended_well() for worker in [*writers, *compactors])
        runs = noted(notes)
        figures.update(kills=kills, looks=looks, runs=len(runs))
    rows = seen(reader)
    assert rows.keys() == runs
    check(rows, runs)
    compacting.compact(reader)
    check(seen(reader), runs)
