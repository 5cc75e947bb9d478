"""The secrets of a machine by value: which variables and files they are taken from, and what is never taken."""

from __future__ import annotations

import base64
import json
import os
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.sessions.redaction.corpus import ALNUM
from tracecraft.sessions.redaction import Redactor, known_secrets

SOURCE = random.Random("known")


def secret(size: int = 30) -> str:
    return "".join(SOURCE.choices(ALNUM, k=size)) + "7"


def found(home: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Names by value."""
    return {known.value: known.name for known in known_secrets(home, environ or {})}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "name",
    [
        *("FOO_TOKEN", "OPENAI_API_KEY", "DB_PASSWORD", "PGPASSWORD", "CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY"),
        *("NPM_AUTH", "GITHUB_PAT", "apiKey", "JWT_SECRET_1", "SOME_CREDENTIALS", "MY_KEY_PROD"),
    ],
)
def test_variables_that_say_secret(name: str, tmp_path: Path) -> None:
    value = secret()
    assert found(tmp_path, {name: value}) == {value: f"env-{name}"}


@pytest.mark.parametrize(
    "name", ["PATH", "SSH_AUTH_SOCK", "GPG_KEY", "TOKEN_FILE", "API_KEY_ID", "AUTH_URL", "EDITOR", "KEY_NAME"]
)
def test_variables_that_do_not(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, {name: secret()}) == {}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "short1",
        "production",
        "/run/secrets/token1",
        "~/.token1",
        "https://host.test/v1",
        "1234567890",
        "1e1000000",
        "true",
        "changeme",
        "password123",
        "your-api-key-1",
        "xxxxxxxxxxxx",
        "aaaaaaaa1",
        "${OTHER_1}",
        "many\nlines1A",
        "a" * 5000 + "1",
    ],
)
def test_values_that_are_no_secrets(value: str, tmp_path: Path) -> None:
    assert found(tmp_path, {"FOO_TOKEN": value}) == {}


def test_passwords_in_urls_of_the_environment(tmp_path: Path) -> None:
    value = secret(12)
    environ = {"DATABASE_URL": f"postgres://me:{value}@db.test:5432/x"}
    assert found(tmp_path, environ) == {value: "env-DATABASE_URL"}


JSON_FILES = {
    ".codex/auth.json": ({"tokens": {"access_token": "*"}}, "file-codex-auth-access_token"),
    ".claude/.credentials.json": ({"claudeAiOauth": {"accessToken": "*"}}, "file-claude-credentials-accessToken"),
    ".gemini/oauth_creds.json": ({"refresh_token": "*"}, "file-gemini-oauth-refresh_token"),
    ".qwen/oauth_creds.json": ({"access_token": "*"}, "file-qwen-oauth-access_token"),
    ".local/share/opencode/auth.json": ({"x": {"type": "oauth", "refresh": "*"}}, "file-opencode-auth-refresh"),
    ".docker/config.json": ({"auths": {"r.test": {"identitytoken": "*"}}}, "file-docker-config-identitytoken"),
    ".openclaw/agents/main/agent/auth-profiles.json": (
        {"profiles": [{"token": "*"}]},
        "file-openclaw-auth-profiles-token",
    ),
    ".kaggle/kaggle.json": ({"username": "me", "key": "*"}, "file-kaggle-key"),
}


@pytest.mark.parametrize("path", JSON_FILES)
def test_files_of_json(path: str, tmp_path: Path) -> None:
    value, (document, name) = secret(), JSON_FILES[path]
    write(tmp_path / path, json.dumps(document).replace("*", value))
    assert found(tmp_path) == {value: name}


SETTINGS_FILES = {
    ".aws/credentials": ("[default]\naws_secret_access_key = *\n", "file-aws-credentials-aws_secret_access_key"),
    ".config/gh/hosts.yml": ("github.com:\n    user: me\n    oauth_token: *\n", "file-gh-hosts-oauth_token"),
    ".npmrc": ("//registry.test/:_authToken=*\nsave=true\n", "file-npmrc-authToken"),
    ".pypirc": ("[pypi]\nusername = __token__\npassword = *\n", "file-pypirc-password"),
    ".hermes/.env": ("# keys\nexport SOME_API_KEY='*'\n", "file-hermes-env-SOME_API_KEY"),
    ".openclaw/.env": ('SOME_API_KEY="*"\n', "file-openclaw-env-SOME_API_KEY"),
    ".netrc": ("machine a.test\n  login me\n  password *\n", "file-netrc-password"),
    ".git-credentials": ("https://me:*@host.test\n", "file-git-credentials-url"),
    ".pgpass": ("db.test:5432:x:me:*\n", "file-pgpass-password"),
    ".cache/huggingface/token": ("*\n", "file-huggingface-token"),
    ".vault-token": ("*", "file-vault-token"),
    ".cargo/credentials.toml": ('[registry]\ntoken = "*"\n', "file-cargo-token"),
}


@pytest.mark.parametrize("path", SETTINGS_FILES)
def test_files_of_settings(path: str, tmp_path: Path) -> None:
    value, (text, name) = secret(), SETTINGS_FILES[path]
    write(tmp_path / path, text.replace("*", value))
    assert found(tmp_path) == {value: name}


MOVED = {
    "CODEX_HOME": ("auth.json", '{"OPENAI_API_KEY": "*"}'),
    "CLAUDE_CONFIG_DIR": (".credentials.json", '{"claudeAiOauth": {"refreshToken": "*"}}'),
    "HF_HOME": ("token", "*"),
    "HERMES_HOME": (".env", "A_TOKEN=*"),
    "XDG_CONFIG_HOME": ("gh/hosts.yml", "oauth_token: *"),
    "XDG_DATA_HOME": ("opencode/auth.json", '{"a": {"key": "*"}}'),
    "XDG_CACHE_HOME": ("huggingface/token", "*"),
}


@pytest.mark.parametrize("variable", MOVED)
def test_folders_that_variables_move(variable: str, tmp_path: Path) -> None:
    value, (path, text) = secret(), MOVED[variable]
    write(tmp_path / "elsewhere" / path, text.replace("*", value))
    assert list(found(tmp_path / "home", {variable: str(tmp_path / "elsewhere")})) == [value]


def test_the_password_within_a_login_in_base64(tmp_path: Path) -> None:
    value = secret()
    login = base64.b64encode(f"me:{value}".encode()).decode()
    write(tmp_path / ".docker/config.json", json.dumps({"auths": {"r.test": {"auth": login}}}))
    assert set(found(tmp_path)) == {value, login}


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / ".codex/auth.json", "{broken")
    write(tmp_path / ".qwen/oauth_creds.json", "[" * 100_000)
    write(tmp_path / ".netrc/a-folder", "")
    write(tmp_path / ".vault-token", secret() * 100_000)
    os.mkfifo(tmp_path / ".npmrc")
    (tmp_path / ".pypirc").write_bytes(b"password = \xff\xfe")
    (tmp_path / ".pgpass").symlink_to(tmp_path / ".pgpass")
    value = secret()
    write(tmp_path / ".hermes/.env", f"A_TOKEN={value}\n")
    assert list(found(tmp_path, {"CODEX_HOME": "\0"})) == [value]


def test_no_more_than_256_are_taken_and_the_environment_goes_first(tmp_path: Path) -> None:
    environ = {f"A{number}_TOKEN": secret() for number in range(300)}
    write(tmp_path / ".vault-token", secret())
    names = set(found(tmp_path, environ).values())
    assert len(names) == 256
    assert all(name.startswith("env-") for name in names)


def test_they_are_replaced_under_names_that_can_stand_in_a_mark(tmp_path: Path) -> None:
    value = secret()
    counts: Counter[str] = Counter()
    redactor = Redactor(known_secrets(tmp_path, {"A B]\n_TOKEN": value}))
    out = b"".join(redactor.redact([json.dumps({"x": value}).encode() + b"\n"], counts))
    assert json.loads(out) == {"x": "[REDACTED:env-A-B-_TOKEN]"}
    assert counts == {"env-A-B-_TOKEN": 1}
