"""The page in a real browser: it asks for nothing, runs nothing but its own script, and shows the moment asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import stories
from tests.e2e.chrome import Page, browser, find_chromium
from tests.e2e.measure import play, scrub, zoom
from tracecraft.replay.page import make_page
from tracecraft.replay.story import Story

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium: no browser is installed")

SHOWN = "document.getElementById('overview').getAttribute('aria-valuenow')"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    assert CHROMIUM is not None
    with browser(CHROMIUM) as page:
        page.size(1400, 860)
        yield page


def opened(page: Page, folder: Path, story: Story, moment: str = "") -> str:
    path = folder / "page.html"
    path.write_text(make_page(story))
    page.go(f"{path.as_uri()}{moment}")
    return path.as_uri()


def until(page: Page, expression: str, wanted: str) -> None:
    """Wait until the page shows something."""
    shown = page.value(
        f"new Promise((done) => {{ const look = (left) => {{ const now = String({expression});"
        f" if (now === {json.dumps(wanted)} || !left) done(now); else setTimeout(() => look(left - 1), 50); }};"
        " look(200); })"
    )
    assert shown == wanted


def test_everything_hostile_is_text(page: Page, tmp_path: Path) -> None:
    url = opened(page, tmp_path, stories.hostile())
    for _ in stories.PAYLOADS:
        page.press("ArrowLeft", "ArrowLeft")
    page.press("End", "End")
    until(page, SHOWN, str(len(stories.PAYLOADS)))
    page.value("new Promise((done) => setTimeout(done, 300))")
    told = page.value("document.getElementById('feed').textContent")
    assert all(text[:20] in told for text in stories.PAYLOADS if "\x00" not in text)
    left, top, width, height = page.box("#timeline")
    for step in range(40):
        page.mouse("mouseMoved", left + width * step / 40, top + height * 0.3)
        page.click(left + width * step / 40, top + 60 + step % 4 * 50)
    for row in range(5):
        page.value(f"document.querySelectorAll('#feed button')[{row}].click()")
    assert page.value("window.hacked === undefined && Object.prototype.hacked === undefined")
    assert page.value("document.scripts.length") == 2
    assert page.value("document.querySelectorAll('img, iframe, svg, object, embed, link, a').length") == 0
    assert page.value("document.title") == stories.PAYLOADS[0]
    assert page.value("document.getElementById('title').textContent") == stories.PAYLOADS[0]
    assert page.requests() == [url]
    assert page.complaints() == []


def test_its_policy_stops_what_is_not_its_own(page: Page, tmp_path: Path) -> None:
    """The checks of the test above can fail: what a page without care would do is stopped and told."""
    opened(page, tmp_path, stories.large(10))
    page.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 1\">')")
    page.value("window.made = document.createElement('script')")
    page.value("made.text = 'window.hacked = 2'; document.body.append(made); 0")
    page.value("fetch('http://127.0.0.1:9/').catch(() => 0)")
    page.value("new Promise((done) => setTimeout(done, 200))")
    assert page.value("window.hacked === undefined")
    assert any("Content Security Policy" in told for told in page.complaints())


def test_a_link_leads_to_its_moment_and_the_address_follows(page: Page, tmp_path: Path) -> None:
    story = stories.large(300)
    at = story.happenings[120].at - story.happenings[0].at
    expected = sum(happening.at <= story.happenings[120].at for happening in story.happenings)
    opened(page, tmp_path, story, f"#t={at:.3f}")
    until(page, SHOWN, str(expected))
    page.press("ArrowRight", "ArrowRight")
    until(page, SHOWN, str(expected + 1))
    until(page, f"location.hash !== '#t={at:.3f}'", "true")
    page.value("location.hash = '#t=0'")
    until(page, SHOWN, "1")


def test_the_state_is_that_of_the_moment(page: Page, tmp_path: Path) -> None:
    """Whether it is reached by playing on, by jumping back or by a link."""
    story = stories.large(1500)
    rows = "document.getElementById('state').innerText"
    moment = f"#t={story.happenings[900].at - story.happenings[0].at:.4f}"
    opened(page, tmp_path, story, moment)
    direct = page.value(rows)
    page.press("End", "End")
    until(page, SHOWN, "1500")
    assert page.value(rows) != direct
    until(page, f"location.hash === {json.dumps(moment)}", "false")
    page.value(f"location.hash = {json.dumps(moment)}")
    until(page, rows, direct)


def test_playing_reaches_the_end_and_stops(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, stories.large(40))
    give(page, "speed", "3000", "change")
    page.press(" ", "Space", " ")
    until(page, "document.getElementById('play').getAttribute('aria-label')", "Play")
    until(page, SHOWN, "40")


def test_filters_take_out_of_sight(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, stories.large(400))
    page.value("window.shown = () => [...document.querySelectorAll('#feed button')].filter((row) => !row.hidden)")
    page.value("window.groups = [...document.querySelectorAll('.chip')]")
    page.value("groups.filter((chip) => !chip.innerText.includes('messages')).forEach((chip) => chip.click())")
    until(page, "shown().every((row) => row.children[2].textContent.startsWith('message'))", "true")
    assert page.value("shown().length") > 0
    give(page, "search", "nothing like it", "input")
    until(page, "shown().length", "0")


def give(page: Page, name: str, value: str, event: str) -> None:
    """What somebody puts into a field."""
    page.value(
        f"(() => {{ const field = document.getElementById({json.dumps(name)}); field.value = {json.dumps(value)};"
        f" field.dispatchEvent(new Event({json.dumps(event)})); }})()"
    )


def test_20000_happenings_are_played_zoomed_and_scrubbed(page: Page, tmp_path: Path) -> None:
    url = opened(page, tmp_path, stories.large(20_000))
    until(page, SHOWN, "20000")
    zoom(page, 10)
    scrub(page)
    play(page, 0.5)
    assert int(page.value(SHOWN)) < 20_000
    assert page.requests() == [url]
    assert page.complaints() == []


def test_light_and_dark_by_the_system_and_by_choice(page: Page, tmp_path: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page.appearance("light")
    opened(page, tmp_path, stories.large(20))
    light = page.value(ground)
    page.appearance("dark")
    dark = page.value(ground)
    assert light != dark
    page.press("t", "KeyT", "t")
    assert page.value(ground) == light
    page.press("t", "KeyT", "t")
    page.appearance("light")
    assert page.value(ground) == dark
    page.press("t", "KeyT", "t")
    assert page.value(ground) == light
