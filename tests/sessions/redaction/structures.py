"""Secrets that no regular expression draws well, and what is almost one: keys in PEM, JWTs, headers, commands."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator

Texts = Callable[[random.Random], Iterator[tuple[str, str]]]
"""Texts, and the secret in each of them."""
Almost = Callable[[random.Random], Iterator[str]]

_ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BASE64 = _ALNUM + "+/"
_DASHES = "-" * 5


def _random(source: random.Random, size: int, letters: str = _ALNUM) -> str:
    return "".join(source.choices(letters, k=size))


def _pem(source: random.Random, kind: str, lines: int = 12, head: str = "") -> str:
    body = "\n".join(_random(source, 64, _BASE64) for _ in range(lines))
    return (
        f"{_DASHES}BEGIN {kind}{_DASHES}\n{head}{body}\n{_random(source, 30, _BASE64)}==\n{_DASHES}END {kind}{_DASHES}"
    )


def _private_keys(source: random.Random) -> Iterator[tuple[str, str]]:
    kinds = ("", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ")
    for kind in kinds:
        text = _pem(source, f"{kind}PRIVATE KEY")
        yield text, text.split("\n")[3]
    head = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00AB\n\n"
    for text in (
        _pem(source, "RSA PRIVATE KEY", head=head),
        _pem(source, "PGP PRIVATE KEY BLOCK", 60, "Version: GnuPG v2\n\n"),
        _pem(source, "OpenVPN Static key V1"),
    ):
        yield text, text.split("\n")[6]
    cut = _pem(source, "PRIVATE KEY").split("\n")
    yield "\n".join(cut[:4]), cut[2]
    numbered = "\n".join(f"{number:6}\N{RIGHTWARDS ARROW}{line}" for number, line in enumerate(cut, 1))
    yield numbered, cut[5]
    yield "\n".join(f"     {number}\t{line}" for number, line in enumerate(cut[:6], 1)), cut[4]
    yield "\n".join("    " + line for line in cut), cut[4]


def _almost_keys(source: random.Random) -> Iterator[str]:
    yield _pem(source, "PUBLIC KEY")
    yield _pem(source, "CERTIFICATE")
    yield _pem(source, "PGP PUBLIC KEY BLOCK")
    for body in ("...", "<your key>", "MIIE", "\\n", "base64 of it"):
        yield f"{_DASHES}BEGIN PRIVATE KEY{_DASHES}\n{body}\n{_DASHES}END PRIVATE KEY{_DASHES}"
    yield f"grep -l '{_DASHES}BEGIN RSA PRIVATE KEY{_DASHES}' *"
    yield f"a line with BEGIN PRIVATE KEY and {_random(source, 64, _BASE64)}"


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def _jwts(source: random.Random) -> Iterator[tuple[str, str]]:
    for algorithm, size in (("HS256", 43), ("RS256", 342), ("ES256", 86)):
        head = _part({"alg": algorithm, "typ": "JWT", "kid": _random(source, 8)})
        body = _part({"sub": _random(source, 12), "exp": source.randrange(10**9), "data": _random(source, size * 5)})
        token = f"{head}.{body}.{_random(source, size, _ALNUM + '-_')}"
        yield token, token
        yield f"jwt={token};", token


def _almost_jwts(source: random.Random) -> Iterator[str]:
    head, body = _part({"alg": "HS256", "typ": "JWT"}), _part({"sub": _random(source, 12)})
    yield f"{head}.{body}"
    yield head
    yield f"{head}.{body}.short"
    yield f"x{head}.{body}.{_random(source, 43)}"
    yield f"{_part({'page': 1, 'next': 'abc'})}.{_part({'sort': 'asc'})}.{_random(source, 43)}"
    yield f"eyJ{_random(source, 300)}"


def _jwes(source: random.Random) -> Iterator[tuple[str, str]]:
    for key in (342, 0, 54):
        head = _part({"alg": "RSA-OAEP" if key else "dir", "enc": "A256GCM"})
        parts = (_random(source, key), _random(source, 16), _random(source, 300), _random(source, 22))
        token = ".".join((head, *parts))
        yield token, token


def _jfrog(source: random.Random) -> Iterator[tuple[str, str]]:
    head = _part({"ver": "2", "typ": "JWT", "alg": "RS256", "kid": _random(source, 43)})
    token = f"{head}.{_random(source, 300)}.{_random(source, 342)}"
    yield token, token


def _url_passwords(source: random.Random) -> Iterator[tuple[str, str]]:
    for scheme in ("https", "postgres", "mongodb+srv", "redis", "amqp", "ftp"):
        secret = _random(source, 12) + "%21"
        yield f"{scheme}://user:{secret}@host.test:5432/db?x=1", secret
    secret = _random(source, 20)
    yield f"redis://:{secret}@10.0.0.1", secret
    yield f"git clone https://oauth2:{secret}@git.test/a/b.git", secret


def _almost_url_passwords(source: random.Random) -> Iterator[str]:
    for login in (
        "user",
        "user:pass",
        "user:password",
        "u:${PASS}",
        "u:$PASS",
        "u:<pw>",
        ":***",
        "u:xxxxxx",
        "me:8080",
        "a:{pw}",
    ):
        yield f"https://{login}@host.test/path"
    yield "https://host.test:8080/a@b"
    yield "ssh://git@github.test:22/x"
    yield "https://host.test/a:b@c"
    yield "see http://a.test: mail me@b.test"


def _bearers(source: random.Random) -> Iterator[tuple[str, str]]:
    for secret in (
        _random(source, 32),
        _random(source, 64, "0123456789abcdef"),
        _random(source, 40, _ALNUM + "._-") + "x",
    ):
        yield f"Authorization: Bearer {secret}", secret
        yield f"-H 'authorization: bearer {secret}'", secret


def _almost_bearers(_source: random.Random) -> Iterator[str]:
    for rest in (
        "authentication_is_required_here",
        "tokens",
        "$TOKEN",
        "${ACCESS_TOKEN_OF_THE_USER}",
        "<access-token-goes-here>",
    ):
        yield f"Authorization: Bearer {rest}"
    yield "Bearer xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    yield "the bearer of this long letter_from_somebody_else"
    yield "Bearer your-access-token-goes-here-1"


def _login(source: random.Random) -> str:
    return base64.b64encode(f"{_random(source, 6)}:{_random(source, 14)}".encode()).decode()


def _basics(source: random.Random) -> Iterator[tuple[str, str]]:
    for _ in range(3):
        secret = _login(source)
        yield f"Authorization: Basic {secret}", secret


def _almost_basics(_source: random.Random) -> Iterator[str]:
    yield "Basic authentication"
    yield "Visual Basic applications"
    yield "Authorization: Basic " + base64.b64encode(b"user:pass").decode()
    yield "Authorization: Basic " + base64.b64encode(b"no colon in here at all").decode()


def _headers(source: random.Random) -> Iterator[tuple[str, str]]:
    for scheme in ("token ", "ApiKey ", "", "Bot "):
        secret = _random(source, 40)
        yield f"Authorization: {scheme}{secret}", secret
    secret = _random(source, 40)
    yield f"{{'Authorization': '{secret}'}}", secret


def _almost_headers(_source: random.Random) -> Iterator[str]:
    for rest in (
        "token",
        "required_for_this_endpoint",
        "Bearer",
        "$AUTH",
        "token ${GITHUB_TOKEN_1}",
        "AWS4-HMAC-SHA256 Credential",
    ):
        yield f"Authorization: {rest}"


def _curls(source: random.Random) -> Iterator[tuple[str, str]]:
    secret = "b4" + _random(source, 8) + "!"
    yield f"curl -s -u admin:{secret} http://host.test", secret
    yield f"curl -X POST --user me@x.test:{secret} http://host.test", secret
    yield f"curl -u 'admin:{secret}' http://host.test", secret


def _almost_curls(_source: random.Random) -> Iterator[str]:
    yield "curl -u admin:$PASSWORD http://host.test"
    yield "curl -u user:password http://host.test"
    yield "curl -s http://host.test/a:b12345678"
    yield "curl -u admin http://host.test"


def _sshpasses(source: random.Random) -> Iterator[tuple[str, str]]:
    secret = "b4" + _random(source, 8) + "!"
    yield f"sshpass -p {secret} ssh host", secret
    yield f"sshpass -p '{secret}' ssh host", secret


def _almost_sshpasses(_source: random.Random) -> Iterator[str]:
    yield "sshpass -p $PASSWORD ssh host"
    yield "sshpass -e ssh host"
    yield "sshpass -f /etc/file1 ssh host"


def _sqls(source: random.Random) -> Iterator[tuple[str, str]]:
    secret = "b4" + _random(source, 8)
    yield f"CREATE USER x IDENTIFIED BY '{secret}';", secret
    yield f"create role x with password '{secret}'", secret
    yield f"ALTER USER x WITH ENCRYPTED PASSWORD '{secret}'", secret


def _almost_sqls(_source: random.Random) -> Iterator[str]:
    yield "IDENTIFIED BY 'password'"
    yield "identified by '$1'"
    yield "sign in with password 'changeme'"


def _netrcs(source: random.Random) -> Iterator[tuple[str, str]]:
    secret = _random(source, 14)
    yield f"machine host.test login me password {secret}", secret
    yield f"machine host.test\n  login me\n  password {secret}\n", secret


def _almost_netrcs(_source: random.Random) -> Iterator[str]:
    yield "a machine that you login to with a password of yours"
    yield "machine host.test login me password <password>"
    yield "machine host.test login me"


def _kubes(source: random.Random) -> Iterator[tuple[str, str]]:
    secret = _random(source, 1600, _BASE64) + "=="
    yield f"client-key-data: {secret}", secret


def _almost_kubes(source: random.Random) -> Iterator[str]:
    yield f"client-certificate-data: {_random(source, 1600, _BASE64)}"
    yield "client-key-data: DATA+OMITTED"
    yield "client-key-data: " + "QUFB" * 40


def _dockers(source: random.Random) -> Iterator[tuple[str, str]]:
    secret = _login(source)
    yield f'{{"auths": {{"registry.test": {{"auth": "{secret}"}}}}}}', secret


def _almost_dockers(_source: random.Random) -> Iterator[str]:
    yield '"auth": "required"'
    yield '"auth": "bm90IGEgbG9naW4gYXQgYWxs"'
    yield '"auth": "<base64 of it>"'


def _npms(source: random.Random) -> Iterator[tuple[str, str]]:
    secret = _login(source)
    yield f"//registry.test/:_auth={secret}", secret
    yield f'_auth="{secret}"', secret


def _almost_npms(_source: random.Random) -> Iterator[str]:
    yield "_auth=${NPM_AUTH}"
    yield "needs_auth=always-required"


def _otps(source: random.Random) -> Iterator[tuple[str, str]]:
    secret = _random(source, 32, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    yield f"otpauth://totp/Shop:me?secret={secret}&issuer=Shop", secret


def _almost_otps(_source: random.Random) -> Iterator[str]:
    yield "otpauth://totp/Shop:me?secret=SECRET"
    yield "otpauth://totp/Shop:me?issuer=Shop"


_WORDS = (
    "abandon ability able about above absent absorb abstract absurd abuse access accident account accuse achieve acid"
)


def _seeds(source: random.Random) -> Iterator[tuple[str, str]]:
    for count in (12, 24):
        secret = " ".join(source.choices(_WORDS.split(), k=count))
        yield f"mnemonic: {secret}", secret
        yield f"MNEMONIC='{secret}'", secret


def _almost_seeds(_source: random.Random) -> Iterator[str]:
    yield "a mnemonic is a list of words that somebody can remember well enough to write it"
    yield "mnemonic: word word word"


def _discords(source: random.Random) -> Iterator[tuple[str, str]]:
    secret = f"M{_random(source, 25)}.{_random(source, 6)}.{_random(source, 38)}"
    yield f"DISCORD_TOKEN={secret}", secret
    yield f'"discord": {{"token": "{secret}"}}', secret


def _almost_discords(source: random.Random) -> Iterator[str]:
    yield f"discord M{_random(source, 10)}.{_random(source, 6)}.{_random(source, 38)}"
    yield f"discord.com/channels/{_random(source, 18, '0123456789')}/{_random(source, 18, '0123456789')}"


def _puttys(source: random.Random) -> Iterator[tuple[str, str]]:
    lines = [_random(source, 64, _BASE64) for _ in range(14)]
    text = "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 14\n" + "\n".join(lines) + "\nPrivate-MAC: 00"
    yield text, lines[5]


def _almost_puttys(_source: random.Random) -> Iterator[str]:
    yield "Private-Lines: 14"
    yield "Public-Lines: 6"


POSITIVES: dict[str, Texts] = {
    "private-key": _private_keys,
    "jwt": _jwts,
    "jwe": _jwes,
    "jfrog-access-token": _jfrog,
    "password-in-url": _url_passwords,
    "bearer-token": _bearers,
    "basic-credentials": _basics,
    "authorization-header": _headers,
    "curl-password": _curls,
    "sshpass-password": _sshpasses,
    "sql-password": _sqls,
    "netrc-password": _netrcs,
    "kubernetes-client-key": _kubes,
    "docker-config-auth": _dockers,
    "npm-auth": _npms,
    "otp-secret": _otps,
    "seed-phrase": _seeds,
    "discord-bot-token": _discords,
    "putty-private-key": _puttys,
}

NEAR_MISSES: dict[str, Almost] = {
    "private-key": _almost_keys,
    "jwt": _almost_jwts,
    "jwe": _almost_jwts,
    "jfrog-access-token": _almost_jwts,
    "password-in-url": _almost_url_passwords,
    "bearer-token": _almost_bearers,
    "basic-credentials": _almost_basics,
    "authorization-header": _almost_headers,
    "curl-password": _almost_curls,
    "sshpass-password": _almost_sshpasses,
    "sql-password": _almost_sqls,
    "netrc-password": _almost_netrcs,
    "kubernetes-client-key": _almost_kubes,
    "docker-config-auth": _almost_dockers,
    "npm-auth": _almost_npms,
    "otp-secret": _almost_otps,
    "seed-phrase": _almost_seeds,
    "discord-bot-token": _almost_discords,
    "putty-private-key": _almost_puttys,
}
