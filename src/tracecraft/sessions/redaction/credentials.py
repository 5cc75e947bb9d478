"""The files in which harnesses and other tools of a developer keep credentials, and the secrets in them."""

from __future__ import annotations

import base64
import binascii
import json
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tracecraft.sessions.redaction.known import KnownSecret, in_urls, says_secret

_LARGEST = 1024 * 1024
_MOST_OF_A_KIND = 32
_DEEPEST = 12

Named = Iterator[tuple[str, str]]
"""Names and values of what may be secrets."""

_SETTING = re.compile(
    r"""^\s*(?:export\s+)?["']?([^\s"'=]{1,200}?)["']?\s*(?:=|:\s)\s*["']?([^\s"']{1,5000})""", re.MULTILINE
)
_NETRC = re.compile(r"\bpassword\s+(\S{1,500})")


def in_files(home: Path, environ: Mapping[str, str]) -> Iterator[KnownSecret]:
    """What the files hold, whether it is worth knowing or not."""
    for label, path, read in _places(home, environ):
        text = _text(path)
        if text:
            for name, value in read(text):
                yield KnownSecret(f"file-{label}-{name}".rstrip("-"), value)
            for password in in_urls(text):
                yield KnownSecret(f"file-{label}-url", password)


def _places(home: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, Path, Callable[[str], Named]]]:
    def moved(variable: str, default: Path) -> Path:
        """Where a variable says, else the default."""
        return Path(environ[variable]) if environ.get(variable) else default

    config = moved("XDG_CONFIG_HOME", home / ".config")
    data = moved("XDG_DATA_HOME", home / ".local/share")
    cache = moved("XDG_CACHE_HOME", home / ".cache")

    # Harnesses
    claude = moved("CLAUDE_CONFIG_DIR", home / ".claude")
    yield "claude-credentials", claude / ".credentials.json", _from_json
    yield "claude", moved("CLAUDE_CONFIG_DIR", home) / ".claude.json", _from_json
    yield "claude-settings", claude / "settings.json", _from_json
    yield "codex-auth", moved("CODEX_HOME", home / ".codex") / "auth.json", _from_json
    hermes = moved("HERMES_HOME", home / ".hermes")
    yield "hermes-env", hermes / ".env", _from_settings
    yield "hermes-auth", hermes / "auth.json", _from_json
    openclaw = moved("OPENCLAW_STATE_DIR", home / ".openclaw")
    yield "openclaw-env", openclaw / ".env", _from_settings
    yield "openclaw", openclaw / "openclaw.json", _from_json
    for path in _several(openclaw, "credentials/*.json", "agents/*/agent/auth-profiles.json"):
        yield f"openclaw-{path.stem}", path, _from_json
    for label, folder in (
        ("gemini", moved("GEMINI_CLI_HOME", home) / ".gemini"),
        ("qwen", moved("QWEN_HOME", home / ".qwen")),
    ):
        yield f"{label}-oauth", folder / "oauth_creds.json", _from_json
        yield f"{label}-env", folder / ".env", _from_settings
    yield "opencode-auth", data / "opencode/auth.json", _from_json
    yield "opencode-mcp-auth", data / "opencode/mcp-auth.json", _from_json
    yield "pi-auth", moved("PI_CODING_AGENT_DIR", home / ".pi/agent") / "auth.json", _from_json
    yield "copilot-apps", config / "github-copilot/apps.json", _from_json
    yield "copilot-hosts", config / "github-copilot/hosts.json", _from_json
    yield "cursor-auth", config / "cursor/auth.json", _from_json
    yield "amp-secrets", data / "amp/secrets.json", _from_json
    yield "goose-secrets", config / "goose/secrets.yaml", _from_settings

    # Clouds
    yield "aws-credentials", moved("AWS_SHARED_CREDENTIALS_FILE", home / ".aws/credentials"), _from_settings
    gcloud = moved("CLOUDSDK_CONFIG", config / "gcloud")
    yield "gcloud", gcloud / "application_default_credentials.json", _from_json
    yield "azure-tokens", moved("AZURE_CONFIG_DIR", home / ".azure") / "msal_token_cache.json", _from_json
    yield "kube-config", moved("KUBECONFIG", home / ".kube/config"), _from_settings
    yield "vault-token", home / ".vault-token", _whole
    yield "terraform", home / ".terraform.d/credentials.tfrc.json", _from_json
    yield "fly-config", home / ".fly/config.yml", _from_settings
    yield "databricks", home / ".databrickscfg", _from_settings
    yield "s3cfg", home / ".s3cfg", _from_settings

    # Models and data
    huggingface = moved("HF_HOME", cache / "huggingface")
    yield "huggingface-token", moved("HF_TOKEN_PATH", huggingface / "token"), _whole
    yield "huggingface-tokens", huggingface / "stored_tokens", _from_settings
    yield "kaggle", home / ".kaggle/kaggle.json", _from_json

    # Code and packages
    yield "gh-hosts", moved("GH_CONFIG_DIR", config / "gh") / "hosts.yml", _from_settings
    yield "glab", config / "glab-cli/config.yml", _from_settings
    yield "git-credentials", home / ".git-credentials", _nothing
    yield "git-credentials", config / "git/credentials", _nothing
    yield "netrc", moved("NETRC", home / ".netrc"), _from_netrc
    yield "npmrc", moved("NPM_CONFIG_USERCONFIG", home / ".npmrc"), _from_settings
    yield "pypirc", home / ".pypirc", _from_settings
    yield "pip", config / "pip/pip.conf", _nothing
    yield "cargo", moved("CARGO_HOME", home / ".cargo") / "credentials.toml", _from_settings
    yield "gem", home / ".gem/credentials", _from_settings
    yield "docker-config", moved("DOCKER_CONFIG", home / ".docker") / "config.json", _from_json
    yield "pgpass", home / ".pgpass", _from_pgpass


