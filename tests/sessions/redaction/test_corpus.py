"""Every rule finds every secret of its kind in the corpus, and nothing in its near misses."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.sessions.redaction import corpus
from tests.sessions.redaction.drawing import longest, looks_around
from tracecraft.sessions.redaction import Redactor
from tracecraft.sessions.redaction.rule import Rule
from tracecraft.sessions.redaction.rules import RULES

REDACTOR = Redactor()


def redact(sample: corpus.Sample) -> tuple[bytes, Counter[str]]:
    counts: Counter[str] = Counter()
    return b"".join(REDACTOR.redact([sample.line], counts, text=sample.text)), counts


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_secret_is_found_and_named_after_its_kind(rule: Rule) -> None:
    samples = list(corpus.positives(rule, random.Random(rule.name)))
    assert len(samples) >= 4
    for sample in samples:
        assert sample.secret.encode() in sample.line
        out, counts = redact(sample)
        assert sample.secret.encode() not in out, sample
        assert counts[rule.name], (sample, counts)
        assert out.count(b"\n") == sample.line.count(b"\n")
        if not sample.text:
            json.loads(out)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_near_miss_is_redacted(rule: Rule) -> None:
    samples = list(corpus.near_misses(rule, random.Random(rule.name)))
    assert len(samples) >= 6
    for sample in samples:
        out, counts = redact(sample)
        assert out == sample.line, counts


def test_what_harnesses_write_is_left_alone() -> None:
    lines = list(corpus.noise(random.Random("noise"), 1000))
    counts: Counter[str] = Counter()
    assert list(b"".join(REDACTOR.redact(lines, counts)).splitlines(keepends=True)) == lines


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_shape_is_bounded_and_sees_nothing_outside(rule: Rule) -> None:
    """Its reach bounds it. What looks around would see where the text was cut."""
    assert not looks_around(rule.shape)
    assert longest(rule.shape) <= rule.reach or longest(rule.shape) > 10**6
    for keyword in rule.keywords:
        assert keyword.text == keyword.text.lower()
        assert len(keyword.text) >= 3


def test_the_documentation_names_every_kind() -> None:
    page = Path(__file__).parents[3] / "docs" / "redaction.md"
    told = set(re.findall(r"`([a-z0-9-]+)`", page.read_text().partition("## Every kind")[2]))
    assert told == {rule.name for rule in RULES}


def test_there_are_many_kinds_with_names_of_their_own() -> None:
    assert len(RULES) > 180
    assert len({rule.name for rule in RULES}) == len(RULES)
