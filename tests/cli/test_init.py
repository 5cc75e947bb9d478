"""init: in repositories, worktrees and plain folders, on folders and buckets; and which settings win."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.s3 import send
from tests.support.servers import Endpoint
from tests.support.streams import files
from tests.support.world import Result, World

UNSET = {"TRACECRAFT_STORE": "", "TRACECRAFT_PROJECT": "", "TRACECRAFT_AGENT": ""}
SECRET = "s3cr3tKept+Quiet"


def plain(world: World, *arguments: str, exits: int | None = 0, **more: str) -> Result:
    """A command whose environment says nothing about tracecraft."""
    return world.run("a", *arguments, exits=exits, **{**UNSET, **more})


def settings(folder: Path) -> Any:
    return json.loads((folder / ".tracecraft.json").read_text())


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def at(world: World, folder: Path) -> World:
    """The same world, with agent `a` at work in another folder."""
    place = world.root / "folders" / "a"
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(folder)
    return world


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "my repo"
    folder.mkdir()
    git(folder, "init")
    git(folder, "commit", "--allow-empty", "-m", "first")
    return folder


def test_without_git_and_without_options(folder_world: World) -> None:
    done = plain(folder_world, "init", "--json", USER="ann").json
    assert done["project"] == "a"
    assert done["agent"].startswith("ann-")
    assert done["store"] == (Path(folder_world.environment("a")["HOME"]) / ".tracecraft" / "store").as_uri()
    assert done["gitignore"] is None
    assert done["secrets_in_file"] is False
    assert stat.S_IMODE((folder_world.folder("a") / ".tracecraft.json").stat().st_mode) == 0o600
    assert [agent["agent"] for agent in plain(folder_world, "agents", "--json").json["agents"]] == [done["agent"]]


def test_twice_changes_nothing(folder_world: World) -> None:
    first = plain(folder_world, "init", "--json").json
    kept = settings(folder_world.folder("a"))
    assert plain(folder_world, "init", "--json").json == first
    assert settings(folder_world.folder("a")) == kept


def test_in_a_repository(folder_world: World, repository: Path) -> None:
    world = at(folder_world, repository)
    done = plain(world, "init", "--json").json
    assert done["project"] == "my-repo"
    assert (repository / ".gitignore").read_text() == ".tracecraft.json\n"
    plain(world, "init")
    assert (repository / ".gitignore").read_text() == ".tracecraft.json\n"


def test_gitignore_is_added_to(folder_world: World, repository: Path) -> None:
    (repository / ".gitignore").write_text("build")
    text = plain(at(folder_world, repository), "init").out
    assert (repository / ".gitignore").read_text() == "build\n.tracecraft.json\n"
    assert ".gitignore" in text


def test_worktrees_share_the_project_and_have_agents_of_their_own(folder_world: World, repository: Path) -> None:
    other = repository.parent / "elsewhere" / "branch"
    git(repository, "worktree", "add", str(other), "-b", "other")
    first = plain(at(folder_world, repository), "init", "--json").json
    second = plain(at(folder_world, other), "init", "--json").json
    assert first["project"] == second["project"] == "my-repo"
    assert first["agent"] != second["agent"]
    plain(at(folder_world, repository), "claim", "x")
    assert plain(at(folder_world, other), "claim", "x", "--json", exits=3).error["holder"] == first["agent"]


def test_a_worktree_inside_the_repository_is_another_worker(folder_world: World, repository: Path) -> None:
    """It finds the settings above it, but not the agent's name."""
    inside = repository / "trees" / "one"
    git(repository, "worktree", "add", str(inside), "-b", "one")
    first = plain(at(folder_world, repository), "init", "--json").json
    world = at(folder_world, inside)
    assert plain(world, "claim", "x", "--json", exits=2).error["hint"]
    plain(world, "status")
    second = plain(world, "init", "--json").json
    assert (second["project"], second["agent"] != first["agent"]) == (first["project"], True)


def test_the_origin_names_the_project(folder_world: World, repository: Path) -> None:
    git(repository, "remote", "add", "origin", f"https://me:{SECRET}@example.org/team/Proj.git")
    done = plain(at(folder_world, repository), "init", "--json")
    assert done.json["project"] == "Proj"
    assert not leaks(folder_world, but=repository / ".git")


def test_two_repositories_of_one_name(folder_world: World, tmp_path: Path) -> None:
    places = []
    for parent in ("one", "two"):
        folder = tmp_path / parent / "app"
        folder.mkdir(parents=True)
        git(folder, "init")
        git(folder, "remote", "add", "origin", f"https://example.org/{parent}/app.git")
        places.append(folder)
    plain(at(folder_world, places[0]), "init")
    refused = plain(at(folder_world, places[1]), "init", "--json", exits=3)
    assert refused.error["code"] == "name_taken"
    assert "one/app" in refused.error["message"]
    assert not (places[1] / ".tracecraft.json").exists()
    assert plain(at(folder_world, places[1]), "init", "--project", "app2", "--json").json["project"] == "app2"


