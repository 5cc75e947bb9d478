"""Settings: flag, then environment, then the nearest .tracecraft.json upwards, then ~/.tracecraft/config.json."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tracecraft import clock, git, layout
from tracecraft.errors import UsageError
from tracecraft.localstate import OWN
from tracecraft.store.address import Address, parse

FILE = ".tracecraft.json"
DEFAULT_TTL = 3600.0

_UNSET_UP = "run `tracecraft init` here, or set TRACECRAFT_STORE and TRACECRAFT_PROJECT"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class ConfigFile(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`.tracecraft.json`: the fields of 0.2.x, and ours. Which one names the store tells which kind it is."""

    backend: str = ""
    store: str = ""
    endpoint: str = ""
    bucket: str = ""
    prefix: str = ""
    region: str = ""
    project: str = ""
    agent_id: str = ""
    folder: str = ""
    """Where `init` wrote it. A copy elsewhere does not pass its agent's name on."""
    access_key: str = ""
    secret_key: str = ""
    hf_token: str = ""
    best_effort: bool = False


class Settings(msgspec.Struct, frozen=True):
    """What a command works with. `agent` is empty where nobody named one; `no_agent` then says why."""

    address: Address
    project: str
    agent: str
    no_agent: str
    ttl: float
    best_effort: bool
    file: Path | None


class FoundFile(msgspec.Struct, frozen=True):
    path: Path
    content: ConfigFile
    foreign: str
    """Why this file's agent name is not this folder's; empty when it is."""

    @property
    def address(self) -> Address | None:
        """The store it names. Raises UsageError."""
        try:
            return file_address(self.content)
        except UsageError as error:
            raise UsageError(f"cannot use {self.path}: {error.message}", hint=error.hint) from None


def resolve(
    *,
    store: str | None = None,
    project: str | None = None,
    agent: str | None = None,
    ttl: str | None = None,
    folder: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings in force in `folder` (default: the current one). Raises UsageError when nothing names a store."""
    here = folder or Path.cwd()
    found = find_file(here)
    content = found.content if found else ConfigFile()
    url = store or environ.get("TRACECRAFT_STORE") or ""
    address = parse(url) if url else found.address if found else None
    if address is None:
        raise UsageError(f"tracecraft is not set up in {here}", hint=_UNSET_UP)
    named_project = project or environ.get("TRACECRAFT_PROJECT") or content.project or default_project(here)[0]
    named_agent = agent or environ.get("TRACECRAFT_AGENT") or ("" if found and found.foreign else content.agent_id)
    return Settings(
        address=address,
        project=layout.name("project", named_project),
        agent=layout.name("agent", named_agent) if named_agent else "",
        no_agent=(found.foreign if found else "") or "nothing names the agent that acts here",
        ttl=clock.duration(ttl) if ttl else _default_ttl(environ),
        best_effort=content.best_effort,
        file=found.path if found else None,
    )


def _default_ttl(environ: Mapping[str, str]) -> float:
    text = environ.get("TRACECRAFT_TTL")
    try:
        return clock.duration(text) if text else DEFAULT_TTL
    except UsageError as error:
        raise UsageError(f"TRACECRAFT_TTL is {error.message}", hint=error.hint) from None


def find_file(folder: Path) -> FoundFile | None:
    """The nearest .tracecraft.json from `folder` upwards, else ~/.tracecraft/config.json.

    A file above this worktree, or one copied from elsewhere, still tells the store and the project; but its agent is
    another worker, and two workers under one name would take each other's claims for their own.
    """
    above_worktree = False
    for place in (folder, *folder.parents):
        path = place / FILE
        if path.is_file():
            content = read_file(path)
            return FoundFile(path, content, _foreign(path, content, above_worktree))
        above_worktree = above_worktree or (place / ".git").exists()
    path = Path.home() / ".tracecraft" / "config.json"
    return FoundFile(path, read_file(path), "") if path.is_file() else None


def _foreign(path: Path, content: ConfigFile, above_worktree: bool) -> str:
    if above_worktree:
        return f"{path} belongs to the folder above this worktree, and so does its agent name"
    if content.folder and content.folder != str(path.parent):
        return f"{path} was made for {content.folder}, and so was its agent name"
    return ""


def read_file(path: Path) -> ConfigFile:
    """Raises UsageError when the file cannot be read or is not what it should be."""
    try:
        fields = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        content = msgspec.convert({name: value for name, value in fields.items() if value is not None}, ConfigFile)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"cannot use {path}: {error}", hint="mend it, or remove it and run `tracecraft init`"
        ) from None
    if content.backend == "hf":
        raise UsageError(
            f"{path} names a Hugging Face bucket, which is not supported yet",
            hint="use a folder, or a bucket elsewhere: tracecraft init --store ...",
        )
    return content


def write_file(path: Path, content: ConfigFile) -> None:
    """Write the settings so that only their owner can read them."""
    temporary = path.with_name(f"{FILE}.{layout.new_short_id()}")
    data = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_address(content: ConfigFile) -> Address | None:
    """The store that a settings file names: `store`, or the fields of 0.2.x."""
    keys = {"access_key": content.access_key, "secret_key": content.secret_key}
    if content.store:
        return parse(content.store, endpoint=content.endpoint, region=content.region, **keys)
    if not content.bucket:
        return None
    address = parse(f"s3://{content.bucket}", endpoint=content.endpoint, region=content.region, **keys)
    return msgspec.structs.replace(address, prefix=content.prefix)


def address_fields(address: Address) -> dict[str, Any]:
    """The fields of a settings file for a store; 0.2.x reads those of a bucket without a prefix too."""
    if address.scheme != "s3":
        return {"store": address.url}
    return {
        "backend": "s3",
        "endpoint": address.endpoint,
        "bucket": address.bucket,
        "prefix": address.prefix,
        "region": address.region,
    }


def default_store() -> Address:
    return Address("file", path=str(Path.home() / OWN / "store"))


def default_project(folder: Path) -> tuple[str, str]:
    """The name of the repository `folder` is in, the same from every worktree, and where it comes from.

    Outside git both come from the folder itself.
    """
    tree = git.worktree(folder)
    if tree is None:
        return layout.valid_name(folder.name, "project"), str(folder)
    if tree.origin:
        last = tree.origin.rstrip("/").replace(":", "/").rpartition("/")[2].removesuffix(".git")
        return layout.valid_name(last, "project"), tree.origin
    return layout.valid_name(tree.main.name, "project"), str(tree.main)


def new_agent_name(environ: Mapping[str, str] = os.environ) -> str:
    """A name for a worker nobody named: `<user>-<4 characters>`."""
    user = environ.get("USER") or environ.get("LOGNAME") or "agent"
    from random import SystemRandom

    letters = "".join(SystemRandom().choices(_LETTERS, k=4))
    return f"{layout.valid_name(user, 'agent')[:59]}-{letters}"
