"""The labelled corpus: for each rule texts with a secret of its kind, in several surroundings, and near misses.

A near miss is what somebody could take for a secret: too short, with a wrong letter, drawn by nobody, a placeholder, a
part of a longer word, or the right shape behind the wrong name.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.sessions.redaction import structures
from tests.sessions.redaction.drawing import draw, longest
from tracecraft.sessions.redaction.rule import Rule
from tracecraft.sessions.redaction.rules import RULES

ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
HEX = "0123456789abcdef"


class Sample(NamedTuple):
    """A line of a transcript. `secret` must vanish from it; without one the line must stay as it is."""

    line: bytes
    secret: str = ""
    text: bool = False


def positives(rule: Rule, source: random.Random) -> Iterator[Sample]:
    """Lines with a secret of this kind."""
    if rule.name in structures.POSITIVES:
        for text, secret in structures.POSITIVES[rule.name](source):
            yield from _told(text, secret)
    elif rule.field:
        for secret in _values(rule, source):
            yield from _behind_names(_names(rule, source), secret)
    elif "(?P<close>" in rule.shape:
        for _ in range(3):
            secret = draw(_secret_shape(rule), source)[0]
            yield from _behind_a_word(_word(rule, source), secret)
    else:
        for _ in range(4):
            text, secret = draw(rule.shape, source)
            yield from _told(text, secret)
            if text == secret:
                yield from _alone(text)


def near_misses(rule: Rule, source: random.Random) -> Iterator[Sample]:
    """Lines in which this rule, and every other, must find nothing."""
    for text in _almost(rule, source):
        yield Sample(_json({"text": text}))
        yield Sample(_json({"text": _json({"output": text}).decode()}))
        yield Sample(text.replace("\n", " ").encode() + b"\n", text=True)


# Surroundings


def _told(text: str, secret: str) -> Iterator[Sample]:
    """In a sentence: plain, as a value, and in JSON within JSON."""
    said = f"see {text} there"
    yield Sample(said.encode() + b"\n", secret, text=True)
    yield Sample(_json({"type": "user", "message": {"content": said}}), _escaped(secret, 1))
    yield Sample(_json({"output": _json({"stdout": f"a\n{text}\nb"}).decode()}), _escaped(secret, 2))
    yield Sample(_json([{"arguments": _json({"x": _json({"y": said}).decode()}).decode()}]), _escaped(secret, 3))


def _alone(token: str) -> Iterator[Sample]:
    """What a token that is told by itself may stand in besides."""
    yield Sample(token.encode() + b"\n", token, text=True)
    yield Sample(_json({"x": token}), token)
    yield Sample(_json({token: 1}), token)
    yield Sample(_json({"stdout": f"export X={token}\nY=1"}), token)
    yield Sample(_json({"stdout": f"\x1b[32m{token}\x1b[0m\n-{token}\n+{token}"}), token)
    yield Sample(_json({"cmd": f"curl 'https://host.test/v1?k={token}&page=2'"}), token)
    yield Sample(_json({"cmd": f"x%3D{token}%26y"}), token)
    yield Sample(f"X='{token}'\n".encode(), token, text=True)
    yield Sample(_json({"x": f"`{token}`, ({token}) and {token}."}), token)


def _behind_a_word(word: str, secret: str) -> Iterator[Sample]:
    name = word.strip("_.-").replace(".", "_")
    joined = word if word[-1] in "_-." else f"{word}_"
    for key in (f"{joined}api_key", f"{joined}TOKEN".upper(), f"my_{joined}secret"):
        yield from _behind_names([key], secret)
    yield Sample(_json({"x": f"{joined.title()}Key: {secret}"}), secret)
    if joined == f"{word}_":
        yield Sample(_json({name: {"apiKey": secret}}), secret)
        yield Sample(_json({"x": f"{name.title()} API key: {secret} is it"}), secret)


def _behind_names(names: list[str], secret: str) -> Iterator[Sample]:
    for name in names:
        yield Sample(_json({name: secret}), _escaped(secret, 1))
        yield Sample(_json({"input": _json({name: secret, "n": 1}).decode()}), _escaped(secret, 2))
        yield Sample(_json([_json({"deep": _json({name: secret}).decode()}).decode()]), _escaped(secret, 3))
        if not set(secret) & set("\"'\\`$,;&|<>(){}[] "):
            yield Sample(_json({"stdout": f"A=1\nexport {name.upper()}={secret}\nB=2"}), secret)
            yield Sample(f"{name}: {secret}\n".encode(), secret, text=True)
            yield Sample(_json({"code": f"{name} = '{secret}'"}), secret)
            yield Sample(_json({"code": f'config["{name}"] = "{secret}"'}), secret)


# What is behind names


def _names(rule: Rule, source: random.Random) -> list[str]:
    words = sorted({keyword.text.decode().removeprefix("--").strip("\n \"'`\\=:>") for keyword in rule.keywords})
    return [
        f"{prefix}{word}".replace("_-", "-").replace("__", "_") for word in words for prefix in ("my", "db_", "X_DB_")
    ]


def _word(rule: Rule, source: random.Random) -> str:
    return source.choice(rule.keywords).text.decode()


def _secret_shape(rule: Rule) -> str:
    return rule.shape.partition("(?P<secret>")[2][:-1]


def _values(rule: Rule, source: random.Random) -> Iterator[str]:
    if rule.check == "password":
        letters = ALNUM + "!@#%^*+"
        for size in (9, 12, 20):
            yield "k" + "".join(source.choices(letters, k=size)) + "7!"
        yield "a7" + "".join(source.choices(ALNUM, k=6)) + '"\\&;<x'
    else:
        for size in (24, 32, 48, 200):
            yield "".join(source.choices(ALNUM, k=size))
        yield "".join(source.choices(HEX, k=32))
        yield "".join(source.choices(ALNUM + "+/", k=43)) + "="
        yield "".join(source.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=30))


# Near misses


def _almost(rule: Rule, source: random.Random) -> Iterator[str]:
    if rule.name in structures.NEAR_MISSES:
        yield from structures.NEAR_MISSES[rule.name](source)
    elif rule.field:
        yield from _harmless_fields(rule, source)
    elif "(?P<close>" in rule.shape:
        yield from _wrong_names(rule, source)
    else:
        yield from _mutilated(rule, source)


def _mutilated(rule: Rule, source: random.Random) -> Iterator[str]:
    for _ in range(3):
        text, secret = draw(rule.shape, source)
        if not _FIELD.search(text):
            yield _cut(rule, text)
            yield _misspelt(rule, text, source)
        if text == secret:
            yield f"Zq{source.choice(ALNUM)}{text}"
        if longest(rule.shape) < 10**6:
            yield text + "".join(source.choices(ALNUM, k=longest(rule.shape)))
    text, _ = draw(rule.shape, source, constant=True)
    yield text
    begin = _common_beginning(rule, source)
    for rest in ("x" * 60, "${TOKEN}", "<your-token>", "...", "your-api-key-here", "EXAMPLE"):
        yield begin + rest


_FIELD = re.compile(r"(?i)(?:token|key|secret|password)=")
"""What is behind such a name may be a secret of any shape."""


def _cut(rule: Rule, text: str) -> str:
    """Without its end, so that the shape does not match any more."""
    whole = re.compile(rule.shape)
    while whole.search(text):
        text = text[:-1]
    return text


def _misspelt(rule: Rule, text: str, source: random.Random) -> str:
    """With a letter within that does not belong there."""
    whole = re.compile(rule.shape)
    for _ in range(400):
        at = source.randrange(1, len(text) - 1)
        wrong = f"{text[:at]},{text[at + 1 :]}"
        if not whole.search(wrong):
            return wrong
    return "\N{BULLET}".join(text)


def _common_beginning(rule: Rule, source: random.Random) -> str:
    one, other = (draw(rule.shape, source)[0] for _ in range(2))
    same = next((n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    return one[:same]


def _wrong_names(rule: Rule, source: random.Random) -> Iterator[str]:
    word = _word(rule, source)
    for _ in range(3):
        secret, _whole = draw(_secret_shape(rule), source)
        yield f"{word} {secret}" if not _told_by_itself(secret) else word
        if not _told_by_itself(secret):
            yield f"{word}_TRACE_ID={secret}"
            yield f'"{word}_request": "{secret}"'
    constant, _ = draw(_secret_shape(rule), source, constant=True)
    yield f"{word}_API_KEY={constant}"
    for value in ("your-api-key", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "${KEY}", "<TOKEN>", "process.env.KEY", "None"):
        yield f"{word}_API_KEY={value}"
        yield f'"{word}_api_key": "{value}"'


def _told_by_itself(secret: str) -> bool:
    """Whether the secret has a shape of its own too, so that it needs no name."""
    return any("(?P<close>" not in rule.shape and not rule.field and re.search(rule.shape, secret) for rule in RULES)


_NO_VALUES = (
    *("", "string", "true", "12345678", "changeme", "your-api-key", "xxxxxxxxxxxxxxxxxxxx", "<TOKEN>", "${SECRET_1}"),
    *("{{ secret }}", "example-token-123456", "****************", "/run/secrets/app1", "password123", "test-token-123"),
    *("https://host.test/login2", "none of 4 your business", "[REDACTED:github-token]"),
)
_CODE = (
    *("os.environ['KEY1']", "getenv(KEY2)", "self.settings.value", "process.env.API_KEY_2", "request.form.get(k1)"),
    *("generate(length=32)", "required_parameter", "None", "str | None = None,", "secretsManager.get1(name)"),
    *("ApiGatewayApiKey", "PKCS7PrivateKeyTypes,", "defaultToConfig2,", "arn:aws:kms:us-west-2:1:key/c9fe-0795"),
)


def _harmless_fields(rule: Rule, source: random.Random) -> Iterator[str]:
    for name in _names(rule, source):
        yield from (f'"{name}": "{value}"' for value in _NO_VALUES)
        yield from (f"{name} = {code}" for code in _CODE)
    for number in ("input_tokens", "max_tokens", "token_count", "cache_key", "session_key", "tokens"):
        yield f'"{number}": 123456789'
        yield f'"{number}": "{"".join(source.choices(HEX, k=12))}"'
    yield f'"next_page_token": "{"".join(source.choices(ALNUM, k=40))}"'
    yield f'"idempotency_token": "{"".join(source.choices(HEX, k=32))}"'


# What harnesses write


def noise(source: random.Random, lines: int) -> Iterator[bytes]:
    """Lines full of what looks random in transcripts and is no secret: ids, hashes, signatures, pictures."""
    for _ in range(lines):
        yield _json({name: make(source) for name, make in _NOISE.items()})


def _of(letters: str, size: int, before: str = "", after: str = "") -> _Maker:
    return _Maker(letters, size, before, after)


class _Maker(NamedTuple):
    letters: str
    size: int
    before: str
    after: str

    def __call__(self, source: random.Random) -> str:
        return self.before + "".join(source.choices(self.letters, k=self.size)) + self.after


_BASE64 = ALNUM + "+/"
_NOISE = {
    "toolUseID": _of(ALNUM, 24, "toolu_01"),
    "call_id": _of(ALNUM, 24, "call_"),
    "id": _of(ALNUM, 24, "msg_01"),
    "requestId": _of(ALNUM, 24, "req_011"),
    "response": _of(HEX, 48, "resp_"),
    "reasoning": _of(HEX, 48, "rs_"),
    "uuid": _of(HEX, 12, "0a1b2c3d-4e5f-4061-8071-"),
    "sha": _of(HEX, 40),
    "sum": _of(HEX, 64, "sha256:"),
    "integrity": _of(_BASE64, 86, "sha512-", "=="),
    "signature": _of(_BASE64, 600, "EqQBCkYIBx", "=="),
    "encrypted_content": _of(ALNUM + "-_", 900, "gAAAAAB", "=="),
    "data": _of(_BASE64, 4000, "iVBORw0KGgoAAAANSUhEUgAA", "=="),
    "url": _of(_BASE64, 1000, "data:image/png;base64,"),
    "sessionKey": _of(HEX, 16, "agent:main:"),
    "prompt_cache_key": _of(HEX, 32),
    "shortId": _of("0123456789abcdefghijklmnopqrstuvwxyz", 12),
    "etag": _of(HEX, 32, 'W/"', '"'),
    "version": _of("0123456789", 2, "v1.0.", "-beta"),
}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n" if not isinstance(value, str) else value.encode()


def _escaped(text: str, levels: int) -> str:
    for _ in range(levels):
        text = json.dumps(text)[1:-1]
    return text