def test_git_that_does_not_work(folder_world: World, repository: Path) -> None:
    """As if there were none: the folder's name, and no .gitignore."""
    done = plain(at(folder_world, repository), "init", "--json", PATH="/nowhere")
    assert done.json["project"] == "my-repo"
    assert done.json["gitignore"] is None


def test_a_bucket_is_made_and_keys_are_kept(tmp_path: Path, ministack_endpoint: Endpoint) -> None:
    world = World(tmp_path, "")
    bucket = f"made-{tmp_path.name.replace('_', '-').lower()[-40:]}"
    log = spy_on_children(tmp_path)
    where = ("--endpoint", ministack_endpoint.url, "--bucket", bucket, "--project", "demo", "--agent", "a")
    keys = ("--access-key", "AKIDEXAMPLE", "--secret-key", SECRET)
    path = f"{log.parent}:{world.environment('a')['PATH']}"
    done = plain(world, "init", *where, *keys, PATH=path)
    assert f"made the bucket {bucket}" in done.out
    assert "access keys are in that file" in done.out
    assert send(ministack_endpoint, "GET", f"/{bucket}").status == 200
    folder = world.folder("a")
    kept = settings(folder)
    assert (kept["backend"], kept["bucket"], kept["endpoint"]) == ("s3", bucket, ministack_endpoint.url)
    assert (kept["access_key"], kept["secret_key"]) == ("AKIDEXAMPLE", SECRET)
    assert stat.S_IMODE((folder / ".tracecraft.json").stat().st_mode) == 0o600
    commands = ("claim x", "memory set k v", "status --json", "doctor", "complete x --changed-files-from-git", "init")
    outputs = [done, *(plain(world, *command.split(), PATH=path) for command in commands)]
    assert settings(folder)["secret_key"] == SECRET
    assert log.read_text()
    for text in [log.read_text(), *(result.out + result.err for result in outputs)]:
        assert SECRET not in text
    assert leaks(world) == [str(Path("folders", "a", ".tracecraft.json"))]


def test_a_secret_is_not_shown_when_something_fails(tmp_path: Path) -> None:
    world = World(tmp_path, "")
    keys = ("--access-key", "AKIDEXAMPLE", "--secret-key", SECRET)
    for where, exits in (
        (["--endpoint", "http://127.0.0.1:1", "--bucket", "b"], 7),
        (["--endpoint", "nonsense", "--bucket", "b"], 2),
        (["--store", "s3://b", "--bucket", "b"], 2),
        (["--endpoint", "http://127.0.0.1:1"], 2),
    ):
        done = plain(world, "init", *where, *keys, exits=exits)
        assert SECRET not in done.out + done.err
    assert leaks(world) == []
    assert not (world.folder("a") / ".tracecraft.json").exists()


def test_keys_from_the_environment_are_not_written(tmp_path: Path, ministack_endpoint: Endpoint) -> None:
    world = World(tmp_path, "")
    environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": SECRET}
    where = ("--endpoint", ministack_endpoint.url, "--bucket", "from-environment", "--agent", "a")
    done = plain(world, "init", *where, "--json", exits=0, **environment)
    assert done.json["secrets_in_file"] is False
    assert leaks(world) == []
    plain(world, "claim", "x", exits=0, **environment)
    assert plain(world, "claim", "x", exits=2).err.startswith("error: no credentials for")


def test_keys_in_a_url_are_refused(tmp_path: Path) -> None:
    done = plain(World(tmp_path, ""), "init", "--store", f"s3://key:{SECRET}@bucket", exits=2)
    assert "--secret-key" in done.err
    assert SECRET not in done.err


