"""The page as text: its policy fits its parts, and nothing of a story gets out of its block. tests/e2e opens it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path

import pytest

from tests.e2e import stories
from tracecraft.errors import TracecraftError
from tracecraft.replay.page import make_page, write_page


def test_the_policy_allows_the_pages_own_script_and_style_alone() -> None:
    page = make_page(stories.hostile())
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]  # a page without one fails here
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert [rules["script-src"]] == [_hash(text) for text in scripts]
    assert [rules["style-src"]] == [_hash(text) for text in styles]
    assert "unsafe" not in policy
    assert not re.search(r'\b(src|href|style|on\w+)="', page.split("<script type")[0])


def test_the_story_cannot_leave_its_block() -> None:
    page = make_page(stories.hostile())
    block = re.search(r'<script type="application/json" id="story">(.*?)</script>', page, re.DOTALL)
    assert block
    assert not re.search("[<>&\u2028\u2029]", block[1])
    story = json.loads(block[1])
    assert [row[3] for row in story["happenings"]] == list(stories.PAYLOADS)
    assert page.count("<script") == page.count("</script>") == 2
    assert "{{ story }}" in story["lanes"][4]


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text("what was there")
    size = write_page(stories.large(5), target)
    assert target.stat().st_size == size
    folder = tmp_path / "folder.html"
    folder.mkdir()
    with pytest.raises(TracecraftError, match="cannot write"):
        write_page(stories.large(5), folder)
    with pytest.raises(TracecraftError, match="cannot write"):
        write_page(stories.large(5), tmp_path / "nowhere" / "page.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.html", "page.html"]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
