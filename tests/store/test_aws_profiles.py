"""AWS profiles that say more than static keys: boto3 gets their keys, and is imported for nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.proxy import Proxy, Request
from tests.support.s3 import Endpoint, make_bucket
from tracecraft.errors import Denied, UsageError
from tracecraft.store.address import parse
from tracecraft.store.aws import options
from tracecraft.store.base import Store
from tracecraft.store.opening import open_store

SECRET = "secret-of-a-test"

BLOCKED = """
import sys
from importlib.machinery import PathFinder

class WithoutBoto3:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name == "boto3" else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutBoto3
"""
"""An interpreter in which boto3 is not installed."""

OPEN = """
import json, sys
from tracecraft.errors import TracecraftError
from tracecraft.store.address import parse
from tracecraft.store.opening import open_store
try:
    open_store(parse(sys.argv[1]), json.loads(sys.argv[2])).put("a", b"1")
    told = "written"
except TracecraftError as error:
    told = f"{type(error).__name__}: {error.message} / {error.hint}"
print(json.dumps([told, "boto3" in sys.modules]))
"""


def write_profile(home: Path, text: str) -> None:
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(f"[profile team]\n{text}\n")


def write_process(home: Path, *, key: str, life: str) -> Path:
    """A program that gives keys which last for so long, and writes down that it was run; returns where."""
    runs = home / "runs"
    program = home / "give-keys"
    program.write_text(
        f"#!{sys.executable}\n"
        "import datetime, json\n"
        f"open({str(runs)!r}, 'a').write('run\\n')\n"
        f"end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta({life})\n"
        f"print(json.dumps({{'Version': 1, 'AccessKeyId': {key!r}, 'SecretAccessKey': {SECRET!r},\n"
        "                  'SessionToken': 'session', 'Expiration': end.isoformat()}))\n"
    )
    program.chmod(0o755)
    return runs


def used_key(request: Request) -> str:
    found = re.search(r"Credential=([^/]+)/", request.headers["authorization"])
    assert found
    return found[1]


@pytest.fixture
def proxy(ministack_endpoint: Endpoint) -> Iterator[Proxy]:
    with Proxy(ministack_endpoint.url) as proxy:
        yield proxy


@pytest.fixture
def url(ministack_endpoint: Endpoint, proxy: Proxy) -> str:
    name = f"test-{uuid.uuid4().hex[:16]}"
    make_bucket(ministack_endpoint, name)
    return f"s3://{name}/p?endpoint={proxy.url}"


@pytest.fixture
def environ(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """boto3 reads the real environment, so it says the same."""
    monkeypatch.setenv("AWS_PROFILE", "team")
    return {"HOME": str(home), "AWS_PROFILE": "team"}


def opened(url: str, environ: dict[str, str]) -> Store:
    return open_store(parse(url), environ)


def test_a_program_gives_the_keys(url: str, environ: dict[str, str], home: Path, proxy: Proxy) -> None:
    runs = write_process(home, key="GIVEN", life="hours=1")
    write_profile(home, f"credential_process = {home}/give-keys")
    store = opened(url, environ)
    assert not runs.exists()
    store.put("a", b"1", if_absent=True)
    assert store.get("a").data == b"1"
    assert {used_key(request) for request in proxy.requests} == {"GIVEN"}
    assert all(request.headers["x-amz-security-token"] == "session" for request in proxy.requests)
    assert runs.read_text() == "run\n"


def test_keys_that_run_out_are_renewed(url: str, environ: dict[str, str], home: Path, proxy: Proxy) -> None:
    runs = write_process(home, key="FIRST", life="minutes=2")
    write_profile(home, f"credential_process = {home}/give-keys")
    store = opened(url, environ)
    store.put("a", b"1")
    write_process(home, key="SECOND", life="hours=1")
    proxy.clear()
    # obstore keeps what it was given for a while; a provider that is asked again must not give the old keys.
    keys = options(parse(url), environ)["credential_provider"]
    assert keys()["access_key_id"] == "SECOND"
    assert len(runs.read_text().split()) >= 2
    opened(url, environ).put("a", b"2")
    assert {used_key(request) for request in proxy.requests} == {"SECOND"}


def test_one_source_renews_by_itself(url: str, environ: dict[str, str], home: Path) -> None:
    write_process(home, key="FIRST", life="minutes=2")
    write_profile(home, f"credential_process = {home}/give-keys")
    keys = options(parse(url), environ)["credential_provider"]
    assert keys()["access_key_id"] == "FIRST"
    write_process(home, key="SECOND", life="hours=1")
    assert keys()["access_key_id"] == "SECOND"


@pytest.mark.parametrize(
    "program",
    ["exit 1", "echo nonsense", f"echo {SECRET} >&2; exit 1", f"""echo '{{"Version": 9, "x": "{SECRET}"}}'"""],
)
def test_a_program_that_gives_none(url: str, environ: dict[str, str], home: Path, program: str) -> None:
    (home / "give-keys").write_text(f"#!/bin/sh\n{program}\n")
    (home / "give-keys").chmod(0o755)
    write_profile(home, f"credential_process = {home}/give-keys")
    store = opened(url, environ)
    for use in (lambda: store.get("a"), lambda: store.put("a", b"1", if_absent=True)):
        with pytest.raises(Denied, match="AWS profile team") as told:
            use()
        assert SECRET not in f"{told.value.message}{told.value.hint}"
        assert "--profile team" in told.value.hint


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("role_arn = arn:aws:iam::1:role/x\nsource_profile = other", "an assumed role"),
        ("sso_session = company", "single sign-on"),
        ("sso_start_url = https://company", "single sign-on"),
        ("credential_process = give", "a credential process"),
        ("web_identity_token_file = /token", "a web identity"),
        ("role_arn = r\naws_access_key_id = k\naws_secret_access_key = s", "an assumed role"),
    ],
)
def test_without_boto3_it_says_what_is_missing(environ: dict[str, str], home: Path, text: str, method: str) -> None:
    write_profile(home, text)
    told, imported = run(BLOCKED, "s3://bucket", environ)
    assert told == (
        f"UsageError: the AWS profile team uses {method}, which needs boto3 / "
        "pip install 'tracecraft-ai[aws]', or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )
    assert not imported


@pytest.mark.parametrize("blocked", [False, True])
def test_static_keys_need_no_boto3(url: str, environ: dict[str, str], home: Path, blocked: bool) -> None:
    write_profile(home, f"aws_access_key_id = k\naws_secret_access_key = {SECRET}\ncredential_process = never")
    assert run(BLOCKED if blocked else "", url, environ) == ("written", False)
    write_profile(home, "credential_process = never")
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": SECRET}
    assert run(BLOCKED if blocked else "", url, {**environ, **keys}) == ("written", False)


def test_a_program_gives_the_keys_of_a_process(url: str, environ: dict[str, str], home: Path) -> None:
    write_process(home, key="GIVEN", life="hours=1")
    write_profile(home, f"credential_process = {home}/give-keys")
    assert run("", url, environ) == ("written", True)


def test_a_profile_that_is_not_there(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="no credentials"):
        opened("s3://bucket?endpoint=http://h:1", environ)


def run(before: str, url: str, environ: dict[str, str]) -> tuple[str, bool]:
    """What a process of its own is told when it writes, and whether it imported boto3."""
    done = subprocess.run(
        [sys.executable, "-c", before + OPEN, url, json.dumps(environ)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told, imported = json.loads(done.stdout)
    return told, imported
