"""The contention report: a small run of all of it, and the report of logs that are made up here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from benchmarks.contention import logs
from benchmarks.contention.figures import ONE_WINNER, UNDECIDED, VIOLATION, count, decides, percentile, pick, verdict
from benchmarks.contention.logs import REFUSED, WON, Burst, Reader, Sender, Trial
from benchmarks.contention.markdown import README_MARKS
from benchmarks.contention.report import results_in, write_report
from benchmarks.contention.run import QUICK, main
from benchmarks.contention.stores import CONTROL, unavailable
from benchmarks.contention.svg import number, time_axis

VOID = {"meta", "br", "img", "input", "hr"}
KINDS = 2 * 2 * len(QUICK.agents)
"""Modes, schedules and numbers of agents of a quick run."""


class Page(HTMLParser):
    """Reads a page, and keeps what matters: elements that are open or were closed wrongly, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def report_of(root: Path) -> Page:
    """The page below `root`; it parses and refers to nothing outside itself."""
    text = (root / "docs" / "contention.html").read_text()
    page = Page(text)
    assert page.open == []
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "use", "image"}
    assert not {name for name, _ in page.attributes} & {"src", "href", "xlink:href", "srcset", "action"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import", text)
    return page


def trial(**changes: object) -> Trial:
    """A race of two that ended well, but for the changes."""
    good = Trial(
        store="folder",
        mode="processes",
        schedule="simultaneous",
        agents=2,
        trial=0,
        lane=0,
        names=["ada", "bob"],
        outcomes=[WON, REFUSED],
        start_ms=[0.0, 0.1],
        latency_ms=[5.0, 7.25],
        fences=[1, 0],
        holders=["ada", "ada"],
        stored_agent="ada",
        stored_fence=1,
        stored_state="in_progress",
    )
    changed = msgspec.structs.replace(good, **changes)
    changed.verdict = verdict(changed)
    return changed


TWO_WINNERS = {"outcomes": [WON, WON], "fences": [1, 1], "holders": ["ada", "bob"]}
CAUGHT = trial(store=CONTROL, **TWO_WINNERS)


def burst(**changes: int) -> Burst:
    """Three messages to one reader."""
    reader = Reader("reader1", expected=3, lost=0, repeated=0, unexpected=0, errors=[], batches=[(0.2, 1), (0.4, 2)])
    reader = msgspec.structs.replace(reader, **changes)
    sender = Sender("sender1", sent=3, errors=[], began=0.0, ended=0.3, curve=[1, 1, 1])
    return Burst("folder", messages=3, broadcasts=0, addressees=1, senders=[sender], readers=[reader])


def keep(root: Path, trials: Sequence[Trial], bursts: Sequence[Burst] = ()) -> None:
    for number_, store in enumerate(sorted({one.store for one in trials})):
        logs.write(results_in(root) / f"races-{number_}.jsonl.gz", pick(trials, store=store))
    logs.write(results_in(root) / "messages.jsonl.gz", bursts)


# The run


def test_a_quick_run_passes_and_its_report_says_what_its_logs_say(tmp_path: Path) -> None:
    stores = [store for store in ("folder", "ministack", "ceph") if not unavailable(store)]
    assert main(True, to=tmp_path, stores=stores) == 0

    trials = logs.read_trials(results_in(tmp_path))
    for store in stores:
        ran = count(pick(trials, store=store))
        assert ran.races == KINDS * QUICK.trials
        assert ran.claims == 4 * sum(QUICK.agents) * QUICK.trials
        assert ran.one_winner + ran.undecided == ran.races
    assert all(one.verdict == verdict(one) for one in trials)
    bursts = logs.read_bursts(results_in(tmp_path))
    assert sorted(one.store for one in bursts) == sorted(stores)
    assert {one.messages for one in bursts} == {200}
    assert set(logs.read_machine(results_in(tmp_path))) == {
        f"{part}-{store}" for part in ("races", "messages") for store in stores
    }

    shown = report_of(tmp_path).texts
    total = count(trials)
    for value in (total.races, total.claims, total.one_winner, total.violations):
        assert f"{value:,}" in shown

    written = {path: path.read_bytes() for path in (tmp_path / "docs").iterdir()}
    assert main(True, to=tmp_path, only="report") == 0
    assert {path: path.read_bytes() for path in (tmp_path / "docs").iterdir()} == written


@pytest.mark.usefixtures("s3rver_endpoint")
def test_the_control_is_caught(tmp_path: Path) -> None:
    """Where conditions are ignored the same harness sees several winners, and tracecraft by itself refuses to claim."""
    assert main(True, to=tmp_path, stores=[CONTROL]) == 0
    seen = count(logs.read_trials(results_in(tmp_path)))
    assert seen.races == KINDS * QUICK.trials
    assert seen.violations
    assert f"{seen.violations:,} of {seen.races:,}" in report_of(tmp_path).texts
    assert logs.read_machine(results_in(tmp_path))[f"races-{CONTROL}"]["left to itself"] == "unsafe_store"


# Judging


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ONE_WINNER),
        (TWO_WINNERS, VIOLATION),
        ({"outcomes": [REFUSED, REFUSED], "fences": [0, 0]}, VIOLATION),
        ({"stored_agent": "bob"}, VIOLATION),
        ({"stored_agent": "", "stored_state": "absent"}, VIOLATION),
        ({"stored_fence": 2}, VIOLATION),
        ({"fences": [2, 0], "stored_fence": 2}, VIOLATION),
        ({"stored_state": "complete"}, VIOLATION),
        ({"holders": ["ada", "eve"]}, VIOLATION),
        ({"outcomes": [WON, "unreachable"], "holders": ["ada", ""]}, ONE_WINNER),
        ({"outcomes": ["unknown", REFUSED], "fences": [0, 0], "holders": ["", "ada"]}, UNDECIDED),
        ({"outcomes": ["unknown", REFUSED], "fences": [0, 0], "holders": ["", "bob"]}, VIOLATION),
    ],
)
def test_a_race_is_judged_by_the_stored_claim(changes: dict[str, object], expected: str) -> None:
    assert trial(**changes).verdict == expected


