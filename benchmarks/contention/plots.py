"""The plots of the contention report, each an SVG drawing of figures that figures.py computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from benchmarks.contention import figures, svg
from benchmarks.contention.logs import REFUSED, WON, Burst, Trial
from benchmarks.contention.svg import Axis, Panel, Point

NAMES = {"folder": "Folder", "ministack": "ministack", "ceph": "Ceph RGW", "s3rver": "s3rver (control)"}
MODES = ("processes", "threads")
SCHEDULES = ("simultaneous", "staggered")
_PLACES = 5
"""Start positions shown one by one; later ones are taken together."""


def name_of(store: str) -> str:
    return NAMES.get(store, store)


def colour_of(store: str) -> str:
    """The CSS class of a store's colour."""
    return f"store-{store}" if store in NAMES else "store-other"


def latency_by_agents(trials: Sequence[Trial], mode: str) -> str:
    """Winners and losers: the median, a line up to the 95th percentile, and a tick at the longest."""
    stores = figures.stores_of(trials)
    trials = figures.pick(trials, mode=mode)
    sizes = sorted({trial.agents for trial in trials})
    up = svg.time_axis("time of a claim, log scale", [took for trial in trials for took in trial.latency_ms])
    across = svg.category_axis("agents", [str(size) for size in sizes])
    parts = []
    for row, schedule in enumerate(SCHEDULES):
        for store, corner in zip(stores, svg.row_of_panels(len(stores), 250, 262.0 * row), strict=True):
            panel = Panel(*corner, f"{name_of(store)}, {schedule}", across, up)
            parts.append(panel.frame())
            for place, size in enumerate(sizes):
                cell = figures.pick(trials, store=store, schedule=schedule, agents=size)
                for outcome, aside in ((WON, -0.14), (REFUSED, 0.14)):
                    parts.append(_range(panel, place + aside, cell, outcome, store))
    return svg.figure(512, parts, f"Latency of winners and losers by number of agents, {mode}")


def _range(panel: Panel, at: float, cell: Iterable[Trial], outcome: str, store: str) -> str:
    spread = figures.spread(figures.latencies(cell, outcome))
    if spread is None:
        return ""
    css = f"{colour_of(store)} {'full' if outcome == WON else 'hollow'}"
    x, top = panel.x(at), panel.y(spread.longest)
    told = f"{outcome}: median {spread.p50:.1f} ms, p95 {spread.p95:.1f} ms, longest {spread.longest:.1f} ms"
    return (
        svg.line((x, panel.y(spread.p50)), (x, panel.y(spread.p95)), f"whisker {css}")
        + svg.line((x - 3, top), (x + 3, top), f"whisker {css}")
        + svg.dot((x, panel.y(spread.p50)), css, told)
    )


def distribution(trials: Sequence[Trial]) -> str:
    """How many of the claims had their answer by then, in the largest races."""
    stores = figures.stores_of(trials)
    largest = max((trial.agents for trial in trials), default=0)
    trials = figures.pick(trials, agents=largest)
    across = svg.time_axis("time of a claim, log scale", [took for trial in trials for took in trial.latency_ms])
    up = svg.linear_axis("% of claims", 100)
    parts = []
    for row, schedule in enumerate(SCHEDULES):
        for store, corner in zip(stores, svg.row_of_panels(len(stores), 250, 262.0 * row), strict=True):
            panel = Panel(*corner, f"{name_of(store)}, {schedule}", across, up)
            parts.append(panel.frame())
            for mode, outcome in product(MODES, (WON, REFUSED)):
                cell = figures.pick(trials, store=store, schedule=schedule, mode=mode)
                css = f"{colour_of(store)}{'' if outcome == WON else ' faint'}{' dashed' if mode == 'threads' else ''}"
                parts.append(svg.path(_shares(panel, figures.latencies(cell, outcome)), css))
    return svg.figure(512, parts, f"Distribution of latencies of {largest} agents")


