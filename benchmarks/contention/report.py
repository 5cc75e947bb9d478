"""The contention report as one HTML file that needs nothing beside itself, and the writing of all its forms.

The same logs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.contention import figures, logs, markdown, plots
from benchmarks.contention.logs import STAGGER_MS, WON, Burst, Machine, Trial
from benchmarks.contention.plots import MODES, colour_of, legend, name_of
from benchmarks.contention.svg import escape
from benchmarks.contention.tables import Row, headline, machine_rows, message_rows, race_row, summary_rows

_SHOWN_VIOLATIONS = 5


def results_in(root: Path) -> Path:
    """Where the logs are."""
    return root / "benchmarks" / "results" / "contention"


def write_report(root: Path) -> list[Path]:
    """Write every form of the report from the logs below `root`; returns what was written."""
    folder = results_in(root)
    trials, bursts, machine = logs.read_trials(folder), logs.read_bursts(folder), logs.read_machine(folder)
    docs = root / "docs"
    docs.mkdir(exist_ok=True)
    (docs / "contention.html").write_text(page(trials, bursts, machine), encoding="utf-8")
    (docs / "contention.md").write_text(markdown.page(trials, bursts, machine), encoding="utf-8")
    written = [docs / "contention.html", docs / "contention.md"]
    readme = root / "README.md"
    if readme.exists():
        section = markdown.readme_section(trials, bursts)
        readme.write_text(markdown.with_section(readme.read_text(encoding="utf-8"), section), encoding="utf-8")
        written.append(readme)
    return written


def page(trials: Sequence[Trial], bursts: Sequence[Burst], machine: Machine) -> str:
    """docs/contention.html."""
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    body = [_opening(trials), _counts(trials), *_races(trials), _every_race(trials), _messages(bursts)]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>tracecraft under contention</title>\n<style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join([*body, _machine(machine)])
        + "\n</main></body></html>\n"
    )


def _opening(trials: Sequence[Trial]) -> str:
    counted = figures.count([trial for trial in trials if figures.decides(trial.store)])
    control = figures.count([trial for trial in trials if not figures.decides(trial.store)])
    cards = [
        _card(f"{counted.races:,}", "races for one step"),
        _card(f"{counted.claims:,}", "claims in them"),
        _card(f"{counted.one_winner:,}", "races with exactly one winner"),
        _card(f"{counted.violations:,}", "violations", bad=counted.violations > 0),
        _card(
            f"{control.violations:,} of {control.races:,}" if control.races else "not run",
            "control races in which the harness saw a violation",
            bad=not control.violations,
        ),
    ]
    return (
        "<h1>tracecraft under contention</h1>\n"
        '<p class="muted">Many agents claim one step; many processes send messages at once.</p>\n'
        f'<div class="cards">{"".join(cards)}</div>\n<p>{escape(headline(trials))}</p>'
    )


def _card(value: str, told: str, *, bad: bool = False) -> str:
    return f'<div class="card{" bad" if bad else ""}"><b>{escape(value)}</b><span>{escape(told)}</span></div>'


def _counts(trials: Sequence[Trial]) -> str:
    return (
        "<h2>Who won</h2>\n"
        "<p>A race has one winner when one agent was told that it won, the stored claim names it under the same fence, "
        "and all others were told of it. A race is undecided when nobody was told that it won and somebody was told of "
        "an error. The control ignores conditions: tracecraft refuses to claim on it, and here it was made to.</p>\n"
        + _table(summary_rows(trials))
        + _violations(trials)
    )


def _violations(trials: Sequence[Trial]) -> str:
    """The first violations of each store, so that one can see what the harness saw."""
    rows: list[Row] = [("store", "race", "told that they won", "the stored claim says")]
    for store in figures.stores_of(trials):
        seen = [one for one in figures.pick(trials, store=store) if figures.verdict(one) == figures.VIOLATION]
        for trial in seen[:_SHOWN_VIOLATIONS]:
            winners = [name for name, said in zip(trial.names, trial.outcomes, strict=True) if said == WON]
            race = f"{trial.mode}, {trial.schedule}, {trial.agents} agents, trial {trial.trial}"
            stored = f"{trial.stored_agent}, {trial.stored_state}, fence {trial.stored_fence}"
            rows.append((name_of(store), race, ", ".join(winners) or "nobody", stored))
    if len(rows) == 1:
        return ""
    return f"<details><summary>The first violations of each store</summary>{_table(rows)}</details>"


def _races(trials: Sequence[Trial]) -> list[str]:
    if not trials:
        return []
    range_marks = [("mark-full", "winners"), ("mark-hollow", "refused")]
    curve_marks = [
        ("mark-line", "winners, processes"),
        ("mark-faint", "refused, processes"),
        ("mark-dashed", "winners, threads"),
        ("mark-dashed-faint", "refused, threads"),
    ]
    stores = [(colour_of(store), name_of(store)) for store in figures.stores_of(trials)]
    return [
        "<h2>Latency by number of agents</h2>\n"
        "<p>The time of one call of <code>steps.claim</code>. The dot is the median, the line ends at the 95th "
        "percentile, the tick is the longest call. Simultaneous: all are released at one moment. Staggered: each "
        f"starts {STAGGER_MS} ms after the one before. {escape(_about_lanes(trials))}</p>\n",
        *(f"<h3>Agents as {mode}</h3>\n{legend(range_marks)}{plots.latency_by_agents(trials, mode)}" for mode in MODES),
        "<h2>Distribution in the largest races</h2>\n<p>How many of the claims had their answer by then.</p>\n"
        + legend(curve_marks)
        + plots.distribution(trials),
        "<h2>Who wins when starts are staggered</h2>\n"
        "<p>Of the races with one winner, how many were won by the agent that started first, second and so on. A later "
        "one wins where its claim reaches the store before that of an earlier one.</p>\n"
        + legend([("mark-full", "processes"), ("mark-hollow", "threads")])
        + plots.winners_by_place(trials),
        "<h2>Claims per second</h2>\n<p>Simultaneous races: all claims of a race over the time from its first call to "
        "its last answer, the median of the races.</p>\n" + legend(stores) + plots.throughput(trials),
    ]


def _about_lanes(trials: Sequence[Trial]) -> str:
    """How the staggered races share the machine."""
    lanes = max(trial.lane for trial in trials) + 1
    return (
        f"Staggered races are mostly waiting, so {lanes} lanes of them run side by side, each with its own agents and "
        f"steps. Together they ask for up to {lanes * 1000 // STAGGER_MS} claims per second; where machine and store "
        "answer fewer, a queue builds up, and the times show it."
    )


def _every_race(trials: Sequence[Trial]) -> str:
    head = ("how", "agents", "races", "one winner", "violations", "claims that erred", "winners, ms", "refused, ms")
    parts = ["<h2>Every kind of race</h2>\n<p>Milliseconds as p50 / p95 / longest. Claims per second: the median.</p>"]
    for store in figures.stores_of(trials):
        rows: list[Row] = [(*head, "claims/s")]
        for (mode, schedule, agents), cell in figures.kinds(figures.pick(trials, store=store)):
            rows.append((f"{mode}, {schedule}", str(agents), *race_row(cell)))
        parts.append(f"<h3>{escape(name_of(store))}</h3>{_table(rows)}")
    return "\n".join(parts)


def _messages(bursts: Sequence[Burst]) -> str:
    if not bursts:
        return ""
    ordered = figures.in_order(bursts)
    sizes = [[burst for burst in ordered if (burst.messages > 1000) == large] for large in (False, True)]
    marks = legend([("mark-faint", "stored"), ("mark-line", "shown to readers")])
    return (
        "<h2>Bursts of messages</h2>\n"
        "<p>All senders begin at one moment and send one message after the other, while readers ask for what is new "
        "until they have everything and one more look finds nothing. A broadcast is delivered once to each reader; the "
        "others are addressed to one reader in the small bursts and to all readers in turn in the large ones.</p>\n"
        + _table(message_rows(bursts))
        + marks
        + "".join(plots.drains(some) for some in sizes if some)
    )


def _machine(machine: Machine) -> str:
    return f"<h2>What it ran on</h2>\n{_table(machine_rows(machine), 'facts')}"


def _table(rows: Sequence[Row], css: str = "") -> str:
    head, *body = rows
    cells = "".join(f"<th>{escape(value)}</th>" for value in head)
    lines = "\n".join(f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in row)}</tr>" for row in body)
    table = f'<table class="{css}"><thead><tr>{cells}</tr></thead><tbody>\n{lines}\n</tbody></table>'
    return f'<div class="wide">{table}</div>'