def test_flag_then_environment_then_file_then_home(folder_world: World) -> None:
    folder = folder_world.folder("a")
    home = Path(folder_world.environment("a")["HOME"]) / ".tracecraft"
    home.mkdir(exist_ok=True)

    def configure(path: Path, name: str) -> None:
        path.write_text(json.dumps({"store": store(name), "project": name, "agent_id": name}))

    def store(name: str) -> str:
        return (folder_world.root / f"store-{name}").as_uri()

    def chosen(*flags: str, **environment: str) -> tuple[str, str, str]:
        done = plain(folder_world, "memory", "set", "k", "v", "--json", *flags, exits=0, **environment).json
        status = plain(folder_world, "status", "--json", *flags, exits=0, **environment).json
        return status["store"].rpartition("store-")[2], status["project"], done["set_by"]

    assert plain(folder_world, "status", exits=2).err.startswith("error: tracecraft is not set up in")
    configure(home / "config.json", "home")
    assert chosen() == ("home", "home", "home")
    configure(folder.parent / ".tracecraft.json", "above")
    assert chosen() == ("above", "above", "above")
    configure(folder / ".tracecraft.json", "here")
    assert chosen() == ("here", "here", "here")
    environment = {"TRACECRAFT_STORE": store("env"), "TRACECRAFT_PROJECT": "env", "TRACECRAFT_AGENT": "env"}
    assert chosen(**environment) == ("env", "env", "env")
    assert chosen(TRACECRAFT_AGENT="env") == ("here", "here", "env")
    flags = ("--store", store("flag"), "--project", "flag", "--agent", "flag")
    assert chosen(*flags, **environment) == ("flag", "flag", "flag")
    assert chosen("--project", "flag", **environment) == ("env", "flag", "env")


def test_ttl_from_the_environment(folder_world: World) -> None:
    assert folder_world.run("a", "claim", "x", "--json", TRACECRAFT_TTL="90s").json["ttl"] == 90
    assert folder_world.run("a", "claim", "y", "--ttl", "2m", "--json", TRACECRAFT_TTL="90s").json["ttl"] == 120
    assert "TRACECRAFT_TTL" in folder_world.run("a", "claim", "z", exits=2, TRACECRAFT_TTL="soon").err


def test_a_file_of_02(tmp_path: Path, ministack_endpoint: Endpoint) -> None:
    world = World(tmp_path, "")
    folder = world.folder("a")
    old = {
        "backend": "s3", "endpoint": ministack_endpoint.url, "bucket": "old-bucket", "project": "old",
        "agent_id": "ann", "access_key": "test", "secret_key": SECRET, "hf_token": None, "something_new": 1,
    }  # fmt: skip
    (folder / ".tracecraft.json").write_text(json.dumps(old))
    send(ministack_endpoint, "PUT", "/old-bucket")
    assert plain(world, "claim", "x", "--json").json["agent"] == "ann"
    assert send(ministack_endpoint, "GET", "/old-bucket/old/steps/x/claim.json").status == 200
    again = plain(world, "init", "--json").json
    assert (again["project"], again["agent"]) == ("old", "ann")


def test_hugging_face_comes_later(folder_world: World) -> None:
    (folder_world.folder("a") / ".tracecraft.json").write_text('{"backend": "hf", "bucket": "b", "project": "p"}')
    for command in ("status", "init", "claim x"):
        assert "not supported yet" in plain(folder_world, *command.split(), exits=2).err
    plain(folder_world, "init", "--backend", "hf", exits=2)


BROKEN = [b"", b"not json", b"[]", b"null", b'{"store": 5}', b'{"store": "ftp://x"}', b"\xff\xfe", b'{"a":' * 100_000]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_named(folder_world: World, content: bytes) -> None:
    file = folder_world.folder("a") / ".tracecraft.json"
    file.write_bytes(content)
    before = files(folder_world.root)
    for command in ("status", "claim x", "init"):
        done = plain(folder_world, *command.split(), "--json", exits=2)
        assert done.out == ""
        assert str(file) in done.error["message"]
        assert done.error["hint"]
    assert files(folder_world.root) == before


def test_a_folder_that_cannot_be_the_store(folder_world: World) -> None:
    (folder_world.root / "file").write_text("in the way")
    for url in (f"{folder_world.root}/file", "file://elsewhere/x", "gs://b", "s3://", ""):
        done = plain(folder_world, "init", "--store", url, exits=None) if url else None
        assert done is None or done.code in (2, 7), done
    assert not (folder_world.folder("a") / ".tracecraft.json").exists()


def test_a_name_that_is_at_work_elsewhere(world: World) -> None:
    world.run("ann", "init")
    refused = world.run("bob", "init", "--agent", "ann", "--json", exits=3)
    assert refused.error["code"] == "name_taken"
    assert world.run("bob", "init", "--agent", "ann", "--force", "--json").json["agent"] == "ann"


def leaks(world: World, but: Path | None = None) -> list[str]:
    """Files in which the secret is found."""
    found = [name for name, data in files(world.root).items() if SECRET.encode() in data]
    return [name for name in found if but is None or not (world.root / name).is_relative_to(but)]


def spy_on_children(folder: Path) -> Path:
    """Put a git first on the PATH that writes down how it was called; returns what it writes to."""
    programs = folder / "programs"
    programs.mkdir()
    log = programs / "log"
    script = programs / "git"
    script.write_text(f'#!/bin/sh\necho "$@" >> "{log}"\nexec {shutil.which("git")} "$@"\n')
    script.chmod(0o755)
    return log
