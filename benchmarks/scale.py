"""How commands grow with the project: time, memory and requests for 100 to 100,000 steps, messages, agents, events.

On a folder, and on Ceph behind a proxy that counts requests and delays each by 30 ms. Each command runs twice with the
same home: `cold`, when the machine remembers nothing of these objects, and `warm`, right after. Then the race of
race.py, on Ceph without the proxy.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import programs, results, seed
from benchmarks.accesslog import AccessLog
from benchmarks.counting import by_kind, waves
from benchmarks.programs import Place
from benchmarks.race import race
from tests.support.ceph import Ceph
from tests.support.proxy import Proxy
from tests.support.servers import Endpoint, make_bucket
from tracecraft.store.folder import FolderStore

DELAY = 0.03
_LIMIT = 300.0
_READER = "ann"
_RACE = "race"


@dataclass(frozen=True)
class Size:
    """How much is measured. `events` are sizes that only the log is taken to."""

    sizes: tuple[int, ...]
    events: tuple[int, ...]
    rounds: int
    racers: int
    race_steps: int
    race_limit: float


FULL = Size(sizes=(100, 1000, 10_000), events=(100_000,), rounds=3, racers=100, race_steps=10_000, race_limit=1200.0)
QUICK = Size(sizes=(3,), events=(5,), rounds=1, racers=2, race_steps=9, race_limit=60.0)


@dataclass(frozen=True)
class Command:
    """A command, and the kind of object that its project is full of: a key of KINDS."""

    name: str
    full_of: str


COMMANDS = (
    Command("status", "steps"),
    Command("next", "steps"),
    Command("step list", "steps"),
    Command("inbox", "messages"),
    Command("agents", "agents"),
    Command("log", "events"),
)

KINDS: dict[str, Callable[[str, int], seed.Objects]] = {
    "steps": seed.declared_steps,
    "messages": lambda project, count: seed.messages(project, _READER, count),
    "agents": seed.agents,
    "events": seed.events,
}


def main(folder: Path, size: Size) -> Path:
    """Measure, and write scale.json into `folder`."""
    program = programs.ours(quick=size is QUICK)
    with tempfile.TemporaryDirectory(prefix="tracecraft-scale-") as name:
        root = Path(name)
        on_folder = Place.in_folder(root, program)
        rows = _on_folder(on_folder, size)
        _remember_store(on_folder)
        races = [race(on_folder, _RACE, size.racers, size.race_limit, dict)]
        with _ceph(root) as (endpoint, files):
            make_bucket(endpoint, "scale")
            direct = Place.in_bucket("Ceph", root, program, endpoint, "scale")
            rows += _on_ceph(direct, endpoint, size)
            _remember_store(direct)
            races.append(race(direct, _RACE, size.racers, size.race_limit, AccessLog(files).by_kind))
    measured = {
        "size": asdict(size),
        "install": programs.how_installed(program),
        "delay": DELAY,
        "rows": rows,
        "races": [{**one, "steps": size.race_steps} for one in races],
    }
    return results.write(folder, "scale", measured)


def _on_folder(place: Place, size: Size) -> list[dict[str, Any]]:
    store = place.store()
    assert isinstance(store, FolderStore)
    for objects in _seeds(size):
        seed.fill_folder(store.root, objects)
    return [_row(place, command, count, size.rounds, None) for command, count in _cases(size)]


def _on_ceph(direct: Place, endpoint: Endpoint, size: Size) -> list[dict[str, Any]]:
    store = direct.store()
    for objects in _seeds(size):
        seed.fill(store, objects)
    print("Ceph is filled", flush=True)
    with Proxy(endpoint.url) as proxy:
        place = direct.through(endpoint, proxy.url)
        return [_row(place, command, count, size.rounds, proxy) for command, count in _cases(size)]


def _seeds(size: Size) -> Iterator[seed.Objects]:
    """All that there is to be stored: a project for each kind and count, and that of the race."""
    yield seed.declared_steps(_RACE, size.race_steps)
    for kind in KINDS:
        for count in (*size.sizes, *(size.events if kind == "events" else ())):
            yield KINDS[kind](_project(kind, count), count)


def _cases(size: Size) -> Iterator[tuple[Command, int]]:
    for command in COMMANDS:
        for count in (*size.sizes, *(size.events if command.full_of == "events" else ())):
            yield command, count


def _project(kind: str, count: int) -> str:
    return f"{kind}-{count}"


def _row(place: Place, command: Command, count: int, rounds: int, proxy: Proxy | None) -> dict[str, Any]:
    """A command at one size: so many rounds of a cold and a warm run."""
    cold, warm = [], []
    for number in range(rounds):
        one, two = _agents_of(command, number)
        for agent in dict.fromkeys((one, two)):
            _settle_in(place, command, count, number, agent, proxy)
        cold.append(_measured(place, command, count, number, one, proxy))
        warm.append(_measured(place, command, count, number, two, proxy))
    told = f"{place.name}: {command.name}, {count:,} {command.full_of}"
    print(f"{told}: cold {results.spread([run['seconds'] for run in cold], 2)} s", flush=True)
    row = {"place": place.name, "command": command.name, "full_of": command.full_of, "count": count}
    return {**row, "cold": cold, "warm": warm}


def _agents_of(command: Command, number: int) -> tuple[str, str]:
    """Who runs the command cold, and who warm: `next` would give the same agent the same step again."""
    if command.name == "next":
        return f"{_READER}-{number}-cold", f"{_READER}-{number}-warm"
    return _READER, _READER


def _settle_in(place: Place, command: Command, count: int, number: int, agent: str, proxy: Proxy | None) -> None:
    """Set an agent up in a home that both runs of a round share, and no other."""
    if proxy is not None:
        proxy.delay = 0.0
    seat = place.seat(_project(command.full_of, count), agent, home=_home(command, number))
    seat.run("init", "--force", limit=_LIMIT)


def _measured(
    place: Place, command: Command, count: int, number: int, agent: str, proxy: Proxy | None
) -> dict[str, Any]:
    seat = place.seat(_project(command.full_of, count), agent, home=_home(command, number))
    if proxy is None:
        return asdict(seat.run(*command.name.split(), limit=_LIMIT))
    proxy.clear()
    proxy.delay = DELAY
    run = seat.run(*command.name.split(), limit=_LIMIT)
    return {**asdict(run), "requests": by_kind(proxy.requests), "waves": waves(proxy.requests)}


def _home(command: Command, number: int) -> str:
    return f"{command.name.replace(' ', '-')}-{number}"


def _remember_store(place: Place) -> None:
    """Let the racers' home know what the store promises, as after the first command there."""
    place.seat(_RACE, "starter", home="racers").run("init", "--force", limit=_LIMIT)


@contextmanager
def _ceph(root: Path) -> Iterator[tuple[Endpoint, Path]]:
    """A Ceph, and the folder with its logs."""
    node = Ceph(root / "ceph")
    try:
        yield node.start(), node.folder
    finally:
        node.stop()
