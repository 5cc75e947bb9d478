"""The Redactor as others use it: marks, counts, plain text, known values, engines, and what it loads."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec

import pytest

from tests.sessions.redaction import corpus, structures
from tests.sessions.redaction.drawing import draw
from tracecraft.errors import UsageError
from tracecraft.sessions.redaction import KnownSecret, Redactor
from tracecraft.sessions.redaction.rules import RULES

SOURCE = random.Random("redactor")
SHAPES = {rule.name: rule.shape for rule in RULES}


def drawn(name: str) -> str:
    return draw(SHAPES[name], SOURCE)[0]


def redacted(data: str, *known: KnownSecret, text: bool = False) -> tuple[str, Counter[str]]:
    counts: Counter[str] = Counter()
    out = b"".join(Redactor(known).redact([data.encode()], counts, text=text))
    return out.decode(), counts


def test_each_secret_is_replaced_by_its_name_and_counted() -> None:
    tokens = [drawn("github-token"), drawn("aws-access-key-id"), drawn("github-token")]
    line = json.dumps({"a": tokens[0], "b": f"export K={tokens[1]}\n", "c": tokens[2]}) + "\n"
    out, counts = redacted(line)
    assert json.loads(out) == {
        "a": "[REDACTED:github-token]",
        "b": "export K=[REDACTED:aws-access-key-id]\n",
        "c": "[REDACTED:github-token]",
    }
    assert counts == {"github-token": 2, "aws-access-key-id": 1}


def test_a_kind_with_a_name_of_its_own_goes_before_a_field_and_overlaps_become_one_mark() -> None:
    token = drawn("github-token")
    assert redacted(f'{{"password": "{token}"}}\n')[0] == '{"password": "[REDACTED:github-token]"}\n'
    out, counts = redacted(f'{{"x": "https://me:{token}@host.test/"}}\n')
    assert out == '{"x": "https://me:[REDACTED:github-token]@host.test/"}\n'
    assert sum(counts.values()) == 1


def test_a_key_on_several_lines_of_plain_text_is_one_secret() -> None:
    key = next(structures.POSITIVES["private-key"](SOURCE))[0]
    text = f"before\n{key}\nafter\n"
    out, counts = redacted(text, text=True)
    lines = out.split("\n")
    assert counts == {"private-key": 1}
    assert lines[0] == "before"
    assert lines[-2:] == ["after", ""]
    assert len(lines) == len(text.split("\n"))
    assert set(lines[1:-2]) == {"", "[REDACTED:private-key]"}


def test_a_number_is_never_replaced_and_numbers_of_tokens_stay() -> None:
    line = '{"password": 1234567890123, "token":17, "input_tokens": 5123, "max_tokens": 4096, "secret": true}\n'
    assert redacted(line) == (line, Counter())


def test_what_runs_into_an_escape_is_still_json() -> None:
    token = drawn("npm-token")
    line = json.dumps({"x": f"a\n{token[1:]} \n{token} \f{token[1:]}\t{token}\u00e9{token}"}) + "\n"
    out, counts = redacted(line)
    assert json.loads(out)["x"].count("[REDACTED:npm-token]") == 3
    assert token[1:] in json.loads(out)["x"]
    assert counts["npm-token"] == 3


# Known values


def test_known_values_go_in_every_form() -> None:
    import base64
    from urllib.parse import quote

    value = 'pa"ss\\wo/rd+é9x' + "Q7" * 5
    known = KnownSecret("env-MY_TOKEN", value)
    inner = json.dumps({"deep": json.dumps({"v": value})})
    basic = base64.b64encode(f"me:{value}".encode()).decode()
    url = quote(value, safe="")
    for data in (value, inner, url, f"x{value}y"):
        out, counts = redacted(json.dumps({"t": data}) + "\n", known)
        assert counts == {"env-MY_TOKEN": 1}, data
        assert "[REDACTED:env-MY_TOKEN]" in json.dumps(json.loads(out))
    for prefix in ("", "a", "ab", "me:"):
        whole = base64.b64encode(f"{prefix}{value}:more".encode()).decode()
        assert redacted(f'{{"t": "{whole}"}}\n', known)[1] == {"env-MY_TOKEN": 1}, prefix
    assert redacted(basic + "\n", known, text=True)[1] == {"env-MY_TOKEN": 1}
    assert redacted(f"X={value}\n", known, text=True)[0] == "X=[REDACTED:env-MY_TOKEN]\n"
    assert redacted(json.dumps({"t": value.lower()}) + "\n", known)[1] == {}


def test_a_known_value_that_begins_like_an_escape_is_told_from_one() -> None:
    known = KnownSecret("env-N", "n" + "ot9really1")
    line = json.dumps({"x": "\not9really1 not9really1"}) + "\n"
    out, counts = redacted(line, known)
    assert json.loads(out) == {"x": "\not9really1 [REDACTED:env-N]"}
    assert counts == {"env-N": 1}


def test_a_long_known_value_is_found_across_the_windows() -> None:
    value = "".join(SOURCE.choices(corpus.ALNUM, k=4096))
    line = json.dumps("x " * 200_000 + value + " x" * 200_000) + "\n"
    out, counts = redacted(line, KnownSecret("file-long", value))
    assert counts == {"file-long": 1}
    assert len(out) == len(line) - 4096 + len("[REDACTED:file-long]")


# Engines


def test_the_rules_have_a_version() -> None:
    assert re.fullmatch(r"\d+-[0-9a-f]{8}", Redactor().ruleset)
    assert Redactor().ruleset == Redactor([KnownSecret("env-X", "abcdefgh1")]).ruleset


def test_an_unknown_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no redaction engine is called 'grep'"):
        Redactor(engine="grep")
    monkeypatch.setenv("TRACECRAFT_REDACTION_ENGINE", "sed")
    with pytest.raises(UsageError, match="'sed'"):
        Redactor()
    assert Redactor(engine="aho-corasick").ruleset


@pytest.mark.skipif(find_spec("hyperscan") is not None, reason="hyperscan is installed")
def test_hyperscan_is_asked_for_in_vain_where_it_is_not_installed() -> None:
    with pytest.raises(UsageError, match="does not load"):
        Redactor(engine="hyperscan")


@pytest.mark.skipif(find_spec("hyperscan") is None, reason="hyperscan is not installed")
def test_both_engines_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random("engines")
    known = [KnownSecret("env-K", "kn0wn-Value/é1" * 9), KnownSecret("env-S", "shorter-9é")]
    samples = [sample for rule in RULES for sample in corpus.positives(rule, source) if not sample.text]
    lines = [sample.line for sample in samples] + [f"{{{known[1].value}}}\n".encode()] * 9
    lines += list(corpus.noise(source, 50))
    source.shuffle(lines)
    monkeypatch.setenv("TRACECRAFT_REDACTION_ENGINE", "hyperscan")
    results = []
    for redactor in (Redactor(known), Redactor(known, engine="aho-corasick")):
        counts: Counter[str] = Counter()
        results.append((b"".join(redactor.redact(lines, counts)), counts))
    assert results[0] == results[1]
    assert len(results[0][1]) > len(RULES) * 0.9


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    program = (
        "import sys; from collections import Counter\n"
        "from tracecraft.sessions.redaction import Redactor\n"
        "assert not {'re2', 'hyperscan', 'msgspec', 'asyncio'} & set(sys.modules)\n"
        'line = b\'{"x": "a text with nothing in it"}\' + bytes([10])\n'
        "assert b''.join(Redactor().redact([line], Counter())) == line\n"
        "assert 're2' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
