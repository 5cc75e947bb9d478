"""What holds for any text: how it is cut does not matter, JSON stays JSON, lines stay in number, twice is as once."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sessions.redaction import corpus, structures
from tests.sessions.redaction.drawing import draw
from tracecraft.sessions.redaction import KnownSecret, Redactor, engine
from tracecraft.sessions.redaction.rules import RULES

KNOWN = [
    KnownSecret("env-PLAIN", "k4ownvalue" + "Q9zzB1"),
    KnownSecret("env-SIGNS", 'n"p\\w/0é]5x'),
    KnownSecret("env-NEAR", "npm_" + "not9really"),
    KnownSecret("env-HEX", "00e9" + "00e90bcd"),
]
REDACTOR = Redactor(KNOWN)


def _secrets() -> list[str]:
    source = random.Random("properties")
    drawn = [draw(rule.shape, source)[0] for rule in RULES if "(?P<close>" not in rule.shape and not rule.field]
    told = [text for make in structures.POSITIVES.values() for text, _ in make(source)]
    named = [f"{word}_API_KEY={''.join(source.choices(corpus.HEX, k=32))}" for word in ("DATADOG", "OWM", "AMPLITUDE")]
    return [text for text in (*drawn, *told, *named) if len(text) < 3000]


_PIECES = [
    *_secrets(),
    *[secret.value for secret in KNOWN],
    *["password", '"password": "', "token=", "secret: '", "--api-key ", "Bearer ", "://", "://u:", "@", "eyJ", "sk-"],
    *["npm_", "fw_", "-----BEGIN ", "PRIVATE KEY-----", "-----END ", "datadog", "discord", "curl -u a:"],
    *["[REDACTED:", "[REDACTED:jwt]", "]", "[", "\\", '"', "'", "`", "\n", "\r", "\t", "\x00", "\x1b[1m", " ", "\\n"],
    *["=", ":", "/", "+", "-", "_", ".", ",", "%3D", "\\u00e9", "é", "→"],
    *["u00e9", "n", "r", "a", "Z", "0", "123456", "xxxxxxxx", "example", "abcdEFGH1234", "true", "null", "1e9"],
]  # fmt: skip


def _piece(number: int) -> str:
    return _PIECES[number]


_TEXTS = st.lists(st.integers(0, len(_PIECES) - 1).map(_piece) | st.text(max_size=6), max_size=12).map("".join)
_VALUES = st.recursive(
    _TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_TEXTS, inner, max_size=3)
        | inner.map(json.dumps)
        | inner.map(lambda value: json.dumps(value, ensure_ascii=False))
    ),
    max_leaves=6,
)


def redact(data: bytes, *, text: bool = False, sizes: list[int] | None = None) -> tuple[bytes, Counter[str]]:
    counts: Counter[str] = Counter()
    chunks, at = [], 0
    for size in sizes or []:
        chunks.append(data[at : at + size])
        at += size
    return b"".join(REDACTOR.redact([*chunks, data[at:]], counts, text=text)), counts


def _lines(values: list[Any], ascii_only: bool) -> list[bytes]:
    return [json.dumps(value, ensure_ascii=ascii_only).encode() + b"\n" for value in values]


def _shape(value: Any) -> Any:
    """The value with all its strings alike."""
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return "" if isinstance(value, str) else value


def _pairs(pairs: list[tuple[str, Any]]) -> Any:
    return [["key", value] for _, value in pairs]


@given(st.lists(_VALUES, min_size=1, max_size=3), st.booleans())
@settings(max_examples=400)
def test_json_stays_json_of_the_same_structure(values: list[Any], ascii_only: bool) -> None:
    for line in _lines(values, ascii_only):
        out, _ = redact(line)
        before = json.loads(line, object_pairs_hook=_pairs)
        assert _shape(json.loads(out, object_pairs_hook=_pairs)) == _shape(before)


@given(st.lists(_VALUES, min_size=1, max_size=4), st.lists(st.integers(0, 80), max_size=20), st.booleans())
@settings(max_examples=300)
def test_it_does_not_matter_how_the_input_is_cut_and_which_lines_come_together(
    values: list[Any], sizes: list[int], ascii_only: bool
) -> None:
    lines = _lines(values, ascii_only)
    whole, counts = redact(b"".join(lines))
    assert redact(b"".join(lines), sizes=sizes) == (whole, counts)
    assert b"".join(redact(line)[0] for line in lines) == whole


@given(_TEXTS, st.booleans())
@settings(max_examples=600)
def test_redacting_twice_changes_nothing_and_lines_stay_in_number(text: str, plain: bool) -> None:
    line = text.encode() + b"\n" if plain else json.dumps(text).encode() + b"\n"
    once, _ = redact(line, text=plain)
    assert once.count(b"\n") == line.count(b"\n")
    again, counts = redact(once, text=plain)
    assert (again, counts) == (once, Counter())


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=200)
def test_any_bytes_come_through(data: bytes, plain: bool) -> None:
    out, counts = redact(data, text=plain)
    assert out.count(b"\n") == data.count(b"\n")
    assert counts or out == data


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("segment", [997, 4099, 50_000])
def test_a_long_line_is_redacted_as_if_it_were_in_one_piece(
    segment: int, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = random.Random(segment)
    parts = ["".join(source.choices(_PIECES, k=6)) + " word " * source.randrange(9) for _ in range(1500)]
    data = " ".join(parts).encode() if plain else json.dumps(" ".join(parts)).encode()
    monkeypatch.setattr(engine, "SEGMENT", 10**9)
    whole = redact(data + b"\n", text=plain)
    monkeypatch.setattr(engine, "SEGMENT", segment)
    assert redact(data + b"\n", text=plain) == whole
    assert redact(data + b"\n", text=plain, sizes=[source.randrange(1, 9000) for _ in range(40)]) == whole
    assert len(data) > 2 * Redactor()._ahead
    assert sum(whole[1].values()) > 1000
