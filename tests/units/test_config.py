"""Where settings come from, and in which order."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tracecraft import config, layout
from tracecraft.errors import UsageError
from tracecraft.store.address import parse


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "project"
    folder.mkdir(parents=True)
    return folder


def write(where: Path, **fields: object) -> Path:
    path = where / config.FILE
    path.write_text(json.dumps(fields))
    return path


def resolve(folder: Path, environ: dict[str, str] | None = None, **flags: str) -> config.Settings:
    return config.resolve(folder=folder, environ=environ or {}, **flags)


def test_nothing_set_up(here: Path) -> None:
    with pytest.raises(UsageError, match="not set up") as told:
        resolve(here)
    assert "tracecraft init" in told.value.hint


def test_flag_then_environment_then_file(here: Path) -> None:
    write(here, store="file:///from/file", project="pf", agent_id="af")
    environ = {
        "TRACECRAFT_STORE": "s3://env",
        "TRACECRAFT_PROJECT": "pe",
        "TRACECRAFT_AGENT": "ae",
        "TRACECRAFT_TTL": "5m",
    }
    one = resolve(here)
    two = resolve(here, environ)
    three = resolve(here, environ, store="/from/flag", project="px", agent="ax", ttl="30s")
    assert (one.address.path, one.project, one.agent, one.ttl) == ("/from/file", "pf", "af", config.DEFAULT_TTL)
    assert (two.address.bucket, two.project, two.agent, two.ttl) == ("env", "pe", "ae", 300)
    assert (three.address.path, three.project, three.agent, three.ttl) == ("/from/flag", "px", "ax", 30)


def test_the_nearest_file_upwards_then_the_home(here: Path, home: Path) -> None:
    (home / ".tracecraft").mkdir()
    (home / ".tracecraft" / "config.json").write_text(json.dumps({"store": "/home-store", "project": "ph"}))
    assert resolve(here).project == "ph"
    write(here.parent, store="/above", project="pa")
    assert resolve(here).project == "pa"
    nearest = write(here, store="/here", project="pn")
    assert (resolve(here).project, resolve(here).file) == ("pn", nearest)


def test_fields_of_02(here: Path) -> None:
    write(here, backend="s3", endpoint="http://h:1", bucket="b", project="p", agent_id="a", access_key="k",
          secret_key="s", hf_token="")  # fmt: skip
    settings = resolve(here)
    address = settings.address
    assert (address.bucket, address.endpoint, address.access_key, address.secret_key) == ("b", "http://h:1", "k", "s")
    assert (settings.project, settings.agent) == ("p", "a")


@pytest.mark.parametrize("url", ["gs://bucket/p?endpoint=http://h:1", "az://container/p?account=one"])
def test_google_and_azure_are_one_url(here: Path, url: str) -> None:
    write(here, project="p", **config.address_fields(parse(url)))
    assert resolve(here).address == parse(url)
    assert config.read_file(here / config.FILE).store == url


def test_a_hugging_face_bucket_comes_later(here: Path) -> None:
    write(here, backend="hf", bucket="b", project="p", agent_id="a")
    with pytest.raises(UsageError, match="Hugging Face"):
        resolve(here)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"store": 1}', b"\xff", b"[" * 10_000])
def test_a_file_that_is_broken_is_named(here: Path, content: bytes) -> None:
    (here / config.FILE).write_bytes(content)
    with pytest.raises(UsageError, match=config.FILE) as told:
        resolve(here)
    assert told.value.hint


@pytest.mark.parametrize("fields", [{"project": "../x"}, {"agent_id": "a b"}, {"project": "_x"}])
def test_names_in_a_file_are_checked(here: Path, fields: dict[str, str]) -> None:
    write(here, **{"store": "/s", "project": "p", "agent_id": "a", **fields})
    with pytest.raises(UsageError, match="not a valid"):
        resolve(here)


def test_a_copied_file_does_not_pass_its_agent_on(here: Path) -> None:
    write(here, store="/s", project="p", agent_id="a", folder="/somewhere/else")
    settings = resolve(here)
    assert (settings.project, settings.agent) == ("p", "")
    assert "/somewhere/else" in settings.no_agent
    assert resolve(here, agent="mine").agent == "mine"


def test_a_file_above_a_worktree_does_not_pass_its_agent_on(here: Path) -> None:
    write(here.parent, store="/s", project="p", agent_id="a")
    (here / ".git").write_text("gitdir: elsewhere")
    (here / "deep").mkdir()
    for folder in (here, here / "deep"):
        assert (resolve(folder).project, resolve(folder).agent) == ("p", "")


def test_a_written_file_is_its_owners_alone(here: Path) -> None:
    path = here / config.FILE
    path.write_text("{}")
    path.chmod(0o644)
    content = config.ConfigFile(store="/s", project="p", agent_id="a", secret_key="hidden")
    config.write_file(path, content)
    assert path.stat().st_mode & 0o777 == 0o600
    assert config.read_file(path) == content
    assert [one.name for one in here.iterdir()] == [config.FILE]


@pytest.mark.parametrize("url", ["file:///a/b", "s3://b/p/q?endpoint=http://h:1&region=r", "s3://b"])
def test_a_stores_fields_lead_back_to_it(url: str) -> None:
    address = parse(url)
    assert config.file_address(config.ConfigFile(**config.address_fields(address))) == address


@pytest.mark.parametrize(
    ("origin", "project"),
    [
        ("https://example.org/team/My-Repo.git", "My-Repo"),
        ("git@example.org:team/repo.git", "repo"),
        ("git@example.org:repo", "repo"),
        ("https://example.org/team/repo/", "repo"),
        ("/srv/with space", "with-space"),
        ("https://example.org/..", "project"),
        ("", "project"),
    ],
)
def test_a_project_is_named_after_its_origin(here: Path, origin: str, project: str) -> None:
    subprocess.run(["git", "init", "-q"], cwd=here, check=True)
    if origin:
        subprocess.run(["git", "remote", "add", "origin", origin], cwd=here, check=True)
    name, source = config.default_project(here)
    assert name == project
    assert source == (origin or str(here))


def test_outside_of_git_a_project_is_named_after_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "täglich 1"
    folder.mkdir()
    assert config.default_project(folder) == ("t-glich-1", str(folder))


@pytest.mark.parametrize("environ", [{"USER": "ann"}, {"LOGNAME": "ann"}, {"USER": "ä ö/.."}, {"USER": "x" * 200}, {}])
def test_new_agents_have_names_that_may_be_written(environ: dict[str, str]) -> None:
    names = {config.new_agent_name(environ) for _ in range(20)}
    assert len(names) > 1
    assert all(layout.name("agent", name) == name for name in names)
    if "ann" in environ.values():
        assert all(name.startswith("ann-") for name in names)