def test_claims_that_erred_are_counted() -> None:
    counted = count([trial(), trial(outcomes=[WON, "unreachable"], holders=["ada", ""])])
    assert (counted.races, counted.claims, counted.one_winner, counted.errors) == (2, 4, 2, 1)


def test_a_violation_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path, [trial(), trial(trial=1, **TWO_WINNERS), CAUGHT])
    assert main(True, to=tmp_path, only="report") == 1
    assert "folder: 1 of 2 races without exactly one winner" in capsys.readouterr().err


def test_a_control_that_is_not_caught_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path, [trial(), trial(store=CONTROL)])
    assert main(True, to=tmp_path, only="report") == 1
    assert "no violation was seen" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["lost", "repeated", "unexpected"])
def test_a_message_that_is_not_delivered_exactly_once_fails_the_run(what: str, tmp_path: Path) -> None:
    keep(tmp_path, [trial(), CAUGHT], [burst()])
    assert main(True, to=tmp_path, only="report") == 0
    keep(tmp_path, [trial(), CAUGHT], [burst(**{what: 1})])
    assert main(True, to=tmp_path, only="report") == 1


@pytest.mark.parametrize(("percent", "expected"), [(50, 2.0), (95, 4.0), (25, 1.0), (0, 1.0), (100, 4.0)])
def test_percentiles(percent: float, expected: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == expected


# The report


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>\x1b[31m\"|`"
    hostile = trial(store=evil, mode=evil, names=[evil, "bob"], holders=[evil, "bob"], stored_agent=evil)
    keep(tmp_path, [hostile, trial(), CAUGHT], [msgspec.structs.replace(burst(), store=evil)])
    logs.write_machine(results_in(tmp_path), {evil: {evil: evil, "skipped": evil}})
    write_report(tmp_path)
    page = report_of(tmp_path)
    assert any("<script>alert" in text for text in page.texts)
    for name in ("contention.html", "contention.md"):
        written = (tmp_path / "docs" / name).read_text()
        assert "<script" not in re.sub(r"\\<", "", written), name
        assert "\x1b" not in written, name


def test_logs_of_equal_records_are_equal(tmp_path: Path) -> None:
    logs.write(tmp_path / "one.gz", [trial()])
    logs.write(tmp_path / "other.gz", [trial()])
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "other.gz").read_bytes()
    assert logs.read(tmp_path / "one.gz", Trial) == [trial()]


def test_the_first_page_quotes_the_report(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{README_MARKS[0]}\nold figures\n{README_MARKS[1]}\nafter\n")
    keep(tmp_path, [trial(), CAUGHT], [burst()])
    write_report(tmp_path)
    text = readme.read_text()
    assert text.startswith(f"before\n{README_MARKS[0]}\n")
    assert text.endswith(f"{README_MARKS[1]}\nafter\n")
    assert "old figures" not in text
    assert "| Folder | 1 | 1 | 5.0 / 5.0 | 7.2 / 7.2 |" in text
    write_report(tmp_path)
    assert readme.read_text() == text


def test_a_report_without_logs_is_written_all_the_same(tmp_path: Path) -> None:
    write_report(tmp_path)
    report_of(tmp_path)


def test_the_pages_in_the_repository_are_those_of_its_logs(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    for path in results_in(root).iterdir():
        target = results_in(tmp_path) / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (tmp_path / "README.md").write_bytes((root / "README.md").read_bytes())
    for written in write_report(tmp_path):
        theirs = root / written.relative_to(tmp_path)
        assert written.read_bytes() == theirs.read_bytes(), "run: python -m benchmarks.contention.run --only report"
    published = count([one for one in logs.read_trials(results_in(root)) if decides(one.store)])
    assert published.races
    assert not published.violations


# Drawing


@pytest.mark.parametrize(
    ("values", "ends"), [([3.0, 70.0], ("1 ms", "100 ms")), ([0.02], ("0.01 ms", "0.1 ms")), ([2e3], ("1 s", "10 s"))]
)
def test_a_log_axis_spans_its_values(values: list[float], ends: tuple[str, str]) -> None:
    axis = time_axis("ms", values)
    assert (axis.ticks[0][1], axis.ticks[-1][1]) == ends
    assert all(0 <= axis.share(value) <= 1 for value in values)


@pytest.mark.parametrize(("value", "shown"), [(1200.0, "1,200"), (12.5, "12.5"), (0.05, "0.05"), (100.0, "100")])
def test_numbers_are_short(value: float, shown: str) -> None:
    assert number(value) == shown