def _shares(panel: Panel, values: Sequence[float]) -> list[Point]:
    """The share of values up to each, as steps thinned to what can be seen."""
    ordered = sorted(values)
    every = max(1, len(ordered) // 300)
    places = [*range(0, len(ordered), every), len(ordered) - 1] if ordered else []
    return [(panel.x(ordered[place]), panel.y(100 * (place + 1) / len(ordered))) for place in places]


def winners_by_place(trials: Sequence[Trial]) -> str:
    """Who wins a staggered race: the share of wins by the place in which an agent started."""
    trials = figures.pick(trials, schedule="staggered")
    stores = [store for store in figures.stores_of(trials) if figures.decides(store)]
    labels = [*(str(place + 1) for place in range(_PLACES)), f"{_PLACES + 1}+"]
    across, up = svg.category_axis("start position of the winner", labels), svg.linear_axis("% of races", 100)
    parts = []
    for store, corner in zip(stores, svg.row_of_panels(len(stores), 250), strict=True):
        panel = Panel(*corner, name_of(store), across, up)
        parts.append(panel.frame())
        for mode, aside in zip(MODES, (-0.2, 0.2), strict=True):
            wins = figures.winning_places(figures.pick(trials, store=store, mode=mode))
            css = f"{colour_of(store)} {'full' if mode == 'processes' else 'hollow'}"
            parts += [_share_bar(panel, place, aside, wins, css, mode) for place in range(len(labels))]
    return svg.figure(250, parts, "Share of wins by start position in staggered races")


def _share_bar(panel: Panel, place: int, aside: float, wins: dict[int, int], css: str, mode: str) -> str:
    total = sum(wins.values())
    won = wins.get(place, 0) if place < _PLACES else sum(count for at, count in wins.items() if at >= _PLACES)
    if not won:
        return ""
    share = 100 * won / total
    width = (panel.x(1) - panel.x(0)) * 0.36
    middle, top = panel.x(place + aside), panel.y(share)
    shape = svg.bar(middle - width / 2, top, width, panel.y(0) - top, css, f"{mode}: {won} of {total} races")
    outwards = (middle + width / 2, "end") if aside < 0 else (middle - width / 2, "start")
    return shape + svg.text(outwards[0], top - 4, _percent(share), "value", outwards[1])


def _percent(share: float) -> str:
    return "100" if share == 100 else f"{min(share, 99.9):.1f}"


def throughput(trials: Sequence[Trial]) -> str:
    """Claims answered per second in simultaneous races: the median race, by number of agents."""
    trials = figures.pick(trials, schedule="simultaneous")
    stores = figures.stores_of(trials)
    sizes = sorted({trial.agents for trial in trials})
    medians = {
        (store, mode, size): figures.percentile([figures.claims_per_second(trial) for trial in cell], 50)
        for store, mode, size in product(stores, MODES, sizes)
        if (cell := figures.pick(trials, store=store, mode=mode, agents=size))
    }
    across = svg.category_axis("agents", [str(size) for size in sizes])
    up = svg.linear_axis("claims per second", max(medians.values(), default=1.0))
    parts = []
    for mode, corner in zip(MODES, svg.row_of_panels(len(MODES), 300), strict=True):
        panel = Panel(*corner, mode, across, up)
        parts.append(panel.frame())
        for store in stores:
            points = [(n, medians[store, mode, size]) for n, size in enumerate(sizes) if (store, mode, size) in medians]
            places = [(panel.x(n), panel.y(rate)) for n, rate in points]
            parts.append(svg.path(places, colour_of(store)))
            for place, (n, rate) in zip(places, points, strict=True):
                told = f"{name_of(store)}, {sizes[n]} agents: {rate:.0f} claims/s"
                parts.append(svg.dot(place, f"{colour_of(store)} full", told))
    return svg.figure(300, parts, "Claims per second by number of agents")


def drains(bursts: Sequence[Burst]) -> str:
    """Messages stored and messages shown over time, a panel for each burst."""
    parts = []
    corners = svg.row_of_panels(len(bursts), 270)
    for burst, corner in zip(bursts, corners, strict=True):
        sent, read = figures.sent_curve(burst), figures.read_curve(burst)
        across = svg.linear_axis("seconds", max(sent[-1][0], read[-1][0]), count=3)
        up: Axis = svg.linear_axis("messages", max(sent[-1][1], read[-1][1]))
        panel = Panel(*corner, f"{name_of(burst.store)}, {burst.messages:,} messages", across, up)
        parts.append(panel.frame())
        for curve, more in ((sent, "faint"), (read, "")):
            places = [(panel.x(at), panel.y(total)) for at, total in curve]
            parts.append(svg.path(places, f"{colour_of(burst.store)} {more}"))
    return svg.figure(270, parts, "Messages sent and read over time")


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Entries of (CSS class of the mark, text) above a figure."""
    marks = "".join(f'<span><i class="{css}"></i>{svg.escape(told)}</span>' for css, told in entries)
    return f'<p class="legend">{marks}</p>'
