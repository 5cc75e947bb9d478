"""What git knows of a folder. Without git, or outside a repository, every answer is empty."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Worktree(NamedTuple):
    """One working tree of a repository."""

    root: Path
    main: Path
    """The main working tree of the same repository, the same from every linked one."""
    origin: str
    """The origin's URL without credentials, or empty."""


class Checkout(NamedTuple):
    """What is checked out where."""

    commit: str
    branch: str
    """Empty where no branch is checked out."""
    dirty: bool
    """Whether files that git tracks differ from the commit."""
    origin: str


def checkout(folder: Path) -> Checkout | None:
    """What is checked out in the working tree that `folder` is in."""
    lines = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no").splitlines()
    if not lines:
        return None
    told = dict(line.removeprefix("# branch.").split(" ", 1) for line in lines if line.startswith("# branch."))
    commit, branch = told.get("oid", ""), told.get("head", "")
    return Checkout(
        "" if commit == "(initial)" else commit,
        "" if branch == "(detached)" else branch,
        any(not line.startswith("#") for line in lines),
        _origin(folder),
    )


def worktree(folder: Path) -> Worktree | None:
    """The working tree that `folder` is in."""
    out = _git(folder, "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir")
    lines = out.splitlines()
    if len(lines) != 2:
        return None
    common = Path(lines[1])
    main = common.parent if common.name == ".git" else common
    return Worktree(Path(lines[0]), main, _origin(folder))


def changed_files(folder: Path) -> list[str]:
    """Files that differ from the last commit, staged or not, and files git does not track yet; named from the root."""
    changed = _git(folder, "diff", "--name-only", "--no-renames", "-z", "HEAD").split("\0")
    new = _git(folder, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/").split("\0")
    return sorted({path for path in (*changed, *new) if path})


def ignores(folder: Path, name: str) -> bool:
    """Whether git leaves a file out by its ignore rules."""
    return bool(_git(folder, "check-ignore", name))


def _origin(folder: Path) -> str:
    return _without_credentials(_git(folder, "config", "--get", "remote.origin.url").strip())


def _git(folder: Path, *arguments: str) -> str:
    import subprocess

    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            check=False,
            capture_output=True,
            timeout=10,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