def _several(folder: Path, *patterns: str) -> list[Path]:
    try:
        return [path for pattern in patterns for path in sorted(folder.glob(pattern))[:_MOST_OF_A_KIND]]
    except OSError:
        return []


def _text(path: Path) -> str:
    """The text of a file; none of one that is missing, unreadable, large or no file at all (a pipe would never end)."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST:
            return ""
        with path.open("rb") as file:
            return file.read(_LARGEST).decode(errors="replace")
    except (OSError, ValueError):
        return ""


def _from_json(text: str) -> Named:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    yield from _fields("", document, _DEEPEST)


def _fields(name: str, value: Any, depth: int) -> Named:
    """Every string whose field says that it is a secret."""
    if isinstance(value, dict) and depth:
        for key, inner in value.items():
            yield from _fields(str(key), inner, depth - 1)
    elif isinstance(value, list) and depth:
        for inner in value:
            yield from _fields(name, inner, depth - 1)
    elif isinstance(value, str) and says_secret(name):
        yield name, value
        yield from ((name, password) for password in _of_a_login(value))


def _of_a_login(value: str) -> Iterator[str]:
    """The password in base64 of name and password, as Docker and npm keep them."""
    try:
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return
    if colon and name.isprintable() and password.isprintable():
        yield password


def _from_settings(text: str) -> Named:
    """`name = value`, `name: value`, `export NAME="value"`, and npm's `//host/:_authToken=value`."""
    for name, value in _SETTING.findall(text):
        short = name.rpartition(":")[2].rpartition("/")[2].strip("_")
        if says_secret(short):
            yield short, value
            yield from ((short, password) for password in _of_a_login(value))


def _from_netrc(text: str) -> Named:
    yield from (("password", value) for value in _NETRC.findall(text))


def _from_pgpass(text: str) -> Named:
    for line in text.splitlines():
        parts = re.split(r"(?<!\\):", line)
        if len(parts) == 5 and not line.startswith("#"):
            yield "password", parts[4]


def _whole(text: str) -> Named:
    yield "", text.strip()


def _nothing(_text: str) -> Named:
    """Of a file whose secrets are in URLs."""
    yield from ()
