"""init: which store, project and agent a folder gets, and what it leaves behind."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tracecraft import config
from tracecraft.errors import NameTaken, UsageError
from tracecraft.project import Project
from tracecraft.setup import Outcome, Wishes, set_up

ORIGIN = "https://example.org/team/Great.Project.git"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and no settings in the environment."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("TRACECRAFT_STORE", "TRACECRAFT_PROJECT", "TRACECRAFT_AGENT", "TRACECRAFT_TTL", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USER", "ada")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return folder


def git(folder: Path, *arguments: str) -> None:
    named = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)


def repository(folder: Path, origin: str = "") -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    if origin:
        git(folder, "remote", "add", "origin", origin)
    return folder


def plain(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def init(folder: Path, **wishes: str | bool) -> Outcome:
    return set_up(folder, Wishes(**wishes))  # type: ignore[arg-type]


def settings(folder: Path) -> dict[str, str]:
    content: dict[str, str] = json.loads((folder / config.FILE).read_text())
    return content


# Names


def test_without_wishes(home: Path, tmp_path: Path) -> None:
    outcome = init(repository(tmp_path / "checkout", ORIGIN))
    assert outcome.project.name == "Great.Project"
    assert outcome.address.url == (home / ".tracecraft" / "store").as_uri()
    user, _, letters = outcome.project.agent.rpartition("-")
    assert (user, len(letters)) == ("ada", 4)
    assert outcome.facts.atomic_create
    assert outcome.facts.compare_and_swap
    assert [presence.name for presence in outcome.project.agents.list()] == [outcome.project.agent]


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("git@example.org:team/tool.git", "tool"),
        ("ssh://git@example.org:22/team/tool/", "tool"),
        ("/srv/git/tool.git", "tool"),
        ("https://u:secret@example.org/team/my%20tool", "my-20tool"),
    ],
)
def test_the_project_is_called_like_its_origin(home: Path, tmp_path: Path, origin: str, name: str) -> None:
    outcome = init(repository(tmp_path / "checkout", origin))
    assert outcome.project.name == name
    stored = outcome.project.stored_facts()
    assert stored is not None
    assert stored.origin
    assert "secret" not in stored.origin


def test_without_an_origin_it_is_called_like_its_folder(home: Path, tmp_path: Path) -> None:
    assert init(repository(tmp_path / "my repo")).project.name == "my-repo"
    assert init(plain(tmp_path / "loose")).project.name == "loose"


def test_every_worktree_has_the_project_and_an_agent_of_its_own(home: Path, tmp_path: Path) -> None:
    main = repository(tmp_path / "checkout")
    git(main, "worktree", "add", "-q", str(tmp_path / "other-name"))
    first, second = init(main), init(tmp_path / "other-name")
    assert first.project.name == second.project.name == "checkout"
    assert first.project.agent != second.project.agent


def test_again_in_the_same_folder_everything_stays(home: Path, tmp_path: Path) -> None:
    folder = plain(tmp_path / "work")
    first = init(folder)
    again = init(folder)
    assert (again.project.name, again.project.agent) == (first.project.name, first.project.agent)
    assert again.address == first.address
    assert init(folder, project="another").project.agent == first.project.agent


def test_wishes_come_before_the_environment_and_that_before_the_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plain(tmp_path / "work")
    init(folder, project="file", agent="file-agent")
    monkeypatch.setenv("TRACECRAFT_PROJECT", "environment")
    monkeypatch.setenv("TRACECRAFT_AGENT", "environment-agent")
    monkeypatch.setenv("TRACECRAFT_STORE", (tmp_path / "elsewhere").as_uri())
    outcome = init(folder)
    assert (outcome.project.name, outcome.project.agent) == ("environment", "environment-agent")
    assert outcome.address.path == str(tmp_path / "elsewhere")
    outcome = init(folder, project="wish", agent="wish-agent", store=str(tmp_path / "third"))
    assert (outcome.project.name, outcome.project.agent) == ("wish", "wish-agent")
    assert outcome.address.path == str(tmp_path / "third")


# Whose project, whose agent


def test_a_second_repository_of_the_same_name_is_refused(home: Path, tmp_path: Path) -> None:
    init(repository(tmp_path / "a" / "tool", "https://example.org/a/tool.git"))
    second = repository(tmp_path / "b" / "tool", "https://example.org/b/tool.git")
    with pytest.raises(NameTaken, match=r"belongs to https://example\.org/a/tool\.git") as refused:
        init(second)
    assert "--project" in refused.value.hint
    assert not (second / config.FILE).exists()
    assert not (second / ".gitignore").exists()
    # Who names the project means it.
    outcome = init(second, project="tool")
    stored = outcome.project.stored_facts()
    assert stored is not None
    assert stored.origin == "https://example.org/a/tool.git"


def test_another_clone_of_the_same_repository_is_welcome(home: Path, tmp_path: Path) -> None:
    first = init(repository(tmp_path / "a" / "tool", ORIGIN))
    second = init(repository(tmp_path / "b" / "clone", ORIGIN))
    assert first.project.name == second.project.name


def test_a_project_that_differs_only_in_case_is_refused(home: Path, tmp_path: Path) -> None:
    init(plain(tmp_path / "a"), project="Tool")
    with pytest.raises(NameTaken, match="already called Tool"):
        init(plain(tmp_path / "b"), project="tool")


def test_a_nested_worktree_does_not_inherit_the_agent(home: Path, tmp_path: Path) -> None:
    outer = repository(tmp_path / "outer")
    first = init(outer)
    git(outer, "worktree", "add", "-q", str(outer / "trees" / "inner"))
    inner = outer / "trees" / "inner"
    found = config.resolve(folder=inner, environ={})
    assert (found.project, found.agent) == (first.project.name, "")
    assert "above this worktree" in found.no_agent
    project = Project.open(folder=inner, environ={})
    with pytest.raises(UsageError, match="above this worktree"):
        project.steps.claim("s")
    second = init(inner)
    assert second.project.agent != first.project.agent
    assert second.address == first.address


def test_a_folder_inside_the_worktree_does(home: Path, tmp_path: Path) -> None:
    outer = repository(tmp_path / "outer")
    first = init(outer)
    assert config.resolve(folder=plain(outer / "src" / "deep"), environ={}).agent == first.project.agent


def test_a_copied_file_does_not_pass_its_agent_on(home: Path, tmp_path: Path) -> None:
    first = init(plain(tmp_path / "one"), project="p")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    found = config.resolve(folder=tmp_path / "two", environ={})
    assert (found.project, found.agent) == ("p", "")
    assert f"made for {tmp_path / 'one'}" in found.no_agent
    assert init(tmp_path / "two").project.agent != first.project.agent


def test_a_name_at_work_elsewhere_is_refused_unless_forced(home: Path, tmp_path: Path) -> None:
    init(plain(tmp_path / "one"), project="p", agent="ann")
    second = plain(tmp_path / "two")
    with pytest.raises(NameTaken, match="at work in"):
        init(second, project="p", agent="ann")
    assert not (second / config.FILE).exists()
    assert init(second, project="p", agent="ann", force=True).project.agent == "ann"


# What is left behind


def test_the_file_is_its_owners_alone(home: Path, tmp_path: Path) -> None:
    folder = plain(tmp_path / "work")
    init(folder)
    assert stat.S_IMODE((folder / config.FILE).stat().st_mode) == 0o600
    (folder / config.FILE).chmod(0o644)
    init(folder)
    assert stat.S_IMODE((folder / config.FILE).stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [config.FILE]


def test_git_is_told_to_ignore_the_file_once(home: Path, tmp_path: Path) -> None:
    folder = repository(tmp_path / "work")
    (folder / ".gitignore").write_text("*.pyc")
    assert init(folder).ignored_in == folder / ".gitignore"
    assert (folder / ".gitignore").read_text() == f"*.pyc\n{config.FILE}\n"
    assert init(folder).ignored_in is None
    assert (folder / ".gitignore").read_text() == f"*.pyc\n{config.FILE}\n"


def test_what_git_ignores_already_is_left_alone(home: Path, tmp_path: Path) -> None:
    folder = repository(tmp_path / "work")
    (folder / ".gitignore").write_text(".*.json\n")
    assert init(folder).ignored_in is None
    assert (folder / ".gitignore").read_text() == ".*.json\n"


def test_outside_git_no_ignore_file_is_made(home: Path, tmp_path: Path) -> None:
    folder = plain(tmp_path / "work")
    assert init(folder).ignored_in is None
    assert not (folder / ".gitignore").exists()


def test_secrets_are_kept_only_where_they_were_given(
    home: Path, tmp_path: Path, ministack_endpoint_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-environment")
    folder = plain(tmp_path / "work")
    outcome = init(folder, bucket=f"init-{tmp_path.name}"[:40].replace("_", "-"), endpoint=ministack_endpoint_url)
    assert outcome.made_bucket
    assert not outcome.secrets_in_file
    assert "secret_key" not in settings(folder)
    outcome = init(folder, access_key="test", secret_key="given")
    assert outcome.secrets_in_file
    assert not outcome.made_bucket
    assert (settings(folder)["access_key"], settings(folder)["secret_key"]) == ("test", "given")
    # They stay with their store and do not follow to another.
    init(folder)
    assert settings(folder)["secret_key"] == "given"
    init(folder, store=str(tmp_path / "elsewhere"))
    assert "secret_key" not in settings(folder)


# What is refused before anything is written


@pytest.mark.parametrize(
    "wishes",
    [
        {"project": "../x"},
        {"agent": "a/b"},
        {"project": "_store"},
        {"store": "ftp://x"},
        {"store": "s3://key:secret@bucket"},
        {"store": "file:///tmp/x", "bucket": "b"},
        {"endpoint": "http://127.0.0.1:1"},
        {"access_key": "only-one", "bucket": "b"},
    ],
)
def test_bad_wishes_leave_nothing(home: Path, tmp_path: Path, wishes: dict[str, str | bool]) -> None:
    folder = plain(tmp_path / "work")
    with pytest.raises(UsageError):
        init(folder, **wishes)
    assert list(folder.iterdir()) == []
    assert not (home / ".tracecraft").exists()


def test_a_broken_file_is_named(home: Path, tmp_path: Path) -> None:
    folder = plain(tmp_path / "work")
    (folder / config.FILE).write_text("{")
    with pytest.raises(UsageError, match=r"cannot use .*\.tracecraft\.json"):
        init(folder)
    assert (folder / config.FILE).read_text() == "{"


def test_the_file_of_0_2_is_understood(home: Path, tmp_path: Path) -> None:
    folder = plain(tmp_path / "work")
    written = {
        "backend": "s3",
        "endpoint": "http://127.0.0.1:8333",
        "bucket": "tracecraft",
        "project": "demo",
        "agent_id": "designer",
        "access_key": "a",
        "secret_key": "b",
        "hf_token": None,
    }
    (folder / config.FILE).write_text(json.dumps({k: v for k, v in written.items() if v is not None}))
    found = config.resolve(folder=folder, environ={})
    assert (found.project, found.agent) == ("demo", "designer")
    assert found.address.url == "s3://tracecraft?endpoint=http://127.0.0.1:8333"
    assert (found.address.access_key, found.address.secret_key) == ("a", "b")


def test_a_hugging_face_bucket_comes_later(home: Path, tmp_path: Path) -> None:
    folder = plain(tmp_path / "work")
    (folder / config.FILE).write_text(json.dumps({"backend": "hf", "bucket": "x", "project": "p", "agent_id": "a"}))
    with pytest.raises(UsageError, match="not supported yet"):
        config.resolve(folder=folder, environ={})
